"""Fifty different calls at once, without an output cap, on a budget that holds less than one worst case."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from bursar import Budget, BudgetExceeded, Price
from bursar.testing import Rate
from bursar_langchain import BudgetCallback

from ...servers import until
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
    """In threads, tasks, batches and the parallel nodes of a graph; at most ten waves, no cap below 8,192."""
    provider.provider.rates[MODEL] = RATE
    model = provider.openai(model=MODEL, max_tokens=None)
    questions = [crowd.question(number) for number in range(crowd.CALLS)]
    with crowd.in_waves(provider.provider, LIMIT, store) as budget:
        config: Any = {"callbacks": [BudgetCallback(budget)], "max_concurrency": crowd.CALLS}
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


class Homely(BaseChatModel):
    """A model of somebody's own, which no SDK sends."""

    @property
    def _llm_type(self) -> str:
        return "homely"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("An answer."))])


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "invoke in a loop"])
def test_a_model_of_ones_own_waits_where_a_thread_may_block(how: str) -> None:
    """In a running event loop it is refused at once, and told what helps; where there is room it is answered."""
    price = Price(1, 10_000, max_output_tokens=100)
    budget = Budget("$1.10/total", prices={"Homely": price}, clamp=False)
    hold = Context().run(budget.session().reserve, cost="$0.60")
    payer, model = BudgetCallback(budget), Homely()
    config: Any = {"callbacks": [payer]}

    def waiting() -> bool:
        return bool(payer.session._ledger.queue(payer.session._path)._lines)

    async def in_a_loop() -> None:
        if how == "ainvoke":
            await model.ainvoke("Why?", config)
        else:
            model.invoke("Why?", config)

    if how == "invoke":
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(model.invoke, "Why?", config)
            until(lambda: waiting() or call.done())
            assert not call.done()
            hold.release()
            assert call.result(30).content == "An answer."
    else:
        with pytest.raises(BudgetExceeded, match="it cannot wait in a running event loop") as refusal:
            asyncio.run(in_a_loop())
        assert "asynchronous client" in str(refusal.value)
        hold.release()
        asyncio.run(in_a_loop())
    assert payer.session.calls == 1 and payer.session.reserved == budget.reserved == 0
    assert budget.report()["refusals"] == (how != "invoke")
