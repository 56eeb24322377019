"""What several tasks of an event loop may share. The rows are those of docs/concurrency.md."""

from __future__ import annotations

import asyncio

import pytest

from bursar import Budget, BudgetExceeded, HoldClosed, Session
from bursar.integration import covered_hold
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock, ScriptedProvider

from .wire import ask_models


async def pay(session: Session) -> int:
    """Pay cents until it is refused, letting others run in between; the number of cents."""
    paid = 0
    try:
        while True:
            async with session.areserve(cost="$0.01") as held:
                await asyncio.sleep(0)
                await held.asettle()
            paid += 1
    except BudgetExceeded:
        return paid


async def budget() -> None:
    """Eight tasks with a session each spend no more than what is left for all."""
    shared = Budget("$1/total")
    assert sum(await asyncio.gather(*(pay(shared.session()) for _ in range(8)))) == 100


async def session() -> None:
    """Eight tasks on one session spend what one could."""
    shared = Budget("$1").session()
    assert sum(await asyncio.gather(*(pay(shared) for _ in range(8)))) == 100
    assert (await shared.abalance()).spent == 1


async def hold() -> None:
    """Of eight tasks that settle alike one books; another amount is refused."""
    shared = Budget("$1").session()
    held = await shared.areserve(cost="$0.5")
    charges = await asyncio.gather(*(held.asettle(cost="$0.2") for _ in range(8)))
    assert {charge.cost for charge in charges} == {shared.spent}
    with pytest.raises(HoldClosed):
        await held.asettle(cost="$0.3")


async def with_hold() -> None:
    """A task that is started inside sees it until it is closed; one from before never does, a thread of asyncio's does."""
    go, over = asyncio.Event(), asyncio.Event()

    async def outsider() -> object:
        await go.wait()
        return covered_hold()

    async def insider() -> tuple[object, object]:
        inside = covered_hold()
        await over.wait()
        return inside, covered_hold()

    before = asyncio.create_task(outsider())
    async with Budget("$1").session().areserve(cost="$0.5") as held:
        within = asyncio.create_task(insider())
        await asyncio.sleep(0)
        go.set()
        assert await before is None
        assert await asyncio.to_thread(covered_hold) is held
        await held.asettle()
    over.set()
    assert await within == (held, None)


async def memory_store() -> None:
    """Two budgets of one name on one store, in eight tasks, share what is left."""
    store = MemoryStore()
    budgets = [Budget("$1/total", store=store) for _ in range(2)]
    assert sum(await asyncio.gather(*(pay(budgets[number % 2].session()) for number in range(8)))) == 100
    assert store.audit("default") == ()


async def manual_clock() -> None:
    """No step of tasks that move it is lost."""
    clock = ManualClock(0)

    async def move() -> None:
        for _ in range(100):
            clock.advance(1)
            await asyncio.sleep(0)

    await asyncio.gather(*(move() for _ in range(8)))
    assert clock.now() == 800


async def scripted_provider() -> None:
    """A provider in a `with` of the loop's own thread answers while the loop waits."""
    with ScriptedProvider() as provider:
        asked = (asyncio.to_thread(ask_models, provider.url) for _ in range(8))
        assert await asyncio.gather(*asked) == [200] * 8


SCENARIOS = {
    "Budget": budget,
    "Session": session,
    "Hold": hold,
    "with hold:": with_hold,
    "MemoryStore": memory_store,
    "ManualClock": manual_clock,
    "ScriptedProvider": scripted_provider,
}


@pytest.mark.parametrize("row", SCENARIOS)
def test_between_tasks(row: str) -> None:
    """What the table says of tasks, row by row."""
    asyncio.run(SCENARIOS[row]())
