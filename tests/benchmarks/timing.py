"""How long a call takes: each one is timed, none is averaged away, and what is compared runs by turns."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

ROUNDS, TURNS = 20, 5


class WrongAmount(Exception):
    """A case has booked another amount than its calls cost, so that its time says nothing."""


@dataclass(frozen=True)
class Case:
    """Something to be timed.

    Attributes:
        name: what it is, for the table.
        call: what is timed; it gets what `before` made.
        before: makes what a call needs, off the clock.
        cost: USD that each call books, as a literal.
        spent: tells how many USD have been booked; None where nothing is.
        around: what is entered for a round of calls, off the clock.
        per: how many pieces of work one call does.
        loop: runs the call, which is then a coroutine function.
    """

    name: str
    call: Callable[[Any], Any]
    before: Callable[[], Any] = lambda: None
    cost: float = 0
    spent: Callable[[], object] | None = None
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    per: int = 1
    loop: asyncio.AbstractEventLoop | None = None


Rounds = list[float]  # microseconds: the median of each round


def times_ns(case: Case, calls: int) -> list[int]:
    """Nanoseconds of each of so many calls."""
    if case.loop is not None:
        return case.loop.run_until_complete(_times_ns(case, calls))
    times = []
    call, before = case.call, case.before
    for _ in range(calls):
        made = before()
        began = perf_counter_ns()
        call(made)
        times.append(perf_counter_ns() - began)
    return times


async def _times_ns(case: Case, calls: int) -> list[int]:
    times = []
    for _ in range(calls):
        made = case.before()
        began = perf_counter_ns()
        await case.call(made)
        times.append(perf_counter_ns() - began)
    return times


def by_turns(
    cases: Iterable[Case], calls: int, warm: int, done: Callable[[int], object] = lambda rounds: None
) -> dict[str, Rounds]:
    """Each case in each of 20 rounds, a few calls of each at a time: what else the machine does hits all alike.

    Args:
        cases: what is timed.
        calls: of each case in a round, which has several turns of a few calls.
        warm: unmeasured calls of each case before the first round.
        done: is told of each round that is finished.

    Raises:
        WrongAmount: A case has booked a wrong amount.
    """
    found: dict[str, Rounds] = {}
    cases = list(cases)
    turns = min(TURNS, calls)
    for case in cases:
        found[case.name] = []
        turn(case, warm)
    for _ in range(ROUNDS):
        times: dict[str, list[int]] = {case.name: [] for case in cases}
        for _ in range(turns):
            for case in cases:
                times[case.name] += turn(case, calls // turns)
            cases.reverse()
        for case in cases:
            found[case.name].append(statistics.median(times[case.name]) / 1000 / case.per)
        done(1)
    for case in cases:
        proven(case, (warm + ROUNDS * turns * (calls // turns)) * case.per)
    return found


def turn(case: Case, calls: int) -> list[int]:
    """So many calls, one after the other, within what is around them."""
    with case.around():
        return times_ns(case, calls)


def proven(case: Case, calls: int) -> None:
    """What it has booked is what so many calls cost; a sum of floats may be off by a millionth."""
    if case.spent is None:
        return
    wanted, booked = case.cost * calls, float(str(case.spent()))
    if abs(booked - wanted) > wanted / 1_000_000:
        raise WrongAmount(f"{case.name}: {calls} calls cost ${wanted:.6f}, and it has booked ${booked:.6f}")
