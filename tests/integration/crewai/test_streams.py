"""Streams are settled by their true end, whoever reads them, and how far."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crewai import Crew

from bursar import BudgetExceeded
from bursar.testing import Reply
from bursar_crewai import BudgetMiddleware, budgeted

if TYPE_CHECKING:
    from tests.integration.crewai.conftest import Script


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1)])
def test_streaming_crew_in_the_block(limit: str, sent: int, provider: Script) -> None:
    """A crew that is read chunk by chunk: the refusal comes to who reads."""
    budget = BudgetMiddleware(limit)
    if sent == 2:
        with budget:
            output = provider.crew(stream=True).kickoff()
            assert "".join(chunk.content for chunk in output)
            assert output.result.raw == "ok"
    else:
        with pytest.raises(BudgetExceeded), budget:
            list(provider.crew(stream=True).kickoff())
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1)])
def test_streaming_crew_that_is_read_later(
    limit: str, sent: int, asynchronous: bool, provider: Script
) -> None:
    """A streaming crew starts when it is read: one that was given its budget keeps to it all the same."""
    budget = BudgetMiddleware(limit)
    crew = budgeted(provider.crew(stream=True), budget)

    async def read() -> None:
        async for _ in await crew.akickoff():
            pass

    def run() -> Any:
        return asyncio.run(read()) if asynchronous else list(crew.kickoff())

    if sent == 2:
        run()
    else:
        with pytest.raises(BudgetExceeded):
            run()
    assert provider.sent == sent
    provider.assert_exact(budget)


def test_streaming_crew_that_is_left_goes_on_in_its_budget(provider: Script) -> None:
    """Who stops reading does not stop the crew: it runs on after the block, and keeps to the budget."""
    tasks: list[Any] = []
    agents = [provider.agent("Researcher", llm=provider.llm(stream=True)) for _ in range(3)]
    tasks = [provider.task(agent, f"look {number}") for number, agent in enumerate(agents)]
    budget = BudgetMiddleware("2 calls")
    provider.says("one two three four", stream_chunks=4)
    with budget:
        chunks = iter(Crew(agents=agents, tasks=tasks, stream=True).kickoff())
        next(chunks)
    with pytest.raises(BudgetExceeded):
        list(chunks)
    assert provider.sent == 2
    provider.assert_exact(budget)


@pytest.mark.parametrize("brand", ["openai", "anthropic", "litellm"])
def test_stream_whose_connection_is_lost_is_on_the_bill(brand: str, provider: Script) -> None:
    """A stream that breaks off costs what the provider says it does; the next call is held apart from it."""
    provider.says("a long answer that breaks off", output_tokens=40, drop="mid_stream", stream_chunks=6)
    llm = provider.llm(brand, stream=True)
    budget = BudgetMiddleware("$1")
    with budget:
        try:
            llm.call("Why?")
        except Exception as error:
            assert not isinstance(error, BudgetExceeded)
    assert provider.provider.calls == 1
    assert budget.spent * 10**9 >= provider.provider.bill_nanos
    assert budget.reserved == 0


@pytest.mark.parametrize("told", [True, False])
def test_stream_that_litellm_counted_by_itself_is_booked_at_its_worst_case(
    told: bool, provider: Script
) -> None:
    """A host that tells nothing of a stream: LiteLLM makes a count up, below the bill. A told one is exact."""
    provider.provider.always(Reply("hello there", output_tokens=40))
    asked = {"extra_body": {"stream_options": {"include_usage": True}}} if told else {}
    llm = provider.llm("mistral", stream=True, **asked)
    with BudgetMiddleware("$1") as budget:
        assert llm.call("Why?") == "hello there"
    bill = provider.provider.bill_nanos
    assert (budget.spent * 10**9 == bill) is told
    assert bill <= budget.spent * 10**9
    assert budget.report()["estimated"] == (not told)
    assert (provider.sent, budget.reserved) == (1, 0)
