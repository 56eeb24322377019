"""The protocol of a clock, and the clock of the machine."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """Tells the time; `bursar.testing.ManualClock` is one that tests move."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...  # pragma: no cover - a declaration


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()
