"""An agent that searches for ever, stopped at its budget.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from bursar import Budget, BudgetExceeded
from bursar.testing import ScriptedProvider
from bursar_langchain import BudgetCallback


@tool
def web_search(query: str) -> str:
    """Search the web."""
    return f"Nothing new about {query}. Search again."


def main() -> None:
    budget = BudgetCallback(Budget("$0.01", tool_prices={"web_search": "$0.001"}))
    config: RunnableConfig = {"callbacks": [budget]}
    with ExitStack() as stack:
        if "OPENAI_API_KEY" in os.environ:
            model = ChatOpenAI(model="gpt-4o-mini", max_completion_tokens=200, max_retries=0)
        else:
            provider = stack.enter_context(ScriptedProvider())
            model = ChatOpenAI(
                model="gpt-4o-mini",
                max_completion_tokens=200,
                max_retries=0,
                base_url=provider.openai_url,
                api_key=SecretStr("none"),
            )
        try:
            question = "What is new?"
            while True:  # an agent that never has enough
                answer = model.bind_tools([web_search]).invoke([HumanMessage(question)], config)
                question = web_search.invoke({"query": str(answer.content)}, config)
        except BudgetExceeded as refusal:
            print(f"stopped: {refusal}")
    paid = budget.report()["breakdown"]
    print(f"spent ${budget.spent}: {paid['llm']['calls']} model calls, {paid['tools']['calls']} searches")


if __name__ == "__main__":
    main()
