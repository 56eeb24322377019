"""How a run ends whose budget does: a sentence, a person who raises the limit, or an error that comes once."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph

import bursar
from bursar import Budget, BudgetExceeded, BursarError
from bursar.ledger.swallowed import current_run
from bursar.testing import Reply, ToolCall
from bursar_langchain import BudgetCallback, BudgetMiddleware, LangChainRefusal

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

ASKED: Any = {"messages": [("user", "Search")]}
HOW = pytest.mark.parametrize("how", ["invoke", "ainvoke"])
PRICES = {"web_search": "$0.01"}


@tool
def web_search(query: str) -> str:
    """Search the web."""
    return f"found {query}"


def searches(provider: Script) -> None:
    """A model that always wants another search."""
    provider.provider.always(
        lambda request: Reply(
            tool_calls=[ToolCall("web_search", {"query": f"page {len(request.body['messages'])}"})],
            output_tokens=20,
        )
    )


def run(agent: Any, how: str = "invoke", **config: Any) -> list[Any]:
    work = agent.ainvoke(ASKED, config) if how == "ainvoke" else None
    state = agent.invoke(ASKED, config) if work is None else asyncio.run(work)
    found: list[Any] = state["messages"]
    return found


# -- tools that cannot be paid ----------------------------------------------------------------


@HOW
@pytest.mark.parametrize(("behavior", "rounds"), [("end", 3), ("error", 3)])
def test_a_tool_that_cannot_be_paid_ends_the_run_as_the_middleware_says(
    behavior: Any, rounds: int, how: str, provider: Script
) -> None:
    """Two searches are affordable: the third ends the agent with a sentence, or with the error; no model is asked."""
    searches(provider)
    budget = BudgetMiddleware(Budget("$0.025", tool_prices=PRICES), exit_behavior=behavior)
    agent = create_agent(provider.openai(), [web_search], middleware=[budget])
    if behavior == "error":
        with pytest.raises(BudgetExceeded) as refused:
            run(agent, how)
        assert refused.value.tool == "web_search"
    else:
        with budget.session:
            last = run(agent, how)[-1]
        assert isinstance(last, AIMessage)
        assert "The run ends here, since its budget is used up" in str(last.content)
        assert "web_search" in str(last.content)
    assert provider.sent == rounds
    assert budget.spent * 10**9 == provider.bill_nanos + 20_000_000
    assert budget.reserved == 0


@HOW
def test_a_model_that_is_told_may_not_ask_for_ever(how: str, provider: Script) -> None:
    """After the second round of refused tools in a row the run ends; the model was told once."""
    searches(provider)
    budget = BudgetMiddleware(Budget("$0.015", tool_prices=PRICES), on_tool_denied="tell")
    agent = create_agent(provider.openai(), [web_search], middleware=[budget])
    with budget.session:
        messages = run(agent, how)
    assert "its budget is used up" in str(messages[-1].content)
    assert [message.status for message in messages if message.type == "tool"] == ["success", "error", "error"]
    assert provider.sent == 3


def test_a_final_answer_after_a_tool_that_cannot_be_paid(provider: Script) -> None:
    """A budget that keeps a reserve has the model answer with what it knows, without tools."""
    provider.calls(("web_search", {"query": "sky"}))
    budget = BudgetMiddleware(Budget("$0.008", tool_prices=PRICES, finalization_reserve=0.3))
    agent = create_agent(provider.openai(), [web_search], middleware=[budget])
    assert run(agent)[-1].content == "ok"
    assert provider.sent == 2
    assert "last answer that it pays for" in provider.bodies[-1]["messages"][-1]["content"]
    assert "tools" not in provider.bodies[-1]
    provider.assert_exact(budget)


@pytest.mark.parametrize("spends", ["model", "tool"])
def test_what_the_user_of_an_agent_sees_names_no_internal_id(spends: str, provider: Script) -> None:
    """The closing message has both figures and the limit, and no name of a session."""
    searches(provider)
    prices = PRICES if spends == "tool" else None
    budget = BudgetMiddleware(Budget("$0.004", tool_prices=prices))
    agent = create_agent(provider.openai(), [web_search], middleware=[budget])
    told = str(run(agent, recursion_limit=200)[-1].content)
    assert "$0.004/session" in told
    assert "is left" in told or "are left" in told
    assert budget.session.id not in told and "sess" not in told.replace("/session", "")


# -- the log ----------------------------------------------------------------------------------


@HOW
@pytest.mark.parametrize("kind", ["promised", "held", "tool", "trial"])
def test_refusals_and_trials_leave_no_error_in_the_log_of_langchain(
    kind: str, how: str, provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """They are raised on purpose; what another handler does wrong is still told."""
    searches(provider)
    caplog.set_level(logging.WARNING, "langchain_core.callbacks.manager")
    if kind == "trial":
        budget = BudgetMiddleware("$0.02")
        run(create_agent(provider.openai(max_tokens=None), [], middleware=[budget]), how)
    else:
        limit = Budget("$0.005" if kind == "tool" else "$0", tool_prices=PRICES)
        model = provider.mistral() if kind == "held" else provider.openai()
        agent = create_agent(model, [web_search])
        with pytest.raises(BudgetExceeded):
            run(agent, how, callbacks=[BudgetCallback(limit)])
    assert "Error in" not in caplog.text


def test_errors_of_other_handlers_stay_in_the_log(provider: Script, caplog: pytest.LogCaptureFixture) -> None:
    """Only refusals are left out."""

    class Broken(BaseCallbackHandler):
        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            raise OSError("broken")

    provider.openai().invoke("hi", {"callbacks": [Broken(), BudgetCallback("$1")]})
    assert "Error in Broken.on_chat_model_start callback" in caplog.text


# -- a session for each run ----------------------------------------------------------------------


@HOW
def test_each_outermost_run_has_a_session_of_its_own(how: str, provider: Script) -> None:
    """Two runs may spend the session's limit each; within one, all calls share it."""
    budget = BudgetCallback(Budget("2 calls"), per_run=True)
    model = provider.openai()

    def thrice(asked: str) -> str:
        for _ in range(3):
            model.invoke(asked)
        return asked

    chain, config = RunnableLambda(thrice), {"callbacks": [budget]}
    for _ in range(2):
        with pytest.raises(BudgetExceeded):
            asyncio.run(chain.ainvoke("hi", config)) if how == "ainvoke" else chain.invoke("hi", config)
    for _ in range(3):
        model.invoke("hi", config)
    assert provider.sent == 2 + 2 + 3
    assert budget.spent * 10**9 == provider.bill_nanos
    assert budget.reserved == 0
    assert [found["calls"] for found in budget.report()["runs"]] == [2, 2, 1, 1, 1]


def test_the_fallbacks_of_one_run_share_its_session(provider: Script) -> None:
    """`with_fallbacks` names no parent, but is one run."""
    budget = BudgetCallback(Budget("1 calls"), per_run=True)
    chain = RunnableLambda(lambda _: provider.openai().invoke("a").content + 1).with_fallbacks(
        [provider.openai()]
    )
    with pytest.raises((BudgetExceeded, TypeError)):
        chain.invoke("hi", {"callbacks": [budget]})
    assert provider.sent == 1


def test_a_budget_for_each_run_of_each_tenant(provider: Script) -> None:
    """Runs of a tenant count in his budget, and each has its own session there."""
    budget = BudgetCallback(Budget("1 calls", child_limits=["2 calls/total"]), per_run=True, tenant="user")
    config: Any = {"callbacks": [budget], "metadata": {"user": "ann"}}
    for _ in range(2):
        provider.openai().invoke("hi", config)
    with pytest.raises(BudgetExceeded) as refused:
        provider.openai().invoke("hi", config)
    assert refused.value.limit == "2 calls/total"
    assert provider.sent == 2


def test_a_session_cannot_be_one_for_each_run() -> None:
    """A session is one already; and there is no single one to ask for."""
    with pytest.raises(ValueError, match="per_run= needs a limit or a Budget"):
        BudgetCallback(Budget("$1").session(), per_run=True)
    with pytest.raises(BursarError, match="each run has a session of its own"):
        _ = BudgetCallback("$1", per_run=True).session


# -- a person who raises the limit --------------------------------------------------------------


class Person:
    """Raises the limit, so many times, and remembers what was asked."""

    def __init__(self, budget: Budget, times: int = 1, limit: str = "$1") -> None:
        self.budget, self.times, self.limit = budget, times, limit
        self.asked: list[BudgetExceeded] = []

    def __call__(self, refusal: BudgetExceeded) -> bool:
        self.asked.append(refusal)
        if len(self.asked) > self.times:
            return False
        self.budget.set_limit(self.limit)
        return True


@HOW
@pytest.mark.parametrize(
    "kind",
    [
        "promised",
        pytest.param("held", marks=pytest.mark.needs("tool calls of Mistral's without content")),
        "tool",
    ],
)
def test_a_person_raises_the_limit_and_the_run_goes_on(kind: str, how: str, provider: Script) -> None:
    """The refused call is tried once more; no paid call is repeated."""
    provider.calls(("web_search", {"query": "sky"}))
    limits = ["$0.005/total"] if kind == "tool" else ["$0/total"]
    budget = Budget(*limits, tool_prices=PRICES)
    person = Person(budget, limit="$1/total")
    callback = BudgetCallback(budget, on_budget=person)
    model = provider.mistral() if kind == "held" else provider.openai()
    with callback.session:
        messages = run(create_agent(model, [web_search]), how, callbacks=[callback])
    assert messages[-1].content == "ok"
    assert len(person.asked) == 1
    assert isinstance(person.asked[0], LangChainRefusal)
    assert provider.sent == 2
    assert callback.spent * 10**9 == provider.bill_nanos + 10_000_000
    assert callback.reserved == 0


def test_a_person_who_says_no_is_asked_once(provider: Script) -> None:
    """Then the refusal is raised."""
    person = Person(Budget("$0"), times=0)
    with pytest.raises(BudgetExceeded):
        provider.openai().invoke("hi", {"callbacks": [BudgetCallback(person.budget, on_budget=person)]})
    assert len(person.asked) == 1


def test_a_person_who_raised_too_little_is_asked_once(provider: Script) -> None:
    """The call is refused the second time."""
    person = Person(Budget("$0/total"), times=5, limit="$0.00001/total")
    with pytest.raises(BudgetExceeded):
        provider.openai().invoke("hi", {"callbacks": [BudgetCallback(person.budget, on_budget=person)]})
    assert len(person.asked) == 1


@pytest.mark.parametrize("kind", ["model", "tool"])
def test_a_person_is_awaited(kind: str, provider: Script) -> None:
    """A coroutine function is awaited by the middleware of an async agent."""
    provider.calls(("web_search", {"query": "sky"}))
    budget = Budget("$0.005/total" if kind == "tool" else "$0/total", tool_prices=PRICES)
    person = Person(budget, limit="$1/total")

    async def on_budget(refusal: BudgetExceeded) -> bool:
        await asyncio.sleep(0)
        return person(refusal)

    middleware = BudgetMiddleware(budget, on_budget=on_budget)
    agent = create_agent(provider.openai(), [web_search], middleware=[middleware])
    assert run(agent, "ainvoke")[-1].content == "ok"
    assert (len(person.asked), provider.sent) == (1, 2)
    assert middleware.spent * 10**9 == provider.bill_nanos + 10_000_000


def test_a_person_who_has_to_be_awaited_where_nothing_waits(provider: Script) -> None:
    """A callback cannot wait; nor can an agent that is run without `await`."""

    async def on_budget(refusal: BudgetExceeded) -> bool:
        return True

    with pytest.raises(TypeError, match="cannot be awaited"):
        BudgetCallback("$1", on_budget=on_budget)
    agent = create_agent(provider.openai(), [], middleware=[BudgetMiddleware("$0", on_budget=on_budget)])
    with pytest.raises(TypeError, match="ainvoke or astream"):
        run(agent)
    with pytest.raises(ValueError, match="has its own on_budget"):
        BudgetMiddleware(BudgetCallback("$1"), on_budget=lambda _: True)


# -- refusals of `init` alone -----------------------------------------------------------------------


@pytest.fixture
def covered() -> Iterator[bursar.Session]:
    yield bursar.init("$0")
    bursar.teardown()


@HOW
@pytest.mark.parametrize("work", ["model", "with_retry", "agent"])
def test_refusals_of_init_alone_pass_langchain(
    work: str, how: str, covered: bursar.Session, provider: Script
) -> None:
    """No callback is there, and still nobody retries or hides them."""
    model: Any = provider.openai()
    if work == "agent":
        model = create_agent(model, [])
    elif work == "with_retry":
        model = model.with_retry(retry_if_exception_type=(ConnectionError,))
    given: Any = ASKED if work == "agent" else "hi"
    with pytest.raises(BudgetExceeded) as refused:
        asyncio.run(model.ainvoke(given)) if how == "ainvoke" else model.invoke(given)
    assert isinstance(refused.value, LangChainRefusal)
    assert provider.sent == 0


def test_refusals_of_the_sdk_itself_are_as_they_are(covered: bursar.Session, provider: Script) -> None:
    """Outside of LangChain nothing of it is mixed in."""
    import openai

    raw = openai.OpenAI(base_url=provider.provider.openai_url, api_key="none", max_retries=0)
    with pytest.raises(BudgetExceeded) as refused:
        raw.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert not isinstance(refused.value, LangChainRefusal)


def test_init_imports_no_langchain() -> None:
    """The plugin waits until the program does."""
    code = (
        "import sys, bursar; bursar.init('$1'); assert not [n for n in sys.modules if n.startswith('lang')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# -- a refusal comes once ------------------------------------------------------------------------


def graph_of(provider: Script, node: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph.compile()


@pytest.mark.parametrize("how", ["swallowed", "handled", "swallow=", "around invoke", "made up for"])
@pytest.mark.parametrize("brand", ["openai", "mistral"])
def test_a_node_that_answers_by_itself(how: str, brand: str, provider: Script) -> None:
    """What it swallowed is raised at the end of the session, once, unless somebody has dealt with it."""
    session = Budget("1 calls/total").session(swallow=how == "swallow=")
    model = provider.model(brand)
    model.invoke("hi", {"callbacks": [BudgetCallback(session)]})

    def node(state: Any) -> Any:
        try:
            return {"messages": [model.invoke("hi")]}
        except BudgetExceeded as refusal:
            if how == "around invoke":
                raise
            if how == "handled":
                session.handled(refusal)
            if how == "made up for":
                session.reserve(cost=0).release()
            return {"messages": [("ai", "by myself")]}

    def work() -> None:
        with session:
            config: Any = {"callbacks": [BudgetCallback(session)]}
            try:
                graph_of(provider, node).invoke({"messages": []}, config)
            except BudgetExceeded:
                assert how == "around invoke"

    if how == "swallowed":
        with pytest.raises(BudgetExceeded) as raised:
            work()
        told = "\n".join((str(raised.value), *getattr(raised.value, "__notes__", ())))
        assert "A framework swallowed this refusal" in told
        with session:
            pass  # once
    else:
        work()
    assert session.last_refusal is not None
    assert session.report()["refusals"] == 1
    assert provider.sent == 1


class Answers(AgentMiddleware[Any, Any]):
    """Answers a step by itself whose model is refused."""

    def __init__(self, how: str, budget: BudgetMiddleware) -> None:
        super().__init__()
        self.how, self.budget = how, budget

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        try:
            return handler(request)
        except BudgetExceeded as refusal:
            return self.answer(refusal)

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        try:
            return await handler(request)
        except BudgetExceeded as refusal:
            return self.answer(refusal)

    def answer(self, refusal: BudgetExceeded) -> AIMessage:
        if self.how == "around invoke":
            raise refusal
        if self.how == "handled":
            self.budget.session.handled(refusal)
        return AIMessage("by myself")


@HOW
@pytest.mark.parametrize("ends", ["swallowed", "handled", "around invoke", "enough"])
def test_a_step_that_is_answered_beside_the_middleware(
    ends: str, how: str, provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """With no handler but the middleware's own, the refusal comes once all the same, and nobody is warned."""
    budget = BudgetMiddleware("$1" if ends == "enough" else "$0", exit_behavior="error")
    agent = create_agent(provider.openai(), [], middleware=[Answers(ends, budget), budget])

    def work() -> None:
        with budget.session:
            try:
                run(agent, how)
            except BudgetExceeded:
                assert ends == "around invoke"

    if ends == "swallowed":
        with pytest.raises(BudgetExceeded) as raised:
            work()
        told = "\n".join((str(raised.value), *getattr(raised.value, "__notes__", ())))
        assert "A framework swallowed this refusal" in told
        with budget.session:
            pass  # once
    else:
        work()
    assert "the last call of this session was refused" not in caplog.text
    assert [found["calls"] for found in budget.report()["runs"]] == [1 if ends == "enough" else 0]
    assert provider.sent == (ends == "enough")


class Stops(BaseCallbackHandler):
    """Lets nothing begin, if it is to."""

    raise_error = True

    def __init__(self, *, stops: bool) -> None:
        self.stops = stops

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        if self.stops:
            raise OSError("stopped")

    def on_tool_start(self, *args: Any, **kwargs: Any) -> None:
        if self.stops:
            raise OSError("stopped")

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        if self.stops:
            raise OSError("stopped")


@HOW
@pytest.mark.parametrize("kind", ["promised", "held", "tool", "chain"])
@pytest.mark.parametrize("stops", [True, False])
def test_a_call_that_another_handler_stops_leaves_nothing_for_a_later_one(
    stops: bool, kind: str, how: str, provider: Script
) -> None:
    """What is sent next in its context is paid by whoever pays there, and is in no run of a framework."""
    behind = bursar.init("$1")
    budget = BudgetCallback(Budget("$1", tool_prices=PRICES))
    work: Any = {
        "promised": provider.openai(),
        "held": provider.mistral(),
        "tool": web_search,
        "chain": RunnableLambda(lambda text: text),
    }[kind]
    given: Any = {"query": "sky"} if kind == "tool" else "hi"
    config: Any = {"callbacks": [budget, Stops(stops=stops)]}
    raw = openai.OpenAI(base_url=provider.provider.openai_url, api_key="none", max_retries=0)

    async def both() -> None:
        try:
            await work.ainvoke(given, config) if how == "ainvoke" else work.invoke(given, config)
        except OSError:
            assert stops
        else:
            assert not stops
        assert current_run() is None
        before, billed = budget.spent, provider.bill_nanos
        raw.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        assert budget.spent == before
        assert behind.spent * 10**9 == provider.bill_nanos - billed > 0

    try:
        asyncio.run(both())
    finally:
        bursar.teardown()
    held = kind in ("held", "tool") if stops else kind != "chain"
    assert (budget.spent + budget.reserved > 0) is held  # nobody tells that it is not made


def test_a_refusal_of_the_callers_own_is_warned_of_once(
    provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """Where his own `reserve` was refused last, the end of the session says so, and raises nothing."""
    session = Budget("$0").session()
    with session, pytest.raises(BudgetExceeded):
        session.reserve(cost=1)
    with session:
        pass
    assert caplog.text.count("the last call of this session was refused") == 1
