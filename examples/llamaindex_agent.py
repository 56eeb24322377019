"""An agent whose tool costs money: when no search fits any more it is told so, and answers.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from itertools import count
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI

from bursar import Budget
from bursar.testing import Reply, Request, ScriptedProvider, ToolCall
from bursar_llamaindex import BudgetCallback, budget_tools, budgeted

numbers = count(1)


def web_search(query: str) -> str:
    """Search the web."""
    return f"Nothing new about {query}. Search again."


def until_refused(request: Request) -> Reply:
    """The model of this machine: it searches until a search is refused."""
    if "was not made" in str(request.body["messages"][-1]):
        return Reply("Nothing is new.", output_tokens=5)
    return Reply(tool_calls=[ToolCall("web_search", {"query": f"topic {next(numbers)}"})], output_tokens=20)


async def main() -> None:
    budget = BudgetCallback(Budget("$0.05", tool_prices={"web_search": "$0.01"}))
    there: dict[str, Any] = {}
    with ExitStack() as stack:
        if "OPENAI_API_KEY" not in os.environ:
            provider = stack.enter_context(ScriptedProvider())
            provider.always(until_refused)
            there = {"api_base": provider.openai_url, "api_key": "none"}
        llm = OpenAI(model="gpt-4o-mini", max_tokens=300, **there)
        agent = budgeted(FunctionAgent(tools=budget_tools([web_search], budget), llm=llm), budget)
        answer = await agent.run("What is new?", max_iterations=50)
    paid = budget.report()["breakdown"]
    print(answer)
    print(f"spent ${budget.spent}: {paid['llm']['calls']} model calls, {paid['tools']['calls']} searches")
    assert paid["tools"]["calls"] == 4
    assert budget.spent <= 0.05


if __name__ == "__main__":
    asyncio.run(main())
