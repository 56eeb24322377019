"""The asyncio client: it never blocks the loop, and what is cancelled is not lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from bursar import Budget, StoreUnavailable
from bursar.store.redis import RedisStore

from ...servers import Server
from .test_refusals import until


def test_the_doctor_is_asked_without_blocking(server: Server) -> None:
    """He says the same either way."""
    budget = Budget("$1/total", store=server.url())
    budget.session().track(None, "$0.10")
    found = asyncio.run(budget.adoctor())
    assert found["durability"] == "redis-none" and found["ledger"] == budget.doctor()["ledger"] != ""


def test_the_loop_turns_while_a_store_does_not_answer(server: Server) -> None:
    """For as long as the store is waited for, other tasks run; afterwards the same budget works on."""
    budget = Budget("$1/total", store=server.url(timeout="0.6s"))

    async def turns() -> int:
        session = budget.session("$1")
        await (await session.areserve(cost="$0.10")).asettle(cost="$0.10")
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        waiting = asyncio.create_task(_try(budget))
        count = 0
        longest = 0.0
        while not waiting.done():
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)
            count += 1
        os.kill(server.process.pid, signal.SIGCONT)
        assert isinstance(await waiting, StoreUnavailable) and longest < 0.3
        return count

    assert asyncio.run(turns()) > 20
    until(lambda: budget._ledger.store.undelivered == 0)  # type: ignore[attr-defined]
    assert (float(budget.spent), budget.reserved) == (0.1, 0)


async def _try(budget: Budget) -> Exception | None:
    try:
        await budget.session("$1").areserve(cost="$0.10")
    except StoreUnavailable as error:
        return error
    return None


def test_every_loop_has_connections_of_its_own(server: Server) -> None:
    """One after another, and two at a time in threads; none is left open."""
    budget = Budget("$1/total", store=server.url())

    async def spend(times: int) -> None:
        for _ in range(times):
            hold = await budget.session("$1").areserve(cost="$0.01")
            await hold.asettle(cost="$0.01")

    async def together() -> None:
        await asyncio.gather(spend(5), asyncio.to_thread(asyncio.run, spend(5)), spend(5))

    asyncio.run(spend(3))
    asyncio.run(together())
    budget.session("$1").reserve(cost="$0.01").settle(cost="$0.01")
    assert float(budget.spent) == pytest.approx(0.19) and budget.audit() == ()
    with server.client() as client:
        assert len(client.client_list()) <= 2


@pytest.mark.parametrize("verb", ["settle", "release", "reserve", "extend"])
def test_a_cancelled_verb_is_done_all_the_same(server: Server, verb: str) -> None:
    """A settle is booked, a release gives back, and a reserve that nobody heard of holds nothing."""
    budget = Budget("$1/total", store=server.url(timeout="5s"))
    store = budget._ledger.store
    assert isinstance(store, RedisStore)

    async def cancel() -> None:
        session = budget.session("$1")
        hold = await session.areserve(cost="$0.10")
        hold.keep()
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        act = {
            "settle": lambda: hold.asettle(cost="$0.04"),
            "release": hold.arelease,
            "extend": hold.aextend,
            "reserve": lambda: session.areserve(cost="$0.20").__aenter__(),
        }[verb]
        task = asyncio.ensure_future(act())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert store.undelivered == (verb != "extend")  # which is of no use to anybody now
        os.kill(server.process.pid, signal.SIGCONT)
        await asyncio.to_thread(until, lambda: store.undelivered == 0)

    asyncio.run(cancel())
    expected = {"settle": (0.04, 0.0), "release": (0.0, 0.0), "reserve": (0.0, 0.1), "extend": (0.0, 0.1)}[
        verb
    ]
    assert (float(budget.spent), float(budget.reserved)) == expected
    assert budget.audit() == ()


def test_what_waits_is_delivered_before_the_next_verb(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first task that asks, not only by the thread in the background."""
    monkeypatch.setattr("bursar.store.outbox.outbox._FIRST_PAUSE_S", 60)
    server.kill()
    server.start(appendonly="yes")
    budget = Budget("$1/total", store=server.url(timeout="0.2s"))
    store = budget._ledger.store
    assert isinstance(store, RedisStore)

    async def spend() -> None:
        hold = await budget.session("$1").areserve(cost="$0.10")
        server.kill()
        await hold.asettle(cost="$0.04")
        assert store.undelivered == 1
        server.start()
        (await budget.session("$1").areserve(cost="$0.96")).keep()
        assert store.undelivered == 0

    asyncio.run(spend())
    assert float(budget.spent) == 0.04 and budget.audit() == ()
