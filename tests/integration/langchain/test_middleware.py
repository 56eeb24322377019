"""`BudgetMiddleware`: how an agent ends whose budget runs out; and that it charges once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent, middleware
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, tool

from bursar import Budget, BudgetExceeded, InvalidAmount, Limit
from bursar.integration import admission
from bursar.testing import Reply, ToolCall
from bursar_langchain import BudgetCallback, BudgetMiddleware

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

HOW = pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream"])
ASKED: Any = {"messages": [("user", "Search")]}


class Searches:
    """A tool that remembers its runs."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    @property
    def tool(self) -> BaseTool:
        @tool
        def web_search(query: str) -> str:
            """Search the web."""
            self.ran.append(query)
            return f"found {query}"

        return web_search


def run(agent: Any, how: str, **config: Any) -> AIMessage:
    """The last message of a run."""
    if how == "invoke":
        state = agent.invoke(ASKED, config)
    elif how == "ainvoke":
        state = asyncio.run(agent.ainvoke(ASKED, config))
    else:
        *_, state = agent.stream(ASKED, config, stream_mode="values")
    message = state["messages"][-1]
    assert isinstance(message, AIMessage)
    return message


def never_stops(provider: Script) -> None:
    """A model that always wants another search."""
    provider.provider.always(Reply(tool_calls=[ToolCall("web_search", {"query": "sky"})], output_tokens=20))


@HOW
@pytest.mark.parametrize("where", ["alone", "same handler", "same session", "on the model"])
def test_each_call_is_charged_once(where: str, how: str, provider: Script) -> None:
    """The middleware brings its own handler, and does no harm beside another one of its session."""
    provider.calls(("web_search", {"query": "sky"}))
    session = Budget("$1", tool_prices={"web_search": "$0.01"}).session()
    searches, budget = Searches(), BudgetMiddleware(session)
    other = budget.callback if where == "same handler" else BudgetCallback(session)
    model = provider.openai(callbacks=[other] if where == "on the model" else None)
    agent = create_agent(model, [searches.tool], middleware=[budget])
    config = {"callbacks": [other]} if where.startswith("same") else {}
    assert run(agent, how, **config).content == "ok"
    assert (provider.sent, len(searches.ran)) == (2, 1)
    assert budget.spent * 10**9 == provider.bill_nanos + 10_000_000
    assert (budget.reserved, budget.remaining) == (0, 1 - budget.spent)
    assert budget.session is session
    assert budget.get_report()["breakdown"]["tools"]["by_tool"] == {"web_search": 0.01}


@HOW
@pytest.mark.parametrize(("limit", "sent"), [("$1", 4), ("2 calls", 2), ("$0.00001", 0)])
@pytest.mark.parametrize("behavior", ["end", "error"])
def test_exit_behavior(behavior: Any, limit: str, sent: int, how: str, provider: Script) -> None:
    """An agent whose budget is used up ends with a message that says so, or raises; no request is lost or added."""
    for query in "abc":
        provider.calls(("web_search", {"query": query}))
    budget = BudgetMiddleware(limit, exit_behavior=behavior)
    agent = create_agent(provider.openai(), [Searches().tool], middleware=[budget])
    if sent == 4:
        assert run(agent, how).content == "ok"
    elif behavior == "end":
        with budget.session:  # the refusal is dealt with, and is not raised here
            assert "its budget is used up" in str(run(agent, how).content)
    else:
        with pytest.raises(BudgetExceeded), budget.session:
            run(agent, how)
    assert provider.sent == sent
    provider.assert_exact(budget)


@HOW
@pytest.mark.parametrize(
    ("limits", "models"),
    [
        (("$1",), ["gpt-4o", "gpt-4o"]),
        ((Limit("1 calls", model="gpt-4o"),), ["gpt-4o", "gpt-4o-mini"]),
        (("$0.0005",), ["gpt-4o-mini", "gpt-4o-mini"]),
        (("$0.000001",), []),
    ],
    ids=["enough", "one", "cheap", "none"],
)
def test_downgrade(limits: Any, models: list[str], how: str, provider: Script) -> None:
    """A step that does not fit is made with the cheaper model; where that does not fit either, the run ends."""
    provider.calls(("web_search", {"query": "sky"}))
    cheap = provider.openai(model="gpt-4o-mini")
    budget = BudgetMiddleware(Budget(*limits), exit_behavior="downgrade", fallback_model=cheap)
    agent = create_agent(provider.openai(), [Searches().tool], middleware=[budget])
    message = run(agent, how)
    assert message.content == "ok" if models else "used up" in str(message.content)
    assert [body["model"] for body in provider.bodies] == models
    provider.assert_exact(budget)


@HOW
@pytest.mark.parametrize(("reserve", "final"), [("$0.005", True), (0.25, True), (0, False)])
def test_finalization_reserve(reserve: Any, final: bool, how: str, provider: Script) -> None:
    """When only the reserve is left the model is asked for its final answer, without tools."""
    provider.calls(("web_search", {"query": "sky"}))
    payer = Budget("$0.02", finalization_reserve=reserve, tool_prices={"web_search": "$0.013"})
    searches, budget = Searches(), BudgetMiddleware(payer)
    agent = create_agent(provider.openai(max_tokens=400), [searches.tool], middleware=[budget])
    with budget.session:
        assert run(agent, how).content == "ok"
    assert (provider.sent, len(searches.ran)) == (2, 1)
    last = provider.bodies[-1]
    assert ("tools" not in last) is final
    assert ("last answer" in str(last["messages"][-1]["content"])) is final
    assert budget.spent * 10**9 == provider.bill_nanos + 13_000_000
    assert budget.reserved == 0


@pytest.mark.parametrize(("limit", "lowered"), [("$1", False), ("$0.05", True)])
@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
@HOW
def test_affordable_cap(how: str, brand: str, limit: str, lowered: bool, provider: Script) -> None:
    """A model without a cap of its own gets the largest that is affordable, and the call is made."""
    provider.provider.always(Reply("ok", output_tokens=40))
    budget = BudgetMiddleware(limit)
    model = provider.model(brand, max_tokens=None if brand != "anthropic" else 64_000)
    assert run(create_agent(model, [], middleware=[budget]), how).text
    (body,) = provider.bodies
    caps = [body.get(name) for name in ("max_completion_tokens", "max_output_tokens", "max_tokens")]
    (cap,) = [cap for cap in caps if cap is not None] or [None]
    if lowered:
        assert cap is not None and 256 <= cap < 16_384
    else:
        assert cap == (64_000 if brand == "anthropic" else None)
    provider.assert_exact(budget)
    assert budget.report()["refusals"] == 0


@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.05", 0)])
def test_a_model_that_thinks_keeps_its_cap(
    limit: str, sent: int, provider: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middleware lowers no cap that could go into thoughts: a held call is refused rather than cut short."""
    monkeypatch.setattr(admission, "is_sent_by", lambda *_: False)
    budget = BudgetMiddleware(limit)
    agent = create_agent(provider.openai(model="gpt-5", max_tokens=8_000), [], middleware=[budget])
    assert ("used up" in str(run(agent, "invoke").content)) is not sent
    assert provider.sent == sent
    provider.assert_exact(budget)


@HOW
@pytest.mark.parametrize(("price", "runs"), [("$0.01", 1), ("$2", 0)])
@pytest.mark.parametrize("denied", ["raise", "tell"])
def test_denied_tools(denied: Any, price: str, runs: int, how: str, provider: Script) -> None:
    """A tool that does not fit never runs; the run ends, or the model is told and answers without it."""
    provider.calls(("web_search", {"query": "sky"}))
    searches = Searches()
    budget = BudgetMiddleware(Budget("$1", tool_prices={"web_search": price}), on_tool_denied=denied)
    agent = create_agent(provider.openai(), [searches.tool], middleware=[budget])
    if runs or denied == "tell":
        with budget.session:
            assert run(agent, how).content == "ok"
        told = provider.bodies[-1]["messages"][-1]["content"]
        assert ("does not allow this tool" in told) is not runs
        assert provider.sent == 2
    else:
        with pytest.raises(BudgetExceeded) as refused:
            run(agent, how)
        assert refused.value.tool == "web_search"
        assert provider.sent == 1
    assert len(searches.ran) == runs
    assert budget.spent * 10**9 == provider.bill_nanos + runs * 10_000_000
    assert budget.reserved == 0


@HOW
@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), ("1 calls", 1)])
def test_model_inside_a_tool(limit: str, sent: int, how: str, provider: Script) -> None:
    """What a tool asks is covered by the middleware alone; its refusal is one of the tool."""
    provider.calls(("consult", {"query": "sky"}))
    inner = provider.openai()

    @tool
    def consult(query: str) -> str:
        """Ask an expert."""
        return str(inner.invoke(query).content)

    budget = BudgetMiddleware(limit, on_tool_denied="tell")
    agent = create_agent(provider.openai(), [consult], middleware=[budget])
    message = run(agent, how)
    assert (message.content == "ok") is (sent == 3)
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.needs("ModelRetryMiddleware")
@pytest.mark.parametrize("first", [True, False])
def test_beside_a_middleware_that_retries(first: bool, provider: Script) -> None:
    """Whichever comes first: failures are repeated, each attempt held by itself; a cap is lowered all the same."""
    provider.fails(500, times=2)
    budget = BudgetMiddleware("$0.05")
    retry = middleware.ModelRetryMiddleware(max_retries=2, initial_delay=0.01, jitter=False)
    order: list[Any] = [budget, retry] if first else [retry, budget]
    agent = create_agent(provider.openai(max_tokens=None), [], middleware=order)
    assert run(agent, "invoke").content == "ok"
    assert provider.sent == 3
    provider.assert_exact(budget)


def test_other_middleware_that_asks_models(provider: Script) -> None:
    """What another middleware asks by itself is seen by a handler on the run, and charged once."""
    session = Budget("$1").session()
    budget = BudgetMiddleware(session)
    helper = provider.openai(model="gpt-4o-mini")

    class Summary(middleware.AgentMiddleware):
        def before_model(self, state: Any, runtime: Any) -> None:
            helper.invoke("Summarise")

    agent = create_agent(provider.openai(), [], middleware=[budget, Summary()])
    run(agent, "invoke", callbacks=[BudgetCallback(session)])
    assert [body["model"] for body in provider.bodies] == ["gpt-4o-mini", "gpt-4o"]
    provider.assert_exact(budget)


@HOW
def test_an_agent_that_never_stops(how: str, provider: Script) -> None:
    """It ends within its budget, whatever it does; the final answer is one request at the most by its reserve."""
    never_stops(provider)
    budget = BudgetMiddleware(Budget("$0.02", finalization_reserve="$0.002", max_repeated_calls=None))
    agent = create_agent(provider.openai(), [Searches().tool], middleware=[budget])
    assert "used up" in str(run(agent, how, recursion_limit=500).content)
    assert provider.sent > 5
    assert budget.spent <= Decimal("0.02")
    provider.assert_exact(budget)


@HOW
@pytest.mark.parametrize("tripped", [True, False])
def test_kill_switch(tripped: bool, how: str, provider: Script) -> None:
    """A session that was tripped ends the agent before its first request."""
    budget = BudgetMiddleware(Budget("$1", finalization_reserve=0.1))
    if tripped:
        budget.session.trip("enough")
    message = run(create_agent(provider.openai(), [], middleware=[budget]), how)
    assert ("enough" in str(message.content)) is tripped
    assert provider.sent == (not tripped)


def wrong(**settings: Any) -> Callable[[], Any]:
    return lambda: BudgetMiddleware(settings.pop("budget", "$1"), **settings)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (wrong(exit_behavior="stop"), "exit_behavior='stop'"),
        (wrong(exit_behavior="downgrade"), "fallback_model="),
        (wrong(fallback_model="openai:gpt-4o-mini"), "fallback_model="),
        (wrong(on_tool_denied="ignore"), "on_tool_denied='ignore'"),
        (wrong(budget="$x"), "x"),
    ],
)
def test_wrong_settings(make: Callable[[], Any], named: str) -> None:
    """A setting that cannot act is refused by its name."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is looked at below
        make()
    assert named in str(refused.value)
    assert isinstance(refused.value, InvalidAmount) is (named == "x")


def test_a_fallback_by_its_name(provider: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback may be the name of a model, as everywhere in LangChain."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", provider.provider.openai_url)
    limit = Limit("0 calls", model="gpt-4o")
    budget = BudgetMiddleware(
        Budget("$1", limit), exit_behavior="downgrade", fallback_model="openai:gpt-4o-mini"
    )
    agent = create_agent(provider.openai(), [], middleware=[budget])
    assert run(agent, "invoke").content == "ok"
    assert provider.bodies[0]["model"] == "gpt-4o-mini"
    provider.assert_exact(budget)
