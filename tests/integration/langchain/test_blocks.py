"""A call that does not fit is never sent, whichever way it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableParallel
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

from bursar import Budget, BudgetExceeded, Limit, UnknownModel, UnpriceableCall
from bursar.testing import Reply
from bursar_langchain import BudgetCallback, LangChainRefusal

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script


class Colour(BaseModel):
    """A colour."""

    name: str


def invoke(model: Any, question: Any, config: Any) -> None:
    model.invoke(question, config)


def stream(model: Any, question: Any, config: Any) -> None:
    list(model.stream(question, config))


def batch(model: Any, question: Any, config: Any) -> None:
    model.batch([question], config)


def generate(model: Any, question: Any, config: Any) -> None:
    model.generate([question], **config)


def in_a_chain(model: Any, question: Any, config: Any) -> None:
    (ChatPromptTemplate.from_messages(question) | model).invoke({}, config)


def in_parallel(model: Any, question: Any, config: Any) -> None:
    RunnableParallel(only=model).invoke(question, config)


def structured(model: Any, question: Any, config: Any) -> None:
    model.with_structured_output(Colour, method="function_calling").invoke(question, config)


def with_tools(model: Any, question: Any, config: Any) -> None:
    model.bind_tools([look_up]).invoke(question, config)


def stream_events(model: Any, question: Any, config: Any) -> None:
    assert list(model.stream_events(question, config, version="v3"))


V3 = pytest.mark.needs("events of the third version")
WAYS = [invoke, stream, batch, generate, in_a_chain, in_parallel, with_tools]
BRANDS = ["openai", "responses", "anthropic"]
CALLS = [(way, brand) for way in WAYS for brand in BRANDS] + [
    (structured, "openai"),
    (structured, "responses"),
    *((way, "mistral") for way in WAYS if way is not stream),  # see test_other_models
    *(pytest.param(stream_events, brand, marks=V3) for brand in BRANDS),
]
LIMITS = [pytest.param("$1", id="enough"), pytest.param("$0.00001", id="too-little")]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(("way", "brand"), CALLS)
def test_one_call(way: Any, brand: str, limit: str, provider: Script, question: Any) -> None:
    """With money one request is sent and billed exactly; without, none is, and the caller is told."""
    if way is structured:
        provider.calls(("Colour", {"name": "blue"}))
    budget = BudgetCallback(limit)
    model = provider.model(brand)
    if limit == "$1":
        way(model, question, {"callbacks": [budget]})
        assert provider.sent == 1
    else:
        with pytest.raises(BudgetExceeded) as refused:
            way(model, question, {"callbacks": [budget]})
        assert isinstance(refused.value, LangChainRefusal)
        assert refused.value.limit == "$0.00001/session"
        assert provider.sent == 0
    provider.assert_exact(budget)


@pytest.mark.parametrize("place", ["model", "config", "both"])
@pytest.mark.parametrize("limit", LIMITS)
def test_where_the_handler_hangs(limit: str, place: str, provider: Script, question: Any) -> None:
    """A handler of the model, of the run, or of both guards the call and charges it once."""
    budget = BudgetCallback(limit)
    model = provider.openai(callbacks=None if place == "config" else [budget])
    config: Any = {} if place == "model" else {"callbacks": [budget]}
    if limit == "$1":
        model.invoke(question, config)
        assert provider.sent == 1
    else:
        with pytest.raises(BudgetExceeded):
            model.invoke(question, config)
        assert provider.sent == 0
    provider.assert_exact(budget)


def look_up(place: str) -> str:
    """Tell the weather."""
    return f"sunny in {place}"


AGENT_LIMITS = [
    pytest.param("$1", 2, id="enough"),
    pytest.param("1 calls", 1, id="too-little-for-the-second"),
    pytest.param("$0.00001", 0, id="too-little"),
]


@pytest.mark.parametrize(("limit", "sent"), AGENT_LIMITS)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_agent(way: str, limit: str, sent: int, provider: Script) -> None:
    """An agent makes exactly the calls that fit; the refusal reaches its caller."""
    provider.calls(("look_up", {"place": "Oslo"}))
    budget = BudgetCallback(limit)
    agent = create_agent(provider.openai(), [look_up])

    def run() -> None:
        asked: Any = {"messages": [("user", "How is the weather in Oslo?")]}
        config: Any = {"callbacks": [budget]}
        if way == "invoke":
            assert agent.invoke(asked, config)["messages"][-1].content == "ok"
        else:
            assert list(agent.stream(asked, config))

    if sent == 2:
        run()
    else:
        with pytest.raises(BudgetExceeded):
            run()
    assert provider.sent == sent
    provider.assert_exact(budget)


def keep(left: list[str], right: list[str]) -> list[str]:
    return left + right


class State(TypedDict):
    said: Annotated[list[str], keep]


def graph_of(provider: Script, nodes: int) -> Any:
    graph = StateGraph(State)
    for number in range(nodes):
        model = provider.openai()
        graph.add_node(f"n{number}", lambda state, model=model: {"said": [model.invoke("Go").content]})
        graph.add_edge(START, f"n{number}")
        graph.add_edge(f"n{number}", END)
    return graph.compile()


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "subgraph"])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), ("2 calls", 2), ("$0.00001", 0)])
def test_parallel_nodes(limit: str, sent: int, nested: bool, provider: Script) -> None:
    """Of three nodes that run at once, exactly those call that fit; a refusal is not lost."""
    budget = BudgetCallback(limit)
    graph = graph_of(provider, 3)
    if nested:
        outer = StateGraph(State)
        outer.add_node("inner", graph)
        outer.add_edge(START, "inner")
        graph = outer.compile()
    if sent == 3:
        assert graph.invoke({"said": []}, {"callbacks": [budget]})["said"] == ["ok"] * 3
    else:
        with pytest.raises(BudgetExceeded):
            graph.invoke({"said": []}, {"callbacks": [budget]})
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "answered"), [("$1", 4), ("2 calls", 2), ("$0.00001", 0)])
def test_batch_that_keeps_its_errors(limit: str, answered: int, provider: Script) -> None:
    """`batch(return_exceptions=True)` hands the refusals over in place of the answers."""
    budget = BudgetCallback(limit)
    results = provider.openai().batch(["a", "b", "c", "d"], {"callbacks": [budget]}, return_exceptions=True)
    refused = [result for result in results if isinstance(result, BudgetExceeded)]
    assert (len(results) - len(refused), provider.sent) == (answered, answered)
    provider.assert_exact(budget)


@pytest.mark.parametrize("known", [True, False])
def test_model_without_a_price(known: bool, provider: Script, question: Any) -> None:
    """A model that cannot be priced is not called, and the error says so; a price cures it."""
    prices = {"home-made": ("2.5", "10")} if known else None
    budget = BudgetCallback(Budget("$1", prices=prices))
    model = provider.openai(model="home-made")
    if known:
        model.invoke(question, {"callbacks": [budget]})
        assert provider.sent == 1
        provider.assert_exact(budget)
    else:
        with pytest.raises(UnknownModel) as refused:
            model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke(
                question, {"callbacks": [budget]}
            )
        assert isinstance(refused.value, LangChainRefusal)
        assert provider.sent == 0
    assert budget.reserved == 0


@pytest.mark.parametrize("hosted", [False, True])
@pytest.mark.parametrize("brand", ["openai", "mistral"])
def test_tool_that_runs_at_the_provider(brand: str, hosted: bool, provider: Script, question: Any) -> None:
    """What a search of the provider's costs has no bound: refused; without one the same call is served."""
    budget = BudgetCallback("$0.10")
    model: Any = provider.model(brand)
    if hosted:
        with pytest.raises(UnpriceableCall) as refused:
            model.bind(web_search_options={}, extra_body={"web_search_options": {"a": 1}}).invoke(
                question, {"callbacks": [budget]}
            )
        assert isinstance(refused.value, LangChainRefusal)
        assert provider.sent == 0
    else:
        model.bind_tools([look_up]).invoke(question, {"callbacks": [budget]})
        assert provider.sent == 1
    provider.assert_exact(budget)


@pytest.mark.parametrize(("asked", "sent"), [(20, 1), (4000, 1), (4000, 0)])
@pytest.mark.parametrize("where", ["constructor", "bind", "extra_body"])
@pytest.mark.parametrize("brand", ["openai", "mistral"])
def test_the_cap_that_is_sent_is_the_cap_that_is_held(
    brand: str, asked: int, sent: int, where: str, provider: Script, question: Any
) -> None:
    """The output cap counts wherever it is set: a large one is lowered by the SDK, or refused where nothing can be."""
    limit = "$0.005" if sent else "$0.0001"
    budget = BudgetCallback(Budget(limit, prices={"mistral-small-latest": ("2.50", "10")}))
    if brand == "mistral":
        provider.provider.rates["mistral-small-latest"] = provider.provider.rates["gpt-4o"]
    provider.provider.always(Reply("ok", output_tokens="most"))
    body = {"max_tokens" if brand == "mistral" else "max_completion_tokens": asked}
    if where == "constructor":
        model: Any = provider.model(brand, max_tokens=asked)
    elif where == "bind" or brand == "mistral":
        model = provider.model(brand, max_tokens=None).bind(max_tokens=asked)
    else:
        model = provider.model(brand, max_tokens=None, extra_body=body)
    if sent and (brand == "openai" or asked == 20):
        model.invoke(question, {"callbacks": [budget]})
        assert provider.sent == 1
        caps = [provider.bodies[0].get(name) for name in ("max_tokens", "max_completion_tokens")]
        assert (asked in caps) is (asked == 20)
    else:
        with pytest.raises(BudgetExceeded):
            model.invoke(question, {"callbacks": [budget]})
        assert provider.sent == 0
    assert budget.remaining is not None and budget.remaining >= 0
    provider.assert_exact(budget)


@pytest.mark.parametrize(("provider_name", "sent"), [("mistral", 0), ("anthropic", 1)])
def test_limit_of_one_provider(provider_name: str, sent: int, provider: Script, question: Any) -> None:
    """A limit for a provider holds for the models that LangChain says are its own; a covered SDK goes by the host."""
    budget = BudgetCallback(Budget("$1", Limit("$0", provider=provider_name)))
    if sent:
        provider.mistral().invoke(question, {"callbacks": [budget]})
    else:
        with pytest.raises(BudgetExceeded):
            provider.mistral().invoke(question, {"callbacks": [budget]})
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize("stopped", [False, True])
def test_kill_switch(stopped: bool, provider: Script, question: Any) -> None:
    """A session that was stopped lets nothing through, whatever is left in it."""
    budget = BudgetCallback("$1")
    if stopped:
        budget.session.trip("enough")
        with pytest.raises(BudgetExceeded, match="enough"):
            provider.openai().invoke(question, {"callbacks": [budget]})
    else:
        provider.openai().invoke(question, {"callbacks": [budget]})
    assert provider.sent == (0 if stopped else 1)
    provider.assert_exact(budget)
