"""What a call that waits for others costs them: how long a loop stands still, and who comes next how late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import Context
from statistics import median
from threading import Thread
from time import perf_counter_ns, sleep

from rows import OURS, Row, row
from timing import ROUNDS, Rounds

from bursar import Budget, Hold, Session

WAITERS = 50
BEAT_S = 0.001
SETTLE_IN_S = 0.4  # the first in line looks up twice or more
COST, PAID = "$0.60", "$0.001"  # of $1: one call at a time


def run(done: Callable[[int], object]) -> Iterator[Row]:
    """The largest gap between two beats of each run; and the time from each settle to the next grant."""
    quiet, beside, tasks, threads = Rounds(), Rounds(), Rounds(), Rounds()
    for _ in range(ROUNDS):
        quiet.append(asyncio.run(in_tasks(0))[0] / 1000)
        gap, late = asyncio.run(in_tasks(WAITERS))
        beside.append(gap / 1000)
        tasks.append(median(late) / 1000)
        threads.append(median(in_threads()) / 1000)
        done(1)
    gaps = {OURS: beside, "nobody waits": quiet}
    yield row(f"event loop: its longest pause beside {WAITERS} calls that wait", gaps)
    yield row(f"{WAITERS} threads wait: from a settle to the next grant", {OURS: threads})
    yield row(f"{WAITERS} tasks wait: from a settle to the next grant", {OURS: tasks})


async def in_tasks(waiters: int) -> tuple[int, list[int]]:
    """Nanoseconds: the largest gap of a task that sleeps `BEAT_S` between beats, and settle to next grant."""
    session, hold = one_at_a_time()
    settled, granted, beats = list[int](), list[int](), list[int]()

    async def beat() -> None:
        while True:
            beats.append(perf_counter_ns())
            await asyncio.sleep(BEAT_S)

    async def call() -> None:
        mine = await session.areserve(cost=COST)
        granted.append(perf_counter_ns())
        settled.append(perf_counter_ns())
        await mine.asettle(cost=PAID)

    heart = asyncio.create_task(beat())
    calls = [asyncio.create_task(call()) for _ in range(waiters)]
    await asyncio.sleep(SETTLE_IN_S)
    settled.append(perf_counter_ns())
    await hold.asettle(cost=PAID)
    await asyncio.gather(*calls)
    heart.cancel()
    return max(between(beats, beats[1:])), list(between(settled, granted))


def in_threads() -> list[int]:
    """Nanoseconds from each settle to the next grant."""
    session, hold = one_at_a_time()
    settled, granted = list[int](), list[int]()

    def call() -> None:
        mine = session.reserve(cost=COST)
        granted.append(perf_counter_ns())
        settled.append(perf_counter_ns())
        mine.settle(cost=PAID)

    threads = [Thread(target=call) for _ in range(WAITERS)]
    for thread in threads:
        thread.start()
    sleep(SETTLE_IN_S)
    settled.append(perf_counter_ns())
    hold.settle(cost=PAID)
    for thread in threads:
        thread.join()
    return list(between(settled, granted))


def one_at_a_time() -> tuple[Session, Hold]:
    """A session with room for one call, and the call that is in the way, which is nobody's own."""
    session = Budget("$1", max_repeated_calls=None).session()
    return session, Context().run(session.reserve, cost=COST)


def between(first: list[int], then: list[int]) -> Iterator[int]:
    """How long after each of the first the one of the same place came."""
    return (later - earlier for earlier, later in zip(first, then, strict=False))
