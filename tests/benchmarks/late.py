"""Is a late call as fast as an early one? Call 1,000,000 of a session by turns with call 1,000 of new ones."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

from reserving import RICH, numbers
from rows import OURS, Row, ratio, row
from timing import ROUNDS, Rounds, proven, times_ns

from bursar import Budget

EARLY, PART = 1_000, 400


def run(last: int, done: Callable[[int], object]) -> Iterator[Row]:
    """One session is worn by so many calls first; each round times both, the early one in a new budget."""
    worn = numbers("worn", Budget(RICH).session())
    for _ in range(last // EARLY):
        times_ns(worn, EARLY)
        done(EARLY)
    late, early = Rounds(), Rounds()
    for _ in range(ROUNDS):
        new = numbers("new", Budget(RICH).session())
        times_ns(new, EARLY - PART)
        early.append(statistics.median(times_ns(new, PART)) / 1000)
        late.append(statistics.median(times_ns(worn, PART)) / 1000)
        proven(new, EARLY)
    proven(worn, last // EARLY * EARLY + ROUNDS * PART)
    found = {OURS: late, f"call {EARLY:,}": early}
    yield row(f"call {last:,}", found, ratio(f"call {EARLY:,}", 1.1, late, early))
