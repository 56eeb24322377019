"""The calls in flight: found by the hooks that end them, and not lost where no hook does."""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import UUID
from weakref import WeakSet

from bursar.integration import never_breaks

from ._lock import Lock
from ._run import Run

_LOST_KEPT = 256  # runs whose end may still come
_everyones: WeakSet[Runs] = WeakSet()
_lock = Lock()  # of the set above


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
        self._lock = Lock()  # no store is called inside
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
        if run.text:
            return  # its start hook runs in a task of its own, which is over before the call is sent
        try:  # LangChain tells nobody when `ainvoke` is cancelled; the end of its task does
            task = asyncio.current_task()
        except RuntimeError:  # no event loop runs in this thread
            return
        if task is not None:
            run.task = task, lambda _: self._doubt(run)
            task.add_done_callback(run.task[1])

    def uncover(self, run_id: UUID) -> None:
        """The request of the run was sent: what the context sends from here on is another one."""
        for run in self.known(run_id):
            run.uncover()

    def take(self, run_id: UUID) -> Run | None:
        """Take a run out; waits for no store, since a finaliser may call it."""
        with self._lock:
            runs = self._runs.get(run_id)
            if not runs:
                return None
            run = runs[0]
            self._remove(run)
        run.leave()
        return run

    def take_others(self, ended: Run) -> list[Run]:
        """Take out the other calls of the ``generate()`` that a run is one of."""
        with self._lock:
            others = self._siblings(ended)
            for run in others:
                self._remove(run)
        for run in others:
            run.leave()
        return others

    def _siblings(self, of: Run) -> list[Run]:
        if of.batch is None:
            return []
        return [run for runs in self._runs.values() for run in runs if run.batch is of.batch]

    def lose(self, run_id: UUID) -> None:
        """A run is over whose end nobody told."""
        for run in self.known(run_id):
            self._doubt(run)

    def sweep(self, parent: UUID, error: BaseException | None = None) -> None:
        """The calls of a chain that is over are, too."""
        with self._lock:
            lost = [run for runs in self._runs.values() for run in runs if run.parent == parent]
        for run in lost:
            self._doubt(run, error)

    @never_breaks
    def orphan(self, failed: Run) -> None:
        """Close the other calls of a ``generate()`` that a failure ended: LangChain tells nobody of them.

        It makes them one after the other: those before were answered, those after never sent.
        Where an event loop runs, they may have been sent at once; then their ends come yet.
        """
        with self._lock:
            others = self._siblings(failed)
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
                if run.is_call_of(refused) or (run.batch is not None and run.batch is refused.batch)
            ]
        for run in unsent:
            self._drop(run)

    @never_breaks
    def _doubt(self, run: Run, error: BaseException | None = None) -> None:
        """Book a run that seems lost. Should its end come after all, that corrects the amount."""
        if run.doubted or run in self._lost:
            return
        if run.is_open:
            run.lose(error)
        else:
            run.uncover()  # the covered SDK has booked it
        with self._lock:
            self._lost.append(run)
            forgotten = self._lost.popleft() if len(self._lost) > _LOST_KEPT else None
        if forgotten is not None:
            self._remove(forgotten)

    def _drop(self, run: Run) -> None:
        self._remove(run)
        run.withdraw()

    def _remove(self, run: Run) -> None:
        with self._lock:
            runs = self._runs.get(run.id, [])
            if run in runs:
                runs.remove(run)
            if not runs:
                self._runs.pop(run.id, None)
