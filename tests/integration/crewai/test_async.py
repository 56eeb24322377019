"""Tasks, cancellation, and the middleware as an async context manager and a decorator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crewai import Crew
from crewai.flow.flow import Flow, listen, start

from bursar import BudgetExceeded
from bursar.testing import Reply
from bursar_crewai import BudgetMiddleware

if TYPE_CHECKING:
    from tests.integration.crewai.conftest import Script


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1)])
def test_async_with(limit: str, sent: int, provider: Script) -> None:
    """`async with` guards what is awaited inside."""
    budget = BudgetMiddleware(limit)

    async def run() -> None:
        async with budget:
            await provider.crew().akickoff()

    if sent == 2:
        asyncio.run(run())
    else:
        with pytest.raises(BudgetExceeded):
            asyncio.run(run())
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 4), ("3 calls", 3)])
def test_decorated_methods_of_a_flow(limit: str, sent: int, provider: Script) -> None:
    """A sync and an async method of a flow share the budget that decorates them."""
    budget = BudgetMiddleware(limit)

    class Work(Flow[Any]):
        @start()
        @budget
        def begin(self) -> Any:
            return provider.crew().kickoff()

        @listen(begin)
        @budget
        async def end(self) -> Any:
            return await provider.crew().kickoff_async()

    if sent == 4:
        assert Work().kickoff().raw == "ok"
    else:
        with pytest.raises(BudgetExceeded):
            Work().kickoff()
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize("brand", ["openai", "anthropic", "litellm", "mistral"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_cancelled_call_is_booked(streamed: bool, brand: str, provider: Script) -> None:
    """Nobody tells of a call whose task is cancelled: it is booked for what it may have cost, and not held on."""
    provider.provider.pause()
    budget = BudgetMiddleware("$1")

    async def run() -> None:
        async with budget:
            task = asyncio.create_task(provider.llm(brand, stream=streamed).acall("Why?"))
            await asyncio.to_thread(provider.provider.wait_for, hits=1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    try:
        asyncio.run(run())
    finally:
        provider.provider.resume()
    assert budget.reserved == 0
    assert budget.spent > 0


def test_tasks_that_race_never_overspend(provider: Script) -> None:
    """Six agents at once on money for some of them: never more than the budget is sent."""
    provider.provider.always(Reply("ok", output_tokens=20))
    budget = BudgetMiddleware("3 calls")

    async def run() -> list[Any]:
        async with budget:
            agents = [provider.agent(f"Agent {number}") for number in range(6)]
            return await asyncio.gather(
                *(agent.kickoff_async("Why?") for agent in agents), return_exceptions=True
            )

    results = asyncio.run(run())
    assert sum(isinstance(result, BudgetExceeded) for result in results) == 3
    assert provider.sent == 3
    provider.assert_exact(budget)


def test_async_tasks_of_a_crew(provider: Script) -> None:
    """A refusal of a task in a thread of CrewAI's ends the crew, and nothing hangs."""
    agents = [provider.agent("Researcher"), provider.agent("Writer")]
    tasks = [provider.task(agent, f"look {agent.role}", async_execution=True) for agent in agents]
    budget = BudgetMiddleware("1 calls")
    with pytest.raises(BudgetExceeded), budget:
        Crew(agents=agents, tasks=[*tasks, provider.task(provider.agent("Editor"), "end")]).kickoff()
    assert provider.sent == 1
    provider.assert_exact(budget)
