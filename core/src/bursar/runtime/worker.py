"""`Worker`: a thread that works through a bounded queue, so that who puts something in never waits."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet, finalize

from .fork import first_in_child
from .log import logger

T = TypeVar("T")

_FLUSH_S = 2.0  # at exit, for all together


class Worker(Generic[T]):
    """Does the work in a daemon thread, in order; the thread lives for as long as there is any.

    At exit of the interpreter what is queued is waited for, 2 seconds at most. A forked child begins with
    an empty queue: its parent does what it has.

    Args:
        name: of the thread.
        work: what is done with each item; what it raises is logged.
        most: how many items may wait.
    """

    def __init__(self, name: str, work: Callable[[T], object], most: int = 1000) -> None:
        self._name = name
        self._work = work
        self._most = most
        self.renew()
        _workers.add(self)

    def renew(self) -> None:
        """Empty, without a thread."""
        self._items: deque[T] = deque()
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)

    def put(self, item: T) -> bool:
        """Have an item worked on; False where too many wait, or no thread can be started any more."""
        with self._lock:
            if len(self._items) >= self._most:
                return False
            self._items.append(item)
            self._idle.clear()
            if self._thread is None:
                _flush_at_the_end()
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter ends
                    self._items.pop()
                    self._thread = None
                    self._idle.set()
                    return False
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until all is done; False where it takes longer."""
        return self._idle.wait(seconds)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._items:
                    self._thread = None
                    self._idle.set()
                    return
                item = self._items.popleft()
            try:
                self._work(item)
            except BaseException as error:  # nobody above would do the next
                logger.error("%s failed: %s", self._name, type(error).__name__)
            del item  # it must not live until the next one comes


_workers: WeakSet[Worker[Any]] = WeakSet()
_finalizers: list[object] = []  # of multiprocessing, in this process


def _flush_at_the_end() -> None:
    """A forked process of `multiprocessing` ends without `atexit`; that module has finalisers of its own."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _finalizers:
        _finalizers.append(util.Finalize(None, flush, exitpriority=0))


def renew_all() -> None:
    """In a forked child: its parent does what waits."""
    _finalizers.clear()
    for worker in tuple(_workers):
        worker.renew()


def flush() -> None:
    """Wait for what is queued, 2 seconds at most."""
    end_s = time.monotonic() + _FLUSH_S
    while busy := [worker for worker in tuple(_workers) if not worker.wait(0)]:
        if not busy[0].wait(end_s - time.monotonic()):  # one may hand on to another
            return


first_in_child(renew_all)
# Stores are closed at exit by finalisers. These run after the flush, which needs the stores, where the first
# of them was made before it: what is registered first runs last.
finalize(flush, flush).detach()
atexit.register(flush)
