"""Nothing that retries or falls back lets a refused call through, or hides the refusal."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import TYPE_CHECKING, Any, TypedDict

import pytest
from langchain.agents import create_agent, middleware
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

import bursar
from bursar import Budget, BudgetExceeded, BursarError, Tripped
from bursar_langchain import BudgetCallback, LangChainRefusal

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

OLD = not hasattr(middleware, "ModelRetryMiddleware")
ENOUGH = pytest.param("$1", id="enough")
TOO_LITTLE = pytest.param("$0.00001", id="too-little")


@pytest.mark.parametrize("limit", [ENOUGH, TOO_LITTLE])
def test_with_retry(limit: str, provider: Script, question: Any) -> None:
    """`with_retry` repeats a failed call, each attempt with its own hold; a refused one is never sent."""
    budget = BudgetCallback(limit)
    model = provider.openai().with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    provider.fails(500, times=2)
    if limit == "$1":
        assert model.invoke(question, {"callbacks": [budget]}).content == "ok"
        assert provider.sent == 3
    else:
        with pytest.raises(BudgetExceeded):
            model.invoke(question, {"callbacks": [budget]})
        assert provider.sent == 0
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.0001", 1), ("$0.000001", 0)])
def test_with_fallbacks(limit: str, sent: int, provider: Script, question: Any) -> None:
    """A fallback is a way down to a model that still fits; where none fits the refusal is raised."""
    budget = BudgetCallback(limit)
    model = provider.openai().with_fallbacks([provider.openai(model="gpt-4o-mini")])
    if sent:
        model.invoke(question, {"callbacks": [budget]})
        assert provider.bodies[0]["model"] == ("gpt-4o" if limit == "$1" else "gpt-4o-mini")
    else:
        with pytest.raises(BudgetExceeded):
            model.invoke(question, {"callbacks": [budget]})
    assert provider.sent == sent
    provider.assert_exact(budget)


class State(TypedDict):
    answer: str


POLICIES = [
    pytest.param(RetryPolicy(initial_interval=0.01, jitter=False), id="default"),
    pytest.param(RetryPolicy(initial_interval=0.01, jitter=False, retry_on=Exception), id="everything"),
]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("limit", [ENOUGH, TOO_LITTLE])
def test_retry_policy_of_a_node(limit: str, policy: RetryPolicy, provider: Script) -> None:
    """LangGraph repeats a node that failed, but not one that was refused."""
    budget = BudgetCallback(limit)
    model = provider.openai()
    provider.fails(503, times=2)
    runs = []

    def node(state: State) -> State:
        runs.append(1)
        return {"answer": str(model.invoke("Go").content)}

    graph = StateGraph(State)
    graph.add_node("node", node, retry_policy=policy)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    if limit == "$1":
        assert graph.compile().invoke({"answer": ""}, {"callbacks": [budget]}) == {"answer": "ok"}
        assert (provider.sent, len(runs)) == (3, 3)
    else:
        with pytest.raises(BudgetExceeded):
            graph.compile().invoke({"answer": ""}, {"callbacks": [budget]})
        assert (provider.sent, len(runs)) == (0, 1)
    provider.assert_exact(budget)


@tool
def look_up(place: str) -> str:
    """Tell the weather."""
    return f"sunny in {place}"


@pytest.mark.needs("ModelRetryMiddleware")
@pytest.mark.parametrize(("limit", "sent"), [("$1", 4), ("1 calls", 3), ("$0.00001", 0)])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_model_retry_middleware(asynchronous: bool, limit: str, sent: int, provider: Script) -> None:
    """`ModelRetryMiddleware` repeats failures, and raises a refusal instead of making a message of it."""
    provider.fails(500, times=2)
    provider.calls(("look_up", {"place": "Oslo"}))
    budget = BudgetCallback(limit)
    retry = middleware.ModelRetryMiddleware(max_retries=2, initial_delay=0.01, jitter=False)
    agent = create_agent(provider.agent_model(budget), [look_up], middleware=[retry])
    asked: Any = {"messages": [("user", "Weather?")]}

    def run() -> Any:
        if asynchronous:
            return asyncio.run(agent.ainvoke(asked, {"callbacks": [budget]}))
        return agent.invoke(asked, {"callbacks": [budget]})

    if sent == 4:
        assert run()["messages"][-1].content == "ok"
    else:
        with pytest.raises(BudgetExceeded):
            run()
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("$0.00001", 0)])
def test_model_fallback_middleware(limit: str, sent: int, provider: Script) -> None:
    """`ModelFallbackMiddleware` answers a failure with the other model, and nothing where neither fits."""
    provider.fails(500)
    budget = BudgetCallback(limit)
    fallback = middleware.ModelFallbackMiddleware(provider.openai(model="gpt-4o-mini"))
    agent = create_agent(provider.openai(), [], middleware=[fallback])
    asked: Any = {"messages": [("user", "Weather?")]}
    if sent:
        agent.invoke(asked, {"callbacks": [budget]})
    else:
        with pytest.raises(BudgetExceeded):
            agent.invoke(asked, {"callbacks": [budget]})
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "runs"), [("$1", 3), ("$0.0249", 2), ("$0.009", 0)])
def test_tool_retry_middleware(limit: str, runs: int, provider: Script) -> None:
    """`ToolRetryMiddleware` repeats a failed tool, each run paid, and raises a refusal."""
    ran = []

    @tool
    def flaky(query: str) -> str:
        """Search."""
        ran.append(query)
        if len(ran) < 3:
            raise ConnectionError("try again")
        return "found"

    provider.calls(("flaky", {"query": "sky"}))
    budget = BudgetCallback(Budget(limit, tool_prices={"flaky": "$0.01"}))
    retry = middleware.ToolRetryMiddleware(max_retries=3, initial_delay=0.01, jitter=False)
    agent = create_agent(provider.openai(), [flaky], middleware=[retry])
    asked: Any = {"messages": [("user", "Search")]}
    if runs == 3:
        assert agent.invoke(asked, {"callbacks": [budget]})["messages"][-1].content == "ok"
        assert provider.sent == 2
    elif (
        OLD
    ):  # that of langchain 1.0 makes a message of every error: the tool does not run, but the agent does
        agent.invoke(asked, {"callbacks": [budget]})
        assert budget.report()["refusals"] > 0
    else:
        with pytest.raises(BudgetExceeded):
            agent.invoke(asked, {"callbacks": [budget]})
        assert provider.sent == 1
    assert len(ran) == runs
    assert budget.spent * 10**9 == provider.bill_nanos + runs * 10_000_000
    assert budget.reserved == 0


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1)])
@pytest.mark.parametrize("who", ["node", "batch", "with_fallbacks", "gather"])
def test_a_refusal_that_somebody_swallows(who: str, limit: str, sent: int, provider: Script) -> None:
    """What a run hid is raised at the end of the session, with a note; what `batch` or `gather` hand over is not."""
    session = Budget(limit).session()
    budget = BudgetCallback(session)
    config: Any = {"callbacks": [budget]}
    model = provider.openai()
    handed: list[Any] = []
    last = model.with_fallbacks([RunnableLambda(lambda _: "nothing")])

    def careless(asked: str) -> Any:
        try:
            return model.invoke(asked)
        except Exception:
            return "nothing"

    def run() -> None:
        with session:
            model.invoke("first", config)
            if who == "node":
                RunnableLambda(careless).invoke("second", config)
            elif who == "batch":
                handed.extend(model.batch(["second"], config, return_exceptions=True))
            elif who == "with_fallbacks":
                last.invoke("second", config)
            else:
                asyncio.run(at_once())

    async def at_once() -> None:
        work = provider.openai().ainvoke("second", config)
        handed.extend(await asyncio.gather(work, return_exceptions=True))

    if sent == 2:
        run()
    elif who in ("batch", "gather"):  # each input is a run of its own, and its caller has the error
        run()
        assert isinstance(handed[0], BudgetExceeded)
        assert str(handed[0]) == str(session.last_refusal)
    else:
        with pytest.raises(BudgetExceeded) as raised:
            run()
        told = "\n".join((str(raised.value), *getattr(raised.value, "__notes__", ())))
        assert "session.handled(refusal)" in told
    assert provider.sent == sent
    provider.assert_exact(session)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("limit", [ENOUGH, TOO_LITTLE])
def test_retry_policy_of_an_async_node(limit: str, policy: RetryPolicy, provider: Script) -> None:
    """The same in an async graph."""
    budget = BudgetCallback(limit)
    provider.fails(503, times=2)
    runs = []

    async def node(state: State, config: RunnableConfig) -> State:
        runs.append(1)
        return {"answer": str((await model.ainvoke("Go", config)).content)}

    model = provider.openai()
    graph = StateGraph(State)
    graph.add_node("node", node, retry_policy=policy)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    work: Any = graph.compile().ainvoke({"answer": ""}, {"callbacks": [budget]})
    if limit == "$1":
        assert asyncio.run(work) == {"answer": "ok"}
        assert (provider.sent, len(runs)) == (3, 3)
    else:
        with pytest.raises(BudgetExceeded):
            asyncio.run(work)
        assert (provider.sent, len(runs)) == (0, 1)
    provider.assert_exact(budget)


@pytest.mark.needs("ModelRetryMiddleware")
@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.00001", 0)])
@pytest.mark.parametrize("settings", [{"retry_on": (Exception,)}, {"on_failure": "continue"}], ids=str)
def test_model_retry_middleware_of_everything(settings: Any, limit: str, sent: int, provider: Script) -> None:
    """Told to repeat and to swallow all there is, it sends no refused call, and the refusal is not lost."""
    session = Budget(limit).session()
    retry = middleware.ModelRetryMiddleware(max_retries=2, initial_delay=0.01, jitter=False, **settings)
    agent = create_agent(provider.openai(), [], middleware=[retry])
    asked: Any = {"messages": [("user", "Weather?")]}

    def run() -> None:
        with session:
            agent.invoke(asked, {"callbacks": [BudgetCallback(session)]})

    if sent:
        run()
    else:
        with pytest.raises(BudgetExceeded):
            run()
    assert provider.sent == sent
    provider.assert_exact(session)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503, 529])
def test_error_answers_are_free(status: int, provider: Script, question: Any) -> None:
    """A complete error answer costs nothing; its own error reaches the caller, and the next call fits."""
    provider.fails(status)
    budget = BudgetCallback("$0.0009")  # one hold fits, two do not
    with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever the SDK of this version calls it
        provider.openai().invoke(question, {"callbacks": [budget]})
    assert not isinstance(failed.value, BursarError)
    provider.assert_exact(budget)
    provider.openai().invoke(question, {"callbacks": [budget]})
    assert provider.sent == 2
    provider.assert_exact(budget)


@pytest.mark.parametrize("status", [408, 504])
def test_answers_of_a_timeout_are_not(status: int, provider: Script, question: Any) -> None:
    """Where a gateway gave up, the model may have gone on: booked at the worst."""
    provider.fails(status)
    budget = BudgetCallback("$0.0009")
    with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever the SDK of this version calls it
        provider.openai().invoke(question, {"callbacks": [budget]})
    assert not isinstance(failed.value, BursarError)
    assert budget.spent > 0
    assert budget.reserved == 0
    with pytest.raises(BudgetExceeded):
        provider.openai().invoke(question, {"callbacks": [budget]})
    assert provider.sent == 1


@pytest.mark.parametrize("trouble", ["timeout", "dropped"])
def test_lost_answers_are_paid(trouble: str, provider: Script, question: Any) -> None:
    """A request that was sent and whose answer never came is booked at the worst, not below the bill."""
    if trouble == "timeout":
        provider.says(delay=3.0)
    else:
        provider.says(drop="before_headers")
    budget = BudgetCallback("$1")
    with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever the SDK of this version calls it
        provider.openai(timeout=1.0).invoke(question, {"callbacks": [budget]})
    assert not isinstance(failed.value, BursarError)
    assert budget.spent * 10**9 >= provider.bill_nanos > 0
    assert budget.reserved == 0


def test_host_that_refuses_the_connection(provider: Script, question: Any) -> None:
    """What never reached the provider costs nothing."""
    budget = BudgetCallback("$1")
    model = provider.openai()
    provider.provider.stop()
    with pytest.raises(Exception, match="Connection"):
        model.invoke(question, {"callbacks": [budget]})
    assert budget.spent == 0
    assert budget.reserved == 0


def errors() -> list[type[BursarError]]:
    found = [getattr(bursar, name) for name in bursar.__all__]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, BursarError)]


@pytest.mark.parametrize("kind", errors())
def test_every_refusal_keeps_what_it_knows(kind: type[BursarError]) -> None:
    """Each error of the core has a twin that passes the frameworks, pickles, copies, and loses nothing."""
    from langgraph.errors import GraphBubbleUp

    from bursar_langchain._refusal import as_refusal

    facts = {"limit": "$5/session", "tool": "search"} if issubclass(kind, BudgetExceeded) else {}
    error = as_refusal(kind("no", **facts))
    assert isinstance(error, kind)
    assert isinstance(error, LangChainRefusal)
    assert isinstance(error, GraphBubbleUp)
    assert not isinstance(error, RuntimeError)
    assert error.is_retryable is False
    assert as_refusal(error) is error
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert (str(twin), vars(twin)) == ("no", facts)


def test_refusal_of_a_kind_that_is_not_known_yet() -> None:
    """A subclass that a later core adds is let through in the same way."""
    from bursar_langchain._refusal import as_refusal

    class Later(Tripped):
        """Of a later core."""

    assert isinstance(as_refusal(Later("no")), (Later, LangChainRefusal))
