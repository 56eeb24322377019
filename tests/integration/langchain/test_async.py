"""The async ways are guarded like the blocking ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

from bursar import BudgetExceeded
from bursar_langchain import BudgetCallback, LangChainRefusal

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script


class Colour(BaseModel):
    """A colour."""

    name: str


async def look_up(place: str) -> str:
    """Tell the weather."""
    return f"sunny in {place}"


async def ainvoke(model: Any, question: Any, config: Any) -> None:
    await model.ainvoke(question, config)


async def astream(model: Any, question: Any, config: Any) -> None:
    assert [chunk async for chunk in model.astream(question, config)]


async def abatch(model: Any, question: Any, config: Any) -> None:
    await model.abatch([question], config)


async def agenerate(model: Any, question: Any, config: Any) -> None:
    await model.agenerate([question], **config)


async def astream_events(model: Any, question: Any, config: Any) -> None:
    assert [event async for event in model.astream_events(question, config, version="v2")]


async def astream_events_v3(model: Any, question: Any, config: Any) -> None:
    assert [event async for event in await model.astream_events(question, config, version="v3")]


async def with_tools(model: Any, question: Any, config: Any) -> None:
    await model.bind_tools([look_up]).ainvoke(question, config)


async def structured(model: Any, question: Any, config: Any) -> None:
    await model.with_structured_output(Colour, method="function_calling").ainvoke(question, config)


async def in_parallel(model: Any, question: Any, config: Any) -> None:
    await RunnableParallel(only=model).ainvoke(question, config)


async def in_a_chain(model: Any, question: Any, config: Any) -> None:
    await (ChatPromptTemplate.from_messages(question) | model).ainvoke({}, config)


async def from_a_blocking_step(model: Any, question: Any, config: Any) -> None:
    def step(asked: Any, config: RunnableConfig) -> Any:
        return model.invoke(asked, config)

    await RunnableLambda(step).ainvoke(question, config)


async def in_gather(model: Any, question: Any, config: Any) -> None:
    await asyncio.gather(model.ainvoke(question, config))


WAYS = [ainvoke, astream, abatch, agenerate, astream_events, in_a_chain, from_a_blocking_step, in_gather]
WAYS += [in_parallel, with_tools]
BRANDS = ["openai", "responses", "anthropic"]
V3 = pytest.mark.needs("events of the third version")
CALLS = [
    *((way, brand) for way in WAYS for brand in BRANDS),
    (structured, "openai"),
    (structured, "responses"),
    # Streams of this vendor: see test_other_models.
    *((way, "mistral") for way in WAYS if way not in (astream, astream_events)),
    *(pytest.param(astream_events_v3, brand, marks=V3) for brand in BRANDS),
]


@pytest.mark.parametrize("limit", ["$1", "$0.00001"])
@pytest.mark.parametrize(("way", "brand"), CALLS)
def test_one_call(way: Any, brand: str, limit: str, provider: Script, question: Any) -> None:
    """With money one request is sent and billed exactly; without, none is, and the caller is told."""
    if way is structured:
        provider.calls(("Colour", {"name": "blue"}))
    budget = BudgetCallback(limit)
    model = provider.model(brand)
    if limit == "$1":
        asyncio.run(way(model, question, {"callbacks": [budget]}))
        assert provider.sent == 1
    else:
        with pytest.raises(BudgetExceeded) as refused:
            asyncio.run(way(model, question, {"callbacks": [budget]}))
        assert isinstance(refused.value, LangChainRefusal)
        assert provider.sent == 0
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1), ("$0.00001", 0)])
@pytest.mark.parametrize("way", ["ainvoke", "astream", "astream_events"])
def test_agent(way: str, limit: str, sent: int, provider: Script) -> None:
    """An agent makes exactly the calls that fit; the refusal reaches its caller."""
    provider.calls(("look_up", {"place": "Oslo"}))
    budget = BudgetCallback(limit)
    agent = create_agent(provider.agent_model(budget), [look_up])
    asked: Any = {"messages": [("user", "How is the weather in Oslo?")]}

    async def run() -> None:
        config: Any = {"callbacks": [budget]}
        if way == "ainvoke":
            assert (await agent.ainvoke(asked, config))["messages"][-1].content == "ok"
        elif way == "astream":
            assert [step async for step in agent.astream(asked, config)]
        else:
            assert [event async for event in agent.astream_events(asked, config, version="v2")]

    if sent == 2:
        asyncio.run(run())
    else:
        with pytest.raises(BudgetExceeded):
            asyncio.run(run())
    assert provider.sent == sent
    provider.assert_exact(budget)


def keep(left: list[str], right: list[str]) -> list[str]:
    return left + right


class State(TypedDict):
    said: Annotated[list[str], keep]


@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), ("2 calls", 2), ("$0.00001", 0)])
def test_parallel_nodes(limit: str, sent: int, provider: Script) -> None:
    """Of three nodes that run at once, no more than those call that fit; the ledger is never below the bill."""
    budget = BudgetCallback(limit)
    model = provider.openai()
    graph = StateGraph(State)

    async def node(state: State, config: RunnableConfig) -> State:
        return {"said": [str((await model.ainvoke("Go", config)).content)]}

    for number in range(3):
        graph.add_node(f"n{number}", node)
        graph.add_edge(START, f"n{number}")
        graph.add_edge(f"n{number}", END)
    compiled: Any = graph.compile()

    async def run() -> Any:
        return await compiled.ainvoke({"said": []}, {"callbacks": [budget]})

    if sent == 3:
        assert asyncio.run(run())["said"] == ["ok"] * 3
        provider.assert_exact(budget)
    else:
        with pytest.raises(BudgetExceeded):
            asyncio.run(run())
    assert provider.sent <= sent
    assert budget.spent * 10**9 >= provider.bill_nanos
    assert budget.reserved == 0


@pytest.mark.parametrize(("limit", "answered"), [("$1", 8), ("5 calls", 5), ("$0.00001", 0)])
def test_abatch_that_keeps_its_errors(limit: str, answered: int, provider: Script) -> None:
    """Of eight calls at once exactly those are sent that fit; the others come back as refusals."""
    budget = BudgetCallback(limit)
    model = provider.openai()

    async def run() -> list[Any]:
        return await model.abatch(["hi"] * 8, {"callbacks": [budget]}, return_exceptions=True)

    refused = [result for result in asyncio.run(run()) if isinstance(result, BudgetExceeded)]
    assert (8 - len(refused), provider.sent) == (answered, answered)
    provider.assert_exact(budget)
