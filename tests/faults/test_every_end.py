"""However a call ends, its hold is closed or has a lease: nothing stays reserved, on any store."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal

import pytest

from bursar import Budget, Session
from bursar.store import Store
from bursar.store.memory import MemoryStore
from bursar.store.redis import open_redis
from bursar.store.sqlite import open_sqlite
from bursar.testing import ManualClock

from ..files import file_url
from ..servers import shared_url

STORES: dict[str, Callable[[ManualClock], Store]] = {
    "memory": MemoryStore,
    "sqlite": lambda clock: open_sqlite(file_url(synchronous="normal"), clock),
    "redis": lambda clock: open_redis(shared_url(), clock),
}
HELD, COST = Decimal("0.1"), Decimal("0.04")
LEASE_S = 60


def _raises(error: type[BaseException]) -> Callable[[Session], None]:
    def end(session: Session) -> None:
        with suppress(error), session.reserve(cost=HELD):
            raise error

    return end


def _araises(error: type[BaseException]) -> Callable[[Session], None]:
    def end(session: Session) -> None:
        async def call() -> None:
            with suppress(error):
                async with session.areserve(cost=HELD):
                    raise error

        asyncio.run(call())

    return end


def _settled(session: Session) -> None:
    session.reserve(cost=HELD).settle(cost=COST)


def _released(session: Session) -> None:
    session.reserve(cost=HELD).release()


def _left(session: Session) -> None:
    with session.reserve(cost=HELD):
        pass


def _forgotten(session: Session) -> None:
    session.reserve(cost=HELD).keep()
    gc.collect()


def _late(session: Session) -> None:
    hold = session.reserve(cost=HELD)
    hold.settle_unknown()
    hold.settle(cost=COST)


def _stream(session: Session) -> Iterator[int]:
    with session.reserve(cost=HELD) as hold:
        yield 1
        yield 2
        hold.settle(cost=COST)


def _stream_closed(session: Session) -> None:
    stream = _stream(session)
    next(stream)
    stream.close()


def _stream_collected(session: Session) -> None:
    stream = _stream(session)
    next(stream)
    del stream
    gc.collect()


def _stream_never_begun(session: Session) -> None:
    _stream(session)


def _consumer_raises(session: Session) -> None:
    with suppress(KeyError):
        for _ in _stream(session):
            raise KeyError


async def _call_until_cancelled(session: Session, sent: asyncio.Event) -> None:
    async with session.areserve(cost=HELD):
        sent.set()
        await asyncio.Event().wait()


def _cancelled_twice(session: Session) -> None:
    async def twice() -> None:
        sent = asyncio.Event()
        task = asyncio.ensure_future(_call_until_cancelled(session, sent))
        await sent.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(twice())


def _sibling_fails(session: Session) -> None:
    async def both() -> None:
        sent = asyncio.Event()
        task = asyncio.ensure_future(_call_until_cancelled(session, sent))

        async def sibling() -> None:
            await sent.wait()
            task.cancel()  # as a group of tasks does when one of them raises
            raise KeyError

        await asyncio.gather(task, sibling(), return_exceptions=True)

    asyncio.run(both())


ENDS: dict[str, tuple[Callable[[Session], None], Decimal | int]] = {
    "settled": (_settled, COST),
    "released": (_released, 0),
    "left without a word": (_left, HELD),
    "forgotten": (_forgotten, HELD),
    "unknown, then known": (_late, COST),
    "connection refused": (_raises(ConnectionRefusedError), 0),
    "timeout": (_raises(TimeoutError), HELD),
    "interrupt": (_raises(KeyboardInterrupt), HELD),
    "exit": (_raises(SystemExit), HELD),
    "recursion": (_raises(RecursionError), HELD),
    "async connection refused": (_araises(ConnectionRefusedError), 0),
    "async timeout": (_araises(TimeoutError), HELD),
    "async cancelled": (_araises(asyncio.CancelledError), HELD),
    "cancelled twice": (_cancelled_twice, HELD),
    "a sibling fails": (_sibling_fails, HELD),
    "stream closed": (_stream_closed, HELD),
    "stream collected": (_stream_collected, HELD),
    "stream never begun": (_stream_never_begun, 0),
    "consumer raises": (_consumer_raises, HELD),
}


@pytest.mark.parametrize("open_store", STORES.values(), ids=STORES)
@pytest.mark.parametrize("end", ENDS)
def test_no_hold_outlives_its_lease(end: str, open_store: Callable[[ManualClock], Store]) -> None:
    """Booked at what is known, at its worst, or not at all; and once the lease is over nothing is reserved."""
    act, spent = ENDS[end]
    clock = ManualClock(1_750_000_000)
    budget = Budget("$1/total", store=open_store(clock), lease=LEASE_S)
    budget.reset("the account exists")
    act(budget.session("$1"))
    clock.advance(LEASE_S + 1)
    assert (budget.spent, budget.reserved) == (spent, 0)
    assert budget.audit() == ()
