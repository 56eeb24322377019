"""The calls in flight: found by the hooks that end them, and not lost where no hook does."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from uuid import UUID
from weakref import WeakSet

from ._run import Run

F = TypeVar("F", bound=Callable[..., None])

_logger = logging.getLogger("bursar")
_LOST_KEPT = 256  # runs whose end may still come
_everyones: WeakSet[Runs] = WeakSet()
_lock = threading.Lock()  # of the set above


def _renew() -> None:
    """In a forked child nobody is left to open a lock that another thread of the parent held."""
    global _lock  # noqa: PLW0603 - of the process
    _lock = threading.Lock()
    for runs in _everyones:
        runs._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def never_breaks(hook: F) -> F:
    """A hook that comes after the call: the answer is paid for, so nothing may take it away."""

    @wraps(hook)
    def method(*args: Any, **kwargs: Any) -> None:
        try:
            hook(*args, **kwargs)
        except Exception:
            _logger.exception("%s failed; what it left open is booked when its lease ends", hook.__name__)

    return cast("F", method)


def withdraw(refused: Run) -> None:
    """Release what any handler reserved for a call that another one, or one of its batch, prevented."""
    with _lock:
        everyones = list(_everyones)
    for runs in everyones:
        runs.withdraw(refused)


class Runs:
    """The open runs of one handler. Safe for threads and tasks."""

    def __init__(self) -> None:
        self._runs: dict[UUID, list[Run]] = {}
        self._lost: deque[Run] = deque()
        self._lock = threading.RLock()  # a finaliser may enter it again; no store is called inside
        with _lock:
            _everyones.add(self)

    def __len__(self) -> int:
        return len(self._runs)

    def known(self, run_id: UUID) -> tuple[Run, ...]:
        """The open runs with this id."""
        return tuple(self._runs.get(run_id, ()))

    def add(self, run: Run) -> None:
        """Remember a run that was admitted, and watch the task that it is in."""
        with self._lock:
            self._runs.setdefault(run.id, []).append(run)
        try:  # LangChain tells nobody when `ainvoke` is cancelled; the end of its task does
            task = asyncio.current_task()
        except RuntimeError:  # no event loop runs in this thread
            return
        if task is not None:
            run.task = task, lambda _: self._doubt(run)
            task.add_done_callback(run.task[1])

    def take(self, run_id: UUID) -> Run | None:
        """Take a run out; waits for no store, since a finaliser may call it."""
        with self._lock:
            runs = self._runs.get(run_id)
            if not runs:
                return None
            run = runs[0]
            self._remove(run)
        run.uncover()
        if run.task is not None:
            run.task[0].remove_done_callback(run.task[1])
        return run

    def sweep(self, parent: UUID) -> None:
        """The calls of a chain that is over are, too."""
        with self._lock:
            lost = [run for runs in self._runs.values() for run in runs if run.parent == parent]
        for run in lost:
            self._doubt(run)

    @never_breaks
    def orphan(self, failed: Run) -> None:
        """Close the other calls of a ``generate()`` that a failure ended: LangChain tells nobody of them.

        It makes them one after the other: those before were answered, those after never sent.
        Where an event loop runs, they may have been sent at once; then their ends come yet.
        """
        if failed.batch is None:
            return
        with self._lock:
            others = [run for runs in self._runs.values() for run in runs if run.batch is failed.batch]
        for run in others:
            if failed.task is None and run.number > failed.number:
                self._drop(run)
            else:
                self._doubt(run)

    @never_breaks
    def withdraw(self, refused: Run) -> None:
        """Release what was reserved for a call that was prevented."""
        with self._lock:
            unsent = [
                run
                for runs in self._runs.values()
                for run in runs
                if run.given is refused.given or (run.batch is not None and run.batch is refused.batch)
            ]
        for run in unsent:
            self._drop(run)

    @never_breaks
    def _doubt(self, run: Run) -> None:
        """Book a run that seems lost. Should its end come after all, that corrects the amount."""
        if run.doubted or run.hold.state != "reserved":
            return
        run.lose()
        with self._lock:
            self._lost.append(run)
            forgotten = self._lost.popleft() if len(self._lost) > _LOST_KEPT else None
        if forgotten is not None:
            self._remove(forgotten)

    def _drop(self, run: Run) -> None:
        self._remove(run)
        run.uncover()
        run.hold.release()

    def _remove(self, run: Run) -> None:
        with self._lock:
            runs = self._runs.get(run.id, [])
            if run in runs:
                runs.remove(run)
            if not runs:
                self._runs.pop(run.id, None)
