"""A callback promises, the covered SDK holds: caps are lowered, and nothing is held small and sent large."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI, OpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import SecretStr
from tests.integration.langchain.conftest import RATES

import bursar
from bursar import Budget, BudgetExceeded, BursarError, Session
from bursar.integration import admission
from bursar.testing import Rate, Reply, ScriptedProvider, ToolCall
from bursar_langchain import BudgetCallback, BudgetMiddleware, LangChainRefusal, install, uninstall

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

MOST = "most"
WAYS = ["invoke", "ainvoke", "stream", "astream", "batch", "abatch", "agent", "node"]


@pytest.fixture
def largest() -> Iterator[ScriptedProvider]:
    """A provider that writes as much as each request allows."""
    rates = {**RATES, "gpt-5.2": Rate("1.75", "14", "0.175")}
    with ScriptedProvider(rates=rates, output_tokens=MOST) as provider:
        yield provider


def thinker(provider: ScriptedProvider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(
        **{"model": "gpt-5.2", "max_retries": 0, **settings},
        base_url=provider.openai_url,
        api_key=SecretStr("none"),
    )


def ask(model: Any, way: str, text: str, config: Any) -> None:
    """One question, in one of the ways to ask it."""

    async def read() -> None:
        assert [part async for part in model.astream(text, config)]

    if way == "agent":
        create_agent(model, []).invoke({"messages": [("user", text)]}, config)
    elif way == "node":
        graph = StateGraph(MessagesState)
        graph.add_node("node", lambda state: {"messages": [model.invoke(state["messages"])]})
        graph.add_edge(START, "node")
        graph.add_edge("node", END)
        graph.compile().invoke({"messages": [("user", text)]}, config)
    elif way == "astream":
        asyncio.run(read())
    elif way in ("ainvoke", "abatch"):
        asyncio.run(getattr(model, way)(text if way == "ainvoke" else [text], config))
    elif way == "stream":
        assert list(model.stream(text, config))
    else:
        getattr(model, way)(text if way == "invoke" else [text], config)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", ["$1", "$0.10", "$0.01"])
def test_hi_is_served_on_a_small_budget(limit: str, way: str, largest: ScriptedProvider) -> None:
    """A model that may write for $1.79 is asked with the cap that is affordable, and the bill stays below the limit."""
    budget = BudgetCallback(limit)
    ask(thinker(largest), way, "hi", {"callbacks": [budget]})
    assert largest.hits == 1
    assert budget.spent == largest.bill <= bursar.Budget(limit).session().remaining
    assert budget.reserved == 0
    assert budget.report()["clamped"] == 1


def test_a_budget_is_used_up_and_never_passed(largest: ScriptedProvider) -> None:
    """An agent that goes on and on is refused when less than the smallest useful answer is left."""
    largest.always(
        lambda request: Reply(
            tool_calls=[ToolCall("look_up", {"place": str(len(request.body["messages"]))})], output_tokens=300
        )
    )

    def look_up(place: str) -> str:
        """Tell the weather."""
        return f"sunny in {place}"

    budget = BudgetCallback("$0.10")
    agent = create_agent(thinker(largest), [look_up])
    with pytest.raises(BudgetExceeded) as refused:
        agent.invoke({"messages": [("user", "go")]}, {"callbacks": [budget], "recursion_limit": 1_000})
    assert budget.spent == largest.bill <= 0.1
    assert budget.reserved == 0
    smallest = refused.value.asked
    assert smallest is not None and budget.remaining is not None
    assert 0 <= budget.remaining < 0.01


class Fake:
    """A client of somebody's own: it sends nothing."""

    def __init__(self, usage: bool) -> None:
        self.asked = 0
        self.usage = usage
        self.with_raw_response = self

    def create(self, **_: Any) -> Any:
        self.asked += 1
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        answer = {
            "id": "x",
            "model": "gpt-5.2",
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
            ],
            **({"usage": usage} if self.usage else {}),
        }
        return SimpleNamespace(parse=lambda: answer, headers={})


@pytest.mark.parametrize("usage", [True, False])
def test_a_client_that_sends_around_the_sdk(
    usage: bool, largest: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Its answer is booked, by its usage or at the worst case; it is said, and every further call is held before."""
    budget = BudgetCallback("$1")
    fake = Fake(usage)
    model = thinker(largest).model_copy(update={"client": fake, "root_client": None})
    model.invoke("hi", {"callbacks": [budget]})
    charged = budget.spent
    assert charged == (bursar.Budget().session().estimate("gpt-5.2", 100, 50) if usage else charged)
    assert charged > (0 if usage else 1)
    assert budget.reserved == 0
    assert "did not send its request through the covered SDK" in caplog.text
    with pytest.raises(BudgetExceeded):  # its worst case is $1.79
        model.invoke("hi", {"callbacks": [budget]})
    assert fake.asked == 1


class Own(ChatOpenAI):
    """A subclass that may send anywhere."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        message = AIMessage("hi", response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])


def test_a_subclass_is_held_beforehand(largest: ScriptedProvider) -> None:
    """Only the classes themselves are known to send through the SDK."""
    own = Own(model="gpt-5.2", base_url=largest.openai_url, api_key=SecretStr("none"))
    with pytest.raises(BudgetExceeded):
        own.invoke("hi", {"callbacks": [BudgetCallback("$1")]})
    budget = BudgetCallback("$2")
    own.invoke("hi", {"callbacks": [budget]})
    assert budget.spent > 0
    assert budget.reserved == 0


@pytest.mark.parametrize("limit", ["$1", "$0.00001"])
@pytest.mark.parametrize("brand", ["mistral", "groq"])
def test_a_model_on_no_covered_sdk_is_held_beforehand(brand: str, limit: str, provider: Script) -> None:
    """Nobody can lower its cap: it is held whole, and refused where that does not fit."""
    budget = BudgetCallback(limit)
    if limit == "$1":
        provider.model(brand).invoke("hi", {"callbacks": [budget]})
    else:
        with pytest.raises(BudgetExceeded):
            provider.model(brand).invoke("hi", {"callbacks": [budget]})
    assert provider.sent == (limit == "$1")
    provider.assert_exact(budget)


def test_an_sdk_that_is_too_old_stops_its_own_models_only(
    provider: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says so when a model of that SDK is asked; nothing is sent."""

    def covered(sdk: str) -> frozenset[str]:
        if sdk == "anthropic":
            raise BursarError("anthropic 0.1 is too old")
        return bursar.integration.covered_sdks(sdk)

    monkeypatch.setattr(admission, "covered_sdks", covered)
    budget = BudgetCallback("$1")
    provider.openai().invoke("hi", {"callbacks": [budget]})
    with pytest.raises(BursarError, match="too old") as refused:
        provider.anthropic().invoke("hi", {"callbacks": [budget]})
    assert isinstance(refused.value, LangChainRefusal)
    assert provider.sent == 1
    provider.assert_exact(budget)


@pytest.mark.parametrize("how", ["batch", "abatch", "generate", "agenerate"])
def test_each_of_many_prompts_is_paid_once(how: str, provider: Script) -> None:
    """Every request claims its own promise, one after the other and at once."""
    budget = BudgetCallback("$1")
    model = provider.openai()
    texts = [f"Why {number}?" for number in range(8)]
    if how.endswith("batch"):
        work = getattr(model, how)(texts, {"callbacks": [budget]})
    else:
        work = getattr(model, how)([[HumanMessage(text)] for text in texts], callbacks=[budget])
    if how.startswith("a"):
        asyncio.run(_awaited(work))
    assert provider.sent == budget.session.calls == 8
    provider.assert_exact(budget)


async def _awaited(work: Any) -> Any:
    return await work


@pytest.mark.parametrize("brand", ["openai", "anthropic", "mistral"])
def test_an_answer_from_the_cache_is_free(brand: str, provider: Script) -> None:
    """A promise that the cache made needless costs nothing; what it saved is counted."""
    set_llm_cache(InMemoryCache())
    budget = BudgetCallback("1 calls" if brand != "mistral" else "2 calls")
    for _ in range(2):
        provider.model(brand).invoke("hi", {"callbacks": [budget]})
    assert provider.sent == budget.session.calls == 1
    assert budget.report()["saved"] > 0
    provider.assert_exact(budget)


@pytest.mark.parametrize(("first", "second", "sent"), [("$1", "$1", 1), ("$1", "$0", 0), ("$0", "$1", 0)])
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_handlers_of_two_sessions(way: str, first: str, second: str, sent: int, provider: Script) -> None:
    """Both are charged what was billed, or neither; the cap that is sent fits both."""
    budgets = [BudgetCallback(first), BudgetCallback(second)]
    config = {"callbacks": list(budgets)}
    if sent:
        ask(provider.openai(), way, "hi", config)
    else:
        with pytest.raises(BudgetExceeded):
            ask(provider.openai(), way, "hi", config)
    assert provider.sent == sent
    for budget in budgets:
        provider.assert_exact(budget)


@pytest.mark.parametrize(("first", "second"), [("$1", "$0.10"), ("$0.10", "$1"), ("$0.10", "$0.05")])
@pytest.mark.parametrize("way", ["invoke", "astream"])
def test_the_smaller_of_two_sessions_lowers_the_cap(
    way: str, first: str, second: str, largest: ScriptedProvider
) -> None:
    """With a provider that writes all it may, neither is passed, and both are charged the bill."""
    budgets = [BudgetCallback(first), BudgetCallback(second)]
    ask(thinker(largest), way, "hi", {"callbacks": list(budgets)})
    assert largest.hits == 1
    for budget in budgets:
        assert budget.spent == largest.bill
        assert budget.reserved == 0
        assert budget.remaining is not None and budget.remaining >= 0


# -- text models, which start in a task of their own ----------------------------------------------


@pytest.mark.parametrize("prompts", [1, 3])
@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("payer", ["init", "with", "init of another"])
def test_a_text_model_is_paid_once(payer: str, how: str, prompts: int, provider: Script) -> None:
    """Held by the handler; whoever pays for the SDK as well stands aside."""
    session = Budget("$1").session()
    other: Session | None = None
    if payer == "init":
        session = bursar.init("$1")
    elif payer != "with":
        other = bursar.init("$1")
    try:
        model = OpenAI(
            base_url=provider.provider.openai_url,
            api_key=SecretStr("none"),
            model="gpt-3.5-turbo-instruct",
            max_tokens=50,
            max_retries=0,
        )
        texts = [f"The sky is {number}" for number in range(prompts)]
        config: Any = {"callbacks": [BudgetCallback(session)]}
        if payer == "with":
            with session:
                asyncio.run(model.abatch(texts, config)) if how == "async" else model.batch(texts, config)
        else:
            asyncio.run(model.abatch(texts, config)) if how == "async" else model.batch(texts, config)
        assert session.calls == prompts
        provider.assert_exact(session)
        assert other is None or other.calls == 0
    finally:
        bursar.teardown()


# -- every way to pay at once -------------------------------------------------------------------


@pytest.mark.parametrize("callback", [True, False], ids=["callback", "-"])
@pytest.mark.parametrize("middleware", [True, False], ids=["middleware", "-"])
@pytest.mark.parametrize("installed", [True, False], ids=["install", "-"])
@pytest.mark.parametrize("initialised", [True, False], ids=["init", "-"])
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_whatever_is_combined_charges_once(
    way: str, callback: bool, middleware: bool, installed: bool, initialised: bool, provider: Script
) -> None:
    """One session, hung on an agent in all ways at once, is charged each call of it once."""
    session = bursar.init("$1") if initialised else Budget("$1").session()
    try:
        if installed:
            install(session)
        agent = create_agent(
            provider.openai(), [], middleware=[BudgetMiddleware(session)] if middleware else []
        )
        config: Any = {"callbacks": [BudgetCallback(session)] if callback else []}
        given: Any = {"messages": [("user", "hi")]}
        asyncio.run(agent.ainvoke(given, config)) if way == "ainvoke" else agent.invoke(given, config)
        paid = callback or middleware or installed or initialised
        assert provider.sent == 1
        assert session.calls == paid
        if paid:
            provider.assert_exact(session)
    finally:
        uninstall()
        bursar.teardown()


# -- what becomes of a call ---------------------------------------------------------------------


@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
@pytest.mark.parametrize(
    ("script", "exact", "sent"),
    [
        ([Reply(status=500)], True, 2),
        ([Reply(status=429), Reply(status=503)], True, 3),
        ([Reply(status=408)], False, 2),
        ([Reply(drop="before_headers")], False, 2),
    ],
    ids=["500", "429 503", "408", "dropped"],
)
def test_retries_settle_as_under_the_sdk_alone(
    script: Any, exact: bool, sent: int, how: str, brand: str, provider: Script
) -> None:
    """Retries that LangChain never sees: an error answer is free, one in doubt is kept at its worst."""
    figures = []

    async def both() -> None:  # in one event loop: ChatAnthropic shares its client
        for alone in (True, False):
            provider.provider.script(*script)
            before = provider.bill_nanos, provider.sent
            session = Budget("$1").session()
            model = provider.model(brand, max_retries=2)
            config: Any = {"callbacks": [] if alone else [BudgetCallback(session)]}
            bursar.integration.covered_sdks()
            with session if alone else nullcontext():
                await model.ainvoke("hi", config) if how == "ainvoke" else model.invoke("hi", config)
            figures.append((session.spent, session.reserved, session.calls, session.report()["estimated"]))
            assert provider.sent - before[1] == sent
            billed = provider.bill_nanos - before[0]
            assert session.spent * 10**9 == billed if exact else session.spent * 10**9 > billed

    asyncio.run(both())
    assert figures[0] == figures[1]
    assert figures[0][1] == 0


@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
def test_an_abandoned_stream_settles_as_under_the_sdk_alone(brand: str, provider: Script) -> None:
    """It is booked at the worst once it is left, with and without the callback."""
    spent = []
    for alone in (True, False):
        provider.says("a long answer in several pieces")
        session = Budget("$1").session()
        bursar.integration.covered_sdks()
        if alone:
            with session:
                stream = provider.model(brand).stream("hi")
                next(stream)
                stream.close()
        else:
            stream = provider.model(brand).stream("hi", {"callbacks": [BudgetCallback(session)]})
            next(stream)
            stream.close()
        del stream
        gc.collect()  # older SDKs leave the connection to the collector
        assert session.reserved == 0
        spent.append(session.spent)
    assert spent[0] == spent[1] > 0
