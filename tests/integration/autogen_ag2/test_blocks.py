"""AG2 1.x: a call that may not fit is not sent, and what is sent is charged exactly."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, BursarError
from bursar_autogen.ag2 import BudgetedModelConfig, budgeted

from .conftest import Script

pytestmark = pytest.mark.seam


BRANDS = ["openai", "anthropic"]


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize("calls", [0, 1, 3])
@pytest.mark.parametrize("stream", [False, True])
def test_agent_makes_as_many_calls_as_the_budget_has(
    provider: Script, calls: int, stream: bool, brand: str
) -> None:
    """So many calls are served, and the refusal reaches the caller with its type."""
    session = Budget(f"{calls} calls").session()
    agent = budgeted(provider.agent(brand=brand, streaming=stream), session)
    with pytest.raises(BudgetExceeded):
        provider.run(*(agent.ask(f"question {number}") for number in range(5)))
    assert provider.sent == calls
    provider.assert_exact(session)


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize("stream", [False, True])
def test_answer_is_charged_exactly(provider: Script, stream: bool, brand: str) -> None:
    """Tokens of the cache and of reasoning, too; the report has the cost of the agent."""
    special = {"reasoning_tokens": 20} if brand == "openai" else {"cache_write_tokens": 20}
    provider.says("ok", input_tokens=100, cached_input_tokens=60, output_tokens=30, **special)
    agent: Any = budgeted(provider.agent("writer", brand=brand, streaming=stream), "$1")
    (reply,) = provider.run(agent.ask("Why?"))
    assert reply.body == "ok"
    assert provider.sent == agent.config.session.calls == 1
    provider.assert_exact(agent.config)
    assert set(agent.config.report()["agents"]) == {"writer"}


def test_retry_of_the_sdk_is_paid(provider: Script) -> None:
    """500 and 200: two requests; the bill is covered, and nothing stays reserved."""
    from bursar.testing import Reply

    provider.provider.script(Reply(status=500))
    session = Budget("$1").session()
    agent = budgeted(provider.agent(max_retries=1), session)
    provider.run(agent.ask("Why?"))
    assert provider.sent == 2
    assert session.spent >= provider.provider.bill > 0
    assert session.reserved == 0


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize(("limit", "runs"), [("$0.05", 0), ("$0.15", 1), ("$1", 2)])
def test_tools_are_priced(provider: Script, limit: str, runs: int, brand: str) -> None:
    """At 10 cents a run; one that does not fit is not run, and the model is told."""
    ran = []

    def search(query: str) -> str:
        """Look something up."""
        ran.append(query)
        return f"found {query}"

    from ag2 import Agent

    session = Budget(limit).session()
    agent = Agent("agent", "Be brief.", config=provider.config(brand), tools=[search])
    budgeted(agent, session, tool_prices={"search": "$0.10"})
    provider.calls(("search", {"query": "a"}))
    provider.calls(("search", {"query": "b"}))
    provider.says("done")
    (reply,) = provider.run(agent.ask("go"))
    assert reply.body == "done"
    assert len(ran) == runs
    assert provider.sent == session.calls == 3
    assert session.spent == Decimal("0.10") * runs + provider.provider.bill


def test_agents_share_a_budget_and_have_their_own(provider: Script) -> None:
    """Two agents of one budget; the limit of one of them refuses that one."""
    one, two = provider.agent("one"), provider.agent("two")
    session = Budget("$1").session()
    budgeted(one, session, agents={"two": "1 calls"}, others=[two])
    with pytest.raises(BudgetExceeded):
        provider.run(one.ask("1"), two.ask("2"), one.ask("3"), two.ask("4"))
    assert provider.sent == session.calls == 3


def test_config_works_without_an_agent(provider: Script) -> None:
    """A config as a compaction takes it, and a copy of it: one budget."""
    from ag2 import Agent

    config: Any = BudgetedModelConfig(provider.config(), Budget("2 calls"))
    plain, copied = Agent("a", config=config), Agent("b", config=config.copy(max_tokens=20))
    with pytest.raises(BudgetExceeded):
        provider.run(plain.ask("1"), copied.ask("2"), plain.ask("3"))
    assert provider.sent == 2
    assert config.model == "gpt-4o"
    provider.assert_exact(config)


def test_function_is_asked_whether_to_try_again(provider: Script) -> None:
    """It raises the limit and says yes: the call is made."""
    budget = Budget("1 calls")

    async def ask(refusal: BudgetExceeded) -> bool:
        budget.set_limit("2 calls")
        return True

    agent = budgeted(provider.agent(), budget, on_budget=ask)
    provider.run(agent.ask("1"), agent.ask("2"))
    assert provider.sent == 2


@pytest.mark.parametrize("stream", [False, True])
def test_stopped_agent_goes_on_after_a_top_up(provider: Script, stream: bool) -> None:
    """A call and a tool, then a reply that says so; after a top-up the second call has the tool's result."""
    from ag2 import Agent

    def search(query: str) -> str:
        """Look something up."""
        return f"found {query}"

    budget = Budget("1 calls")
    agent = Agent("agent", "Be brief.", config=provider.config(streaming=stream), tools=[search])
    budgeted(agent, budget, on_budget="stop")
    provider.calls(("search", {"query": "a"}))

    async def talk() -> tuple[Any, Any]:
        first = await agent.ask("go")
        budget.set_limit("2 calls")
        return first, await first.ask("go on")

    with agent.config.session:
        ((first, second),) = provider.run(talk())
    assert first.body.startswith("The budget is used up")
    assert second.body == "ok"
    assert provider.sent == 2
    assert "found a" in str(provider.provider.served[-1].body["messages"])
    provider.assert_exact(agent.config)


@pytest.mark.parametrize(("place", "sent"), [("ag2._Client._request", 0), ("_spender.Spender._take", 1)])
def test_bug_prevents_a_call_or_breaks_nothing(
    provider: Script, monkeypatch: pytest.MonkeyPatch, place: str, sent: int
) -> None:
    """Before the call it sends nothing; after it the agent has its answer."""
    monkeypatch.setattr(f"bursar_autogen.{place}", lambda *_: 1 / 0)
    agent: Any = budgeted(provider.agent(), "$1")
    if sent:
        (reply,) = provider.run(agent.ask("Why?"))
        assert reply.body == "ok"
    else:
        with pytest.raises(BursarError, match="so that the call was not made"):
            provider.run(agent.ask("Why?"))
    assert provider.sent == sent


def test_provider_that_is_not_covered_is_refused() -> None:
    """Nothing bounds what its client sends; and an agent without a config has nothing to put a budget before."""
    config: Any = SimpleNamespace(provider="gemini", model="gemini-2.5-pro")
    with pytest.raises(ValueError, match="gemini"):
        BudgetedModelConfig(config, "$1")
    agent: Any = SimpleNamespace(config=None, name="bare")
    with pytest.raises(ValueError, match="'bare' has no config"):
        budgeted(agent, "$1")
