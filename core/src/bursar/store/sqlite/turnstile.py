"""Fair mutex over all threads of all processes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from ...errors import StoreUnavailable
from .lock import Lock

T = TypeVar("T")

_SLICE_S = 0.05


class Turnstile:
    """Lets one thread of all processes do something at a time.

    SQLite alone lets whoever happens to ask at the right moment go first: of eight processes
    that spend without a pause, two were measured to get next to nothing.

    Args:
        path: of what they do it to.
    """

    def __init__(self, path: str) -> None:
        self._lock = threading.RLock()
        self._line: deque[threading.Event] = deque()
        self._processes = Lock(path)

    def take(self, deadline: float, act: Callable[[], T], *, alone: bool = True) -> T:
        """Do something when it is this thread's turn.

        Args:
            deadline: of the monotonic clock.
            act: what to do.
            alone: False where other processes need not wait meanwhile.

        Raises:
            StoreUnavailable: the turn did not come in time, or this thread has it already.
        """
        # A flag of our own could be left standing by an interrupt; the lock knows its owner.
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise StoreUnavailable("it was called from within one of its own steps")
        try:
            if not self._stand_in_line(deadline):
                raise StoreUnavailable("other threads of this process kept it busy")
            with self._lock:  # from here on it is opened whatever happens
                self._lock.release()
                try:
                    if alone and not self._processes.take(deadline):
                        raise StoreUnavailable("another process kept it locked")
                    return act()
                finally:
                    if alone:
                        self._processes.leave()
        finally:
            if self._lock._is_owned():  # type: ignore[attr-defined] # an interrupt came between the two
                self._lock.release()

    def alone(self, deadline: float) -> bool:
        """Keep all other threads away until `go_on`; False where that is not possible in time."""
        own = self._lock._is_owned()  # type: ignore[attr-defined]
        return not own and self._lock.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def go_on(self) -> None:
        """Let the others go on."""
        self._lock.release()

    def renew(self) -> None:
        """In a forked child, which has none of the threads that waited."""
        self._processes.renew()
        self._lock, self._line = threading.RLock(), deque()

    # -- threads -----------------------------------------------------------------------------

    def _stand_in_line(self, deadline: float) -> bool:
        if not self._line and self._lock.acquire(blocking=False):
            return True
        me = threading.Event()
        try:
            self._line.append(me)
            while True:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                if self._line[0] is me:
                    return self._lock.acquire(timeout=left_s)
                # Whoever is first waits for the lock itself. If that is free, the first has gone astray.
                if not me.wait(min(left_s, _SLICE_S)) and self._lock.acquire(blocking=False):
                    return True
        finally:
            self._line.remove(me)
            if self._line:
                self._line[0].set()
