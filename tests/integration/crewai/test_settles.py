"""What a call costs is booked as the provider bills it, and shown by agent, task, model and tool."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from crewai import BaseLLM, Crew

from bursar import Budget, BudgetExceeded
from bursar_crewai import BudgetMiddleware
from bursar_crewai._hooks import WRAP_UP

if TYPE_CHECKING:
    from tests.integration.crewai.conftest import Script

COUNTS = [
    pytest.param("openai", {"cached_input_tokens": 40, "reasoning_tokens": 4}, id="openai"),
    pytest.param("litellm", {"cached_input_tokens": 40, "reasoning_tokens": 4}, id="litellm"),
    pytest.param("anthropic", {"cached_input_tokens": 20, "cache_write_tokens": 10}, id="anthropic"),
]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("brand", "counts"), COUNTS)
def test_all_classes_of_tokens_are_booked(
    brand: str, counts: dict[str, int], streamed: bool, provider: Script
) -> None:
    """Cached, written and reasoning tokens, whole and streamed: the ledger has the bill."""
    provider.says("fine", output_tokens=10, **counts)
    provider.says("fine", output_tokens=10, **counts)
    with BudgetMiddleware("$1") as budget:
        provider.crew(brand=brand, llm={"stream": streamed}).kickoff()
    assert budget.spent > 0
    provider.assert_exact(budget)


def test_litellm_around_the_sdks_is_booked_by_the_event(provider: Script) -> None:
    """No SDK claims such a call: the whole worst case is held, and what the provider counted is booked."""
    provider.says("fine", output_tokens=10, cached_input_tokens=40)
    with BudgetMiddleware("$1") as budget:
        provider.crew(brand="mistral").kickoff()
    assert budget.spent > 0
    provider.assert_exact(budget)


def test_agents_that_share_a_model_are_charged_their_own(provider: Script) -> None:
    """One model for two agents: each has its cost, which CrewAI's own counters mix up."""
    llm = provider.llm()
    first, second = provider.agent("Researcher", llm=llm), provider.agent("Writer", llm=llm)
    provider.says("short", output_tokens=1)
    provider.says("a much longer answer", output_tokens=30)
    crew = Crew(agents=[first, second], tasks=[provider.task(first), provider.task(second, "write")])
    with BudgetMiddleware("$1") as budget:
        crew.kickoff()
    served = provider.provider.served
    report = budget.report()
    assert report["agents"] == {
        role: pytest.approx(one.cost_nanos / 1e9)
        for role, one in zip(("Researcher", "Writer"), served, strict=True)
    }
    billed = sum(one.tokens.input + one.tokens.output for one in served)
    assert budget.session.tokens_spent == billed
    assert crew.usage_metrics.total_tokens == 2 * billed  # theirs: the whole, once for each agent
    provider.assert_exact(budget)


def test_report_has_every_label(provider: Script) -> None:
    """The money by crew, agent, task, model: each sum is the bill."""
    with BudgetMiddleware("$1") as budget:
        provider.crew(name="pair").kickoff()
    report, bill = budget.get_report(), float(provider.provider.bill)
    for what, names in {
        "crews": {"pair"}, "agents": {"Researcher", "Writer"}, "tasks": {"look", "write"},
        "models": {"gpt-4o-mini"},
    }.items():  # fmt: skip
        assert set(report[what]) == names
        assert sum(report[what].values()) == pytest.approx(bill)
    assert report["total_spent"] == pytest.approx(bill)


def test_the_role_of_an_agent_may_end_in_a_line_break(provider: Script) -> None:
    """Roles from YAML do; the limit is found, and the report has the role in one line."""
    agent = provider.agent("Senior\nResearcher\n")
    budget = BudgetMiddleware("$1", agents={"Senior Researcher": "1 calls"})
    with pytest.raises(BudgetExceeded), budget:
        agent.kickoff("Why?")
        agent.kickoff("How?")
    assert list(budget.report()["agents"]) == ["Senior Researcher"]
    provider.assert_exact(budget)


def test_an_answer_that_crewai_cannot_use_is_on_the_bill(provider: Script) -> None:
    """The provider answered, the answer is no JSON: CrewAI tells of a failure, and the call is booked."""
    from tests.integration.crewai.scenarios import Colour

    llm = provider.llm()
    with BudgetMiddleware("$1") as budget, pytest.raises(ValueError, match="Colour"):
        llm.call("Which colour?", response_model=Colour)
    assert provider.provider.calls == 1
    provider.assert_exact(budget)


class Silent(BaseLLM):
    """A model of the user's own, which tells CrewAI of no call."""

    answer: Any = "Thought: I know.\nFinal Answer: mine"
    asked: int = 0

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return self.answer


class Talking(Silent):
    """One that asks another model of CrewAI's, which tells of its calls."""

    inner: Any = None

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        return self.inner.call(messages)


@pytest.mark.parametrize(("limit", "asked"), [("$1", 1), ("$0.00000001", 0)])
def test_a_model_that_tells_of_no_call_is_held(limit: str, asked: int, provider: Script) -> None:
    """A hook reserves for it: it is refused, or booked at its worst case, since it tells of no usage."""
    llm = Silent(model="gpt-4o-mini")
    agent = provider.agent(llm=llm)
    crew = Crew(agents=[agent], tasks=[provider.task(agent)])
    budget = BudgetMiddleware(limit)
    if asked:
        with budget:
            assert crew.kickoff().raw == "mine"
        assert budget.spent > 0
        assert budget.report()["estimated"] == 1
        assert budget.report()["agents"].keys() == {"Researcher"}
    else:
        with pytest.raises(BudgetExceeded), budget:
            crew.kickoff()
        assert budget.spent == 0
    assert llm.asked == asked
    assert budget.reserved == 0


def test_a_model_of_ones_own_that_asks_another_is_charged_once(provider: Script) -> None:
    """What the inner model tells of its call replaces what the hook held."""
    agent = provider.agent(llm=Talking(model="gpt-4o-mini", inner=provider.llm()))
    with BudgetMiddleware("$1") as budget:
        assert Crew(agents=[agent], tasks=[provider.task(agent)]).kickoff().raw == "ok"
    assert provider.sent == 1
    provider.assert_exact(budget)


def test_a_model_of_ones_own_through_a_covered_sdk_is_exact(provider: Script) -> None:
    """The SDK below sends on what the hook held, and books what is billed."""
    import openai

    class Direct(Silent):
        def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            client = openai.OpenAI(base_url=provider.provider.openai_url, api_key="none")
            done = client.chat.completions.create(model="gpt-4o-mini", messages=messages, max_tokens=50)
            return done.choices[0].message.content

    agent = provider.agent(llm=Direct(model="gpt-4o-mini"))
    with BudgetMiddleware("$1") as budget:
        assert Crew(agents=[agent], tasks=[provider.task(agent)]).kickoff().raw == "ok"
    assert provider.sent == 1
    provider.assert_exact(budget)


@pytest.mark.parametrize(("soft", "told"), [(0.4, 1), (0.9, 0)])
def test_wrap_up_tells_the_agents_once(soft: float, told: int, provider: Script) -> None:
    """After the soft limit the next request says so, once; before it none does."""
    from tests.integration.crewai.scenarios import look_up

    agent = provider.agent(tools=[look_up])
    provider.calls(("look_up", {"place": "Oslo"}))
    provider.calls(("look_up", {"place": "Rome"}))
    budget = BudgetMiddleware(Budget("4 calls", soft_limit=soft), wrap_up=True)
    with budget:
        Crew(agents=[agent], tasks=[provider.task(agent)]).kickoff()
    counts = [
        sum(message.get("content") == WRAP_UP for message in body["messages"]) for body in provider.bodies
    ]
    assert counts == [0, 0, told]
    provider.assert_exact(budget)


@pytest.mark.parametrize(("final", "sent"), [(False, 1), (True, 2)])
def test_finalize_may_spend_the_reserve(final: bool, sent: int, provider: Script) -> None:
    """A part of the limit is kept; inside `finalize` a crew may use it for its last answer."""
    budget = BudgetMiddleware(Budget("$0.0002", finalization_reserve=0.5))
    provider.says("long", output_tokens=150)
    agent = provider.agent(llm=provider.llm(max_tokens=150))
    with budget:
        agent.kickoff("Why?")
        with pytest.raises(BudgetExceeded):
            agent.kickoff("How?")
        if final:
            with budget.session.finalize():
                agent.kickoff("Give your final answer.")
        budget.session.handled(budget.session.last_refusal or BudgetExceeded())
    assert provider.sent == sent
    provider.assert_exact(budget)


def test_track_books_as_told_and_warns_once(provider: Script, caplog: pytest.LogCaptureFixture) -> None:
    """The output of a crew that was charged call by call: what is told is booked, and one line says why not to."""
    with BudgetMiddleware("$1") as budget, caplog.at_level(logging.WARNING, "bursar"):
        result = provider.crew().kickoff()
        assert budget.track(result, cost="$0.10") is result
        assert budget.track("page", cost="$0.01", tool_name="search") == "page"
        budget.track(result, cost=0)
    assert float(budget.spent) == pytest.approx(float(provider.provider.bill) + 0.11)
    assert caplog.text.count("delete the line") == 1


def test_track_alone_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What was not charged by itself is booked without a word."""
    with BudgetMiddleware("$1") as budget:
        budget.track("anything", cost="$0.25")
    assert float(budget.spent) == 0.25
    assert "delete the line" not in caplog.text
