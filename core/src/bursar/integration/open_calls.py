"""The calls in flight: found by the hooks that end them, and not lost where no hook does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from weakref import WeakSet

from .calls import OpenCall
from .lock import Lock
from .refusals import never_breaks

_LOST_KEPT = 256  # calls whose end may still come
_everyones: WeakSet[OpenCalls] = WeakSet()
_lock = Lock()  # of the set above


def withdraw(refused: OpenCall) -> None:
    """Release what any adapter reserved for a call that another one, or one of its batch, prevented."""
    with _lock:
        everyones = list(_everyones)
    for calls in everyones:
        calls.withdraw(refused)


class OpenCalls:
    """The open calls of one adapter, by key. Safe for threads and tasks."""

    def __init__(self) -> None:
        self._calls: dict[Hashable, list[OpenCall]] = {}
        self._lost: deque[OpenCall] = deque()
        self._lock = Lock()  # no store is called inside
        with _lock:
            _everyones.add(self)

    def __len__(self) -> int:
        return len(self._calls)

    def known(self, key: Hashable) -> tuple[OpenCall, ...]:
        """The open calls with this key."""
        return tuple(self._calls.get(key, ()))

    def add(self, call: OpenCall) -> None:
        """Remember a call that was admitted, and watch the task that it is in."""
        with self._lock:
            self._calls.setdefault(call.key, []).append(call)
        if not call.watched:
            return
        try:  # frameworks tell nobody when a task is cancelled; its end does
            task = asyncio.current_task()
        except RuntimeError:  # no event loop runs in this thread
            return
        if task is not None:
            call.task = task, lambda _: self.lose(call)
            task.add_done_callback(call.task[1])

    def uncover(self, key: Hashable) -> None:
        """The request of the call was sent: what the context sends from here on is another one."""
        for call in self.known(key):
            call.uncover()

    def take(self, key: Hashable) -> OpenCall | None:
        """Take a call out; waits for no store, since a finaliser may call it."""
        with self._lock:
            calls = self._calls.get(key)
            if not calls:
                return None
            call = calls[0]
            self._remove(call)
        call.leave()
        return call

    def take_others(self, ended: OpenCall) -> list[OpenCall]:
        """Take out the other calls of the batch that a call is one of."""
        with self._lock:
            others = self._siblings(ended)
            for call in others:
                self._remove(call)
        for call in others:
            call.leave()
        return others

    def sweep(self, parent: Hashable, error: BaseException | None = None) -> None:
        """The calls of a run that is over are, too."""
        with self._lock:
            lost = [call for calls in self._calls.values() for call in calls if call.parent == parent]
        for call in lost:
            self.lose(call, error)

    @never_breaks
    def orphan(self, failed: OpenCall) -> None:
        """Close the other calls of a batch that a failure ended: the framework tells nobody of them.

        It makes them one after the other: those before were answered, those after never sent.
        Where an event loop runs, they may have been sent at once; then their ends come yet.
        """
        with self._lock:
            others = self._siblings(failed)
        for call in others:
            if failed.task is None and call.number > failed.number:
                self._drop(call)
            else:
                self.lose(call)

    @never_breaks
    def withdraw(self, refused: OpenCall) -> None:
        """Release what was reserved for a call that was prevented."""
        with self._lock:
            unsent = [
                call
                for calls in self._calls.values()
                for call in calls
                if call.is_call_of(refused) or (call.batch is not None and call.batch is refused.batch)
            ]
        for call in unsent:
            self._drop(call)

    @never_breaks
    def lose(self, call: OpenCall, error: BaseException | None = None) -> None:
        """Book a call that seems lost. Should its end come after all, that corrects the amount."""
        if call.doubted:
            return
        if call.is_open:
            call.lose(error)
        else:
            call.uncover()  # the covered SDK has booked it
        self._forget_later(call)

    def stopped(self, prevented: OpenCall) -> None:
        """Somebody else's hook prevented a call after it was admitted here.

        What the context sends from here on is another call. What is held for it is booked when the run
        around it is over, or when its lease ends.
        """
        for call in self.known(prevented.key):
            if call.is_call_of(prevented):
                call.uncover()
                if call.hold is None:
                    self._remove(call)
                else:
                    self._forget_later(call)

    def _forget_later(self, call: OpenCall) -> None:
        """Its end may still come; but calls do not pile up."""
        with self._lock:
            if call not in self._lost:
                self._lost.append(call)
            forgotten = self._lost.popleft() if len(self._lost) > _LOST_KEPT else None
        if forgotten is not None:
            self._remove(forgotten)

    def _siblings(self, of: OpenCall) -> list[OpenCall]:
        if of.batch is None:
            return []
        return [call for calls in self._calls.values() for call in calls if call.batch is of.batch]

    def _drop(self, call: OpenCall) -> None:
        self._remove(call)
        call.withdraw()

    def _remove(self, call: OpenCall) -> None:
        with self._lock:
            calls = self._calls.get(call.key, [])
            if call in calls:
                calls.remove(call)
            if not calls:
                self._calls.pop(call.key, None)
