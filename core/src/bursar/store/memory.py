"""`MemoryStore`: balances in this process, the default."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from ..errors import StoreUnavailable
from ..runtime import fork
from ..runtime.clock import Clock, SystemClock
from ..runtime.fork import OneProcess
from ..runtime.sharing import let_others_go
from .alerts import HasAlerts
from .base import HasHistory, HasHolds, HasRoots, Store, Verb
from .engine.verbs import Verbs
from .facts import Facts

_INHERITED = (
    "this budget is in the memory of the process that was forked, and what it has left is not there twice:"
    " open a Budget in the child, or use a store that processes share"
)

_SESSIONS_AT_ONCE = 20  # whose step takes 0.1 ms, in which no other thread computes


class _Listing(Store, HasRoots, HasHolds, HasHistory, HasAlerts, Protocol):
    """All verbs that a store in memory has."""


P = ParamSpec("P")
R = TypeVar("R")


def _step(
    verb: Callable[Concatenate[Verbs, int, P], R], *, reads: bool = False
) -> Callable[Concatenate[MemoryStore, P], R]:
    """One atomic step: alone, after what an earlier step left undone, at one moment.

    Who only reads lets others go before: whoever asks again at once would else be there before them.
    """

    def step(self: MemoryStore, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._forks != fork.count:  # before the lock: a thread of the parent may have held it
            raise StoreUnavailable(_INHERITED)
        # A flag of our own could be left standing by an interrupt; the lock knows its owner.
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise StoreUnavailable("the memory store was called from within one of its own steps")
        with self._lock:
            verbs = self._verbs
            if verbs.plan is not None:
                verbs.commit(verbs.plan)
            now_ms = int(self._clock.now() * 1000)
            now_ms = max(now_ms, self._now_ms)
            self._now_ms = now_ms
            verbs.records.sweep(now_ms)
            if verbs.accounts.due_ms <= now_ms:
                verbs.accounts.retire(now_ms)
            answer: R = getattr(verbs, name)(now_ms, *args, **kwargs)
        if reads:
            let_others_go()
        return answer

    name = verb.__name__
    update_wrapper(step, getattr(_Listing, name))
    return step


class MemoryStore(OneProcess, Store):
    """Balances that live and die with this process; safe for threads and tasks.

    Args:
        clock: tells the time; the machine's own clock by default. A clock that runs
            backwards stands still here.
    """

    durability = "memory"

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._forks = fork.count
        self._now_ms = 0
        self._verbs = Verbs()
        self._verbs.sessions_at_once = _SESSIONS_AT_ONCE

    reserve = _step(Verbs.reserve)
    probe = _step(Verbs.probe)
    settle = _step(Verbs.settle)
    book = _step(Verbs.book)
    doubt = _step(Verbs.doubt)
    release = _step(Verbs.release)
    extend = _step(Verbs.extend)
    set_limit = _step(Verbs.set_limit)
    drop_limit = _step(Verbs.drop_limit)
    trip = _step(Verbs.trip)
    untrip = _step(Verbs.untrip)
    reset = _step(Verbs.reset)
    acknowledge = _step(Verbs.acknowledge)
    end = _step(Verbs.end)
    read = _step(Verbs.read, reads=True)
    sessions = _step(Verbs.sessions, reads=True)
    holds = _step(Verbs.holds, reads=True)
    roots = _step(Verbs.roots, reads=True)
    history = _step(Verbs.history, reads=True)
    alerts = _step(Verbs.alerts, reads=True)
    claim = _step(Verbs.claim)
    delivered = _step(Verbs.delivered)
    audit = _step(Verbs.audit, reads=True)

    def facts(self, root: str = "") -> Facts:
        """What survives: nothing."""
        return Facts("memory", self.durability)

    async def acall(self, verb: Verb, *arguments: Any) -> Any:
        """Nothing here waits, so the loop may as well do it itself."""
        return getattr(self, verb)(*arguments)
