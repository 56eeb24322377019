"""How long a call takes: each one is timed, none is averaged away."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

_ROUNDS = 25


@dataclass(frozen=True)
class Case:
    """Something to be timed.

    Attributes:
        name: what it is, for the table.
        call: what is timed; it gets what `before` made.
        before: makes what a call needs, off the clock.
    """

    name: str
    call: Callable[[Any], object]
    before: Callable[[], Any] = lambda: None


@dataclass(frozen=True)
class Timing:
    """Microseconds a call."""

    name: str
    calls: int
    best_us: float
    median_us: float
    p95_us: float


def times_ns(case: Case, calls: int) -> list[int]:
    """Nanoseconds of each of so many calls."""
    times = []
    call, before = case.call, case.before
    for _ in range(calls):
        made = before()
        began = perf_counter_ns()
        call(made)
        times.append(perf_counter_ns() - began)
    return times


def timings(
    cases: Iterable[Case], calls: int, done: Callable[[int], object] = lambda calls: None
) -> list[Timing]:
    """Each case so many times, by turns: whatever else the machine does then hits all of them alike.

    Args:
        cases: what is timed.
        calls: how often, after as many unmeasured ones as a store in memory needs to be in its stride.
        done: is told of each part that is finished, in calls.
    """
    found: list[tuple[Case, list[int]]] = [(case, []) for case in cases]
    part = max(1, calls // _ROUNDS)
    for case, _ in found:
        times_ns(case, min(calls, 12_000))
        done(part)
    for _ in range(_ROUNDS):
        for case, times in found:
            times.extend(times_ns(case, part))
            done(part)
    return [timing(case.name, times) for case, times in found]


def timing(name: str, times: list[int]) -> Timing:
    """What is left of the single times."""
    ordered = sorted(times)
    return Timing(
        name=name,
        calls=len(ordered),
        best_us=ordered[0] / 1000,
        median_us=statistics.median(ordered) / 1000,
        p95_us=ordered[int(len(ordered) * 0.95)] / 1000,
    )
