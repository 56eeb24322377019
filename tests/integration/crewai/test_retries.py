"""Each attempt is paid for what it cost, and a refusal is not tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crewai import Crew

from bursar import AlertKind, Budget, BudgetExceeded
from bursar_crewai import BudgetMiddleware

if TYPE_CHECKING:
    from tests.integration.crewai.conftest import Script

BRANDS = ["openai", "anthropic", "litellm"]


@pytest.mark.parametrize("brand", BRANDS)
def test_a_retry_of_the_sdk_is_charged_once(brand: str, provider: Script) -> None:
    """An error answer costs nothing; the attempt that is answered is charged."""
    provider.fails(500)
    with BudgetMiddleware("$1") as budget:
        provider.llm(brand).call("Why?")
    assert (provider.sent, budget.session.calls) == (2, 1)
    provider.assert_exact(budget)


@pytest.mark.parametrize("brand", [*BRANDS, "mistral"])
def test_a_failure_that_stays_costs_nothing(brand: str, provider: Script) -> None:
    """A crew whose provider refuses every request fails by that error; nothing is spent, or held."""
    provider.fails(400, times=20)
    agent = provider.agent(llm=provider.llm(brand))
    with BudgetMiddleware("$1") as budget, pytest.raises(Exception, match="400|script") as failed:
        Crew(agents=[agent], tasks=[provider.task(agent)]).kickoff()
    assert not isinstance(failed.value, BudgetExceeded)
    assert provider.sent > 0
    assert budget.spent == 0
    provider.assert_exact(budget)


@pytest.mark.parametrize("brand", BRANDS)
def test_an_attempt_that_may_be_on_the_bill_is_booked(brand: str, provider: Script) -> None:
    """A connection that is lost after the request was sent: the attempt is booked, the next is held by itself."""
    provider.says("never heard", output_tokens=40, drop="before_headers")
    with BudgetMiddleware("$1") as budget:
        provider.llm(brand).call("Why?")
    assert provider.provider.calls == 2
    assert budget.spent * 10**9 >= provider.provider.bill_nanos
    assert budget.reserved == 0


def test_a_refusal_is_neither_retried_nor_told_twice(provider: Script) -> None:
    """CrewAI repeats a task that fails; one that is refused it does not, and the alert comes once."""
    heard: list[AlertKind] = []
    limited = Budget("1 calls", soft_limit=None, on_alert=lambda alert: heard.append(alert.kind))
    agents = [provider.agent("Researcher", max_retry_limit=5), provider.agent("Writer", max_retry_limit=5)]
    crew = Crew(agents=agents, tasks=[provider.task(agent) for agent in agents])
    budget = BudgetMiddleware(limited)
    with pytest.raises(BudgetExceeded), budget:
        crew.kickoff()
    assert provider.sent == 1
    assert budget.report()["refusals"] == 1
    assert heard.count(AlertKind.HARD_LIMIT) == 1


def test_a_loop_that_swallows_refusals_sends_nothing_more(provider: Script) -> None:
    """A caller that drops each refusal gets the next one: not one request more leaves."""
    crew = provider.crew()
    budget = BudgetMiddleware("1 calls")
    refused = 0
    with budget:
        for _ in range(3):
            try:
                crew.kickoff()
            except BudgetExceeded:
                refused += 1
    assert (refused, provider.sent) == (3, 1)
    provider.assert_exact(budget)
