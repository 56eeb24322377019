"""One step at a time: threads of a process in the order in which they came, and processes likewise."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from ...errors import StoreUnavailable

fcntl: Any
try:
    import fcntl
except ModuleNotFoundError:  # pragma: no cover - Windows: SQLite's own waiting has to do, which is not fair
    fcntl = None

T = TypeVar("T")

_SLICE_S = 0.05


class Turns:
    """Lets one thread of all processes do something at a time.

    SQLite alone lets whoever happens to ask at the right moment go first: of eight processes
    that spend without a pause, two were measured to get next to nothing.

    Args:
        path: of a file that is only there to be locked.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._line: deque[threading.Event] = deque()
        self._file: int | None = None
        self._waiter: _Waiter | None = None

    def take(self, deadline: float, act: Callable[[], T]) -> T:
        """Do something when it is this thread's turn.

        Args:
            deadline: of the monotonic clock.
            act: what to do.

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
                return self._among_processes(deadline, act)
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

    def close(self) -> None:
        """Close what is open: before a fork, which would give it to the child as well."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def renew(self) -> None:
        """In a forked child, which has none of the threads that waited."""
        self.close()
        if self._waiter is not None:
            self._waiter.close()
            self._waiter = None
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

    # -- processes ---------------------------------------------------------------------------

    def _among_processes(self, deadline: float, act: Callable[[], T]) -> T:
        if fcntl is None:
            return act()
        if self._file is None:
            self._file = _open(self._path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait(deadline)
        try:
            return act()
        finally:
            if self._file is not None:  # else this is a child that was forked off meanwhile
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _wait(self, deadline: float) -> None:
        """Wait in the line of the system; it cannot be left in time, so that a thread has to stand there."""
        if self._waiter is None or not self._waiter.go_on():
            self._waiter = _Waiter(self._path)
        if not self._waiter.wait(deadline - time.monotonic()):
            raise StoreUnavailable("another process kept it locked")
        self.close()
        self._file, self._waiter = self._waiter.file, None


class _Waiter:
    """A thread that waits for the lock of the file, and gives it back where nobody wants it any more."""

    def __init__(self, path: str) -> None:
        self.file: int | None = _open(path)
        self._changed = threading.Condition()
        self._wanted, self._locked = True, False
        threading.Thread(target=self._work, name="bursar-sqlite-turn", daemon=True).start()

    def go_on(self) -> bool:
        """Want it again; False where it was given back already."""
        with self._changed:
            self._wanted = True
            return self.file is not None

    def wait(self, left_s: float) -> bool:
        """True when it is locked; False when that took too long, and nobody wants it now."""
        with self._changed:
            try:
                self._changed.wait_for(lambda: self._locked, max(0.0, left_s))
            finally:
                self._wanted = self._locked
            return self._locked

    def close(self) -> None:
        """Close its file."""
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def _work(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)
        with self._changed:
            if self._wanted:
                self._locked = True
                self._changed.notify()
            else:
                self.close()


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
