"""A long run: is a late call as fast as an early one, and does memory stay where it was?"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reserving import RICH, numbers
from timing import times_ns, timing

from bursar import Budget

WINDOW = 1_000
WARM = 20_000  # a store in memory keeps the newest 10,000 records; from here on it is full
CHECKPOINTS = (1_000, 10_000, WARM, 50_000, 100_000, 200_000, 500_000, 1_000_000)
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Checkpoint:
    """How it stands after so many calls.

    Attributes:
        median_us: of the last thousand calls.
        objects: that the garbage collector watches.
        rss_mb: memory of the process; None where the system does not tell.
    """

    call: int
    median_us: float
    p95_us: float
    objects: int
    rss_mb: float | None


@dataclass(frozen=True)
class Growth:
    """Memory that Python has allocated, counted exactly.

    Attributes:
        bytes_a_call: what each call after the warm-up left behind.
    """

    warm_mb: float
    end_mb: float
    calls: int
    bytes_a_call: float


def checkpoints(last: int) -> list[int]:
    """The numbers of the calls that are looked at."""
    return sorted({call for call in CHECKPOINTS if call < last} | {last})


def run(last: int, done: Callable[[int], object]) -> Iterator[Checkpoint]:
    """Call after call through one session."""
    case = numbers("", Budget(RICH).session())
    made = 0
    for checkpoint in checkpoints(last):
        while made < checkpoint:
            times = times_ns(case, min(WINDOW, checkpoint - made))
            made += len(times)
            done(len(times))
        found = timing("", times)
        gc.collect()
        yield Checkpoint(made, found.median_us, found.p95_us, len(gc.get_objects()), rss_mb())


def growth(calls: int, done: Callable[[int], object]) -> Growth:
    """The same again under `tracemalloc`, which makes it several times slower."""
    case = numbers("", Budget(RICH).session())
    tracemalloc.start()
    try:
        held = []
        for part in (WARM, calls):
            for _ in range(part // WINDOW):
                times_ns(case, WINDOW)
                done(WINDOW)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    warm, end = held
    return Growth(warm / 2**20, end / 2**20, calls, (end - warm) / calls)


def rss_mb() -> float | None:
    """Resident memory of this process, on Linux."""
    if not _STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024
