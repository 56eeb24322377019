"""Fifty different calls at once, without an output cap, on a budget that holds less than one worst case."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from bursar.testing import Rate
from bursar_langchain import BudgetCallback

from .. import crowd

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

MODEL = "gpt-5.2"  # writes up to 128,000 tokens, for $1.79
RATE = Rate("1.75", "14", "0.175", context_window=400_000, max_output_tokens=128_000)
LIMIT = "$1"


def keep(left: list[str], right: list[str]) -> list[str]:
    return left + right


class State(TypedDict):
    said: Annotated[list[str], keep]


def graph(model: Any, *, asynchronous: bool) -> Any:
    """One of fifty nodes that run at once."""
    made = StateGraph(State)
    for number in range(crowd.CALLS):

        def node(state: State, config: RunnableConfig, number: int = number) -> State:
            return {"said": [str(model.invoke(crowd.question(number), config).content)]}

        async def anode(state: State, config: RunnableConfig, number: int = number) -> State:
            return {"said": [str((await model.ainvoke(crowd.question(number), config)).content)]}

        made.add_node(f"n{number}", anode if asynchronous else node)
        made.add_edge(START, f"n{number}")
        made.add_edge(f"n{number}", END)
    return made.compile()


@pytest.mark.parametrize(
    ("how", "store"),
    [
        *((how, "memory") for how in ("invoke", "ainvoke", "batch", "abatch", "nodes", "anodes")),
        *((how, store) for how in ("invoke", "ainvoke") for store in ("sqlite", "redis")),
    ],
)
def test_fifty_calls_at_once_are_all_served(how: str, store: str, provider: Script) -> None:
    """In threads, tasks, batches and the parallel nodes of a graph; none with a cap below 8,192."""
    provider.provider.rates[MODEL] = RATE
    crowd.scripted(provider.provider)
    budget = BudgetCallback(crowd.budget(LIMIT, store))
    model = provider.openai(model=MODEL, max_tokens=None)
    config: Any = {"callbacks": [budget], "max_concurrency": crowd.CALLS}
    questions = [crowd.question(number) for number in range(crowd.CALLS)]
    if how == "invoke":
        crowd.in_threads(lambda number: model.invoke(questions[number], config))
    elif how == "ainvoke":
        asyncio.run(crowd.in_tasks(lambda number: model.ainvoke(questions[number], config)))
    elif how == "batch":
        model.batch(questions, config)
    elif how == "abatch":
        asyncio.run(model.abatch(questions, config))
    elif how == "nodes":
        graph(model, asynchronous=False).invoke({"said": []}, config)
    else:
        asyncio.run(graph(model, asynchronous=True).ainvoke({"said": []}, config))
    crowd.all_are_served(provider.provider, budget.session)
