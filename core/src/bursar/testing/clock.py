"""A clock that stands still until a test moves it."""

from __future__ import annotations

import math
import threading
from datetime import datetime, timedelta, timezone


class ManualClock:
    """Time for tests: give it to `Budget(clock=...)` or to a store.

    Args:
        start: seconds since the epoch, or a datetime (UTC where it names no zone).

    Raises:
        ValueError: a moment that is not a finite number, here or in `set`.
    """

    def __init__(self, start: float | datetime = 0) -> None:
        self._lock = threading.Lock()
        self._now_s = _seconds(start)

    def now(self) -> float:
        """Seconds since the epoch."""
        with self._lock:
            return self._now_s

    def advance(self, seconds: float | timedelta) -> None:
        """Let so many seconds pass, or a timedelta.

        Raises:
            ValueError: a negative or endless span; `set` turns a clock back.
        """
        span_s = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
        if not 0 <= span_s < math.inf:
            raise ValueError(f"{seconds!r} does not advance a clock; set() turns it back")
        with self._lock:
            self._now_s += span_s

    def set(self, moment: float | datetime) -> None:
        """Go to a moment, also back: what a store sees when somebody changes the clock of its host."""
        with self._lock:
            self._now_s = _seconds(moment)


def _seconds(moment: float | datetime) -> float:
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    seconds = float(moment)
    if not math.isfinite(seconds):
        raise ValueError(f"{moment!r} is no moment")
    return seconds
