"""A lock that may be entered again, and that a forked child finds open."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet


class Lock:
    """A context manager. The collector may call back into an adapter while it is held, on the same thread."""

    def __init__(self) -> None:
        self.renew()
        _all.add(self)

    def renew(self) -> None:
        """In a forked child nobody is left to open a lock that another thread of the parent held."""
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_all: WeakSet[Lock] = WeakSet()


def _renew() -> None:
    for lock in _all:
        lock.renew()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_renew)
