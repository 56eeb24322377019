"""An agent that searches for ever: it ends with an answer, within its budget.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import count

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from bursar import Budget
from bursar.testing import Reply, Request, ScriptedProvider, ToolCall
from bursar_langchain import BudgetMiddleware

numbers = count(1)


@tool
def web_search(query: str) -> str:
    """Search the web."""
    return f"Nothing new about {query}. Search again."


def never_enough(request: Request) -> Reply:
    """The model of this machine: it searches as long as it has a tool for that."""
    if "tools" not in request.body:
        return Reply("Nothing is new.", output_tokens=5)
    return Reply(tool_calls=[ToolCall("web_search", {"query": f"topic {next(numbers)}"})], output_tokens=20)


def main() -> None:
    payer = Budget("$0.02", finalization_reserve=0.1, tool_prices={"web_search": "$0.001"})
    budget, provider = BudgetMiddleware(payer), None
    with ExitStack() as stack:
        if "OPENAI_API_KEY" in os.environ:
            model = ChatOpenAI(model="gpt-4o-mini", max_completion_tokens=300, max_retries=0)
        else:
            provider = stack.enter_context(ScriptedProvider())
            provider.always(never_enough)
            model = ChatOpenAI(
                model="gpt-4o-mini",
                max_completion_tokens=300,
                max_retries=0,
                base_url=provider.openai_url,
                api_key=SecretStr("none"),
            )
        agent = create_agent(model, [web_search], middleware=[budget])
        answer = agent.invoke({"messages": [("user", "What is new?")]}, {"recursion_limit": 500})
    paid = budget.report()["breakdown"]
    print(answer["messages"][-1].content)
    print(f"spent ${budget.spent}: {paid['llm']['calls']} model calls, {paid['tools']['calls']} searches")
    assert budget.spent <= 0.02 and answer["messages"][-1].content
    if provider is not None:
        assert paid["llm"]["total"] == float(provider.bill) and paid["tools"]["calls"] > 10


if __name__ == "__main__":
    main()
