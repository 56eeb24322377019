"""The clock that tests move by hand."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from bursar.testing import ManualClock

NOON = 1_748_779_200.0  # 2025-06-01 12:00 UTC


def test_it_stands_still_until_it_is_moved() -> None:
    """Two readings agree, however much time passes between them."""
    clock = ManualClock()
    assert clock.now() == clock.now() == 0


@pytest.mark.parametrize(
    "start",
    [
        NOON,
        datetime(2025, 6, 1, 12),  # noqa: DTZ001 - a moment without a zone is UTC
        datetime(2025, 6, 1, 12, tzinfo=timezone.utc),
        datetime(2025, 6, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_moment_is_seconds_or_a_datetime(start: float | datetime) -> None:
    """Seconds since the epoch, a datetime of any zone, and a naive one in UTC are the same moment."""
    moved = ManualClock()
    moved.set(start)
    assert ManualClock(start).now() == moved.now() == NOON


@pytest.mark.parametrize("span", [90, 90.0, timedelta(minutes=1, seconds=30)])
def test_it_advances_by_seconds_or_a_timedelta(span: float | timedelta) -> None:
    """Both say how long a span is, and spans add up."""
    clock = ManualClock(10)
    clock.advance(span)
    clock.advance(0)
    assert clock.now() == 100


@pytest.mark.parametrize("span", [-1, -0.001, timedelta(seconds=-1), math.nan, math.inf])
def test_it_does_not_advance_backwards(span: float | timedelta) -> None:
    """A span that is negative, endless or no number is refused, and the clock stays where it was."""
    clock = ManualClock(10)
    with pytest.raises(ValueError, match="does not advance"):
        clock.advance(span)
    assert clock.now() == 10


def test_it_can_be_set_back() -> None:
    """Somebody changes the clock of a host: stores are tested against that, too."""
    clock = ManualClock(NOON)
    clock.set(NOON - 3600)
    assert clock.now() == NOON - 3600


@pytest.mark.parametrize("moment", [math.nan, math.inf, -math.inf])
def test_a_moment_is_finite(moment: float) -> None:
    """Neither the start nor a later moment can be what no clock shows."""
    clock = ManualClock()
    with pytest.raises(ValueError, match="no moment"):
        ManualClock(moment)
    with pytest.raises(ValueError, match="no moment"):
        clock.set(moment)


def test_threads_may_move_it_at_once() -> None:
    """No second of 8 x 500 is lost."""
    clock = ManualClock()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(lambda: [clock.advance(1) for _ in range(500)])
    assert clock.now() == 4000
