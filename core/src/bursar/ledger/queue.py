"""`Queue`: the calls of this process that wait for others in flight, first come, first served."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from weakref import WeakValueDictionary

from ..runtime import fork
from ..runtime.fork import first_in_child
from ..store.base import Store
from ..store.entry import Path

LOOK_S = (0.05, 0.25)
"""How long the head of a line waits before it looks for what other processes have done: from, to."""

_dice = Random()  # noqa: S311 - no secret; the program's own dice are left alone
first_in_child(_dice.seed)


class Waiter:
    """One call that waits in a line.

    Attributes:
        path: the accounts that it is charged to.
        account: the one for whose room it waits.
        woken: True since it was woken, until it looks again.
        ring: wakes its thread or task while it sleeps.
        since_s: when it came, by the monotonic clock.
    """

    __slots__ = ("account", "path", "ring", "since_s", "woken")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.account = ""
        self.woken = False
        self.ring: Callable[[], object] | None = None
        self.since_s = time.monotonic()

    def wake(self) -> bool:
        """Let it look again; False where its event loop is closed. Touches no lock of ours."""
        self.woken = True
        ring = self.ring
        if ring is not None:
            try:
                ring()
            except RuntimeError:
                return False
        return True


class Line:
    """Those who wait for room in one account.

    Attributes:
        waiters: the first is the head, which alone asks.
        moved_s: when something was last settled or released there, by the monotonic clock.
    """

    __slots__ = ("moved_s", "waiters")

    def __init__(self) -> None:
        self.waiters: deque[Waiter] = deque()
        self.moved_s = 0.0


class Queue:
    """All that wait in one tree of a store, in a line for each account that has no room.

    Args:
        root: the key of the tree.
        store: of it, kept where its address tells which it is: that must not become another one's meanwhile.

    Attributes:
        changes: another object whenever there may be more room.
        forks: how many forks there were before it.
    """

    def __init__(self, root: str, store: Store | None = None) -> None:
        self.root = root
        self._store = store
        self.forks = fork.count
        self._lock = threading.RLock()  # a finaliser may leave a line while its thread joins another
        self._lines: dict[str, Line] = {}
        self.changes = object()

    def line_for(self, path: Path) -> str | None:
        """The account of a path for whose room somebody waits already, or None."""
        lines = self._lines
        return next((account.key for account in path if account.key in lines), None) if lines else None

    @contextmanager
    def joined(self, waiter: Waiter, account: str, *, first: bool, seen: object) -> Iterator[None]:
        """Wait in the line for an account.

        Args:
            waiter: the call.
            account: its key.
            first: True for a call whose context has holds open: it does not queue behind others.
            seen: `changes` before the store was asked; what changed meanwhile wakes it.
        """
        self._join(waiter, account, first=first)
        waiter.woken = waiter.woken or self.changes is not seen
        try:
            yield
        finally:
            self._leave(waiter)

    def move(self, waiter: Waiter, account: str) -> None:
        """Wait for the room of another account."""
        if waiter.account != account:
            self._leave(waiter)
            self._join(waiter, account, first=False)

    def is_head(self, waiter: Waiter) -> bool:
        """True for the one of its line that may ask."""
        with self._lock:
            return self._lines[waiter.account].waiters[0] is waiter

    def others_wait(self, waiter: Waiter) -> bool:
        """True where it is not the only one of its line."""
        with self._lock:
            return len(self._lines[waiter.account].waiters) > 1

    def progressed(self, waiter: Waiter) -> None:
        """The head saw that others have settled or released in its account."""
        self._lines[waiter.account].moved_s = time.monotonic()

    def moved_s(self, waiter: Waiter) -> float:
        """When there was last any progress for it."""
        return max(waiter.since_s, self._lines[waiter.account].moved_s)

    def look_s(self) -> float:
        """How long until the head of a line looks for what others did; longer where there are many lines."""
        return _dice.uniform(*LOOK_S) * len(self._lines)

    def tell(self, path: Path, *, below: bool = False) -> None:
        """There may be more room in the accounts of a path: wake those who wait first for it.

        Args:
            path: from the root.
            below: True where all below the last account may have more room, too.
        """
        self.changes = object()  # before the look at the lines: who joins one meanwhile sees it
        if not self._lines:
            return
        with self._lock:
            now_s = time.monotonic()
            for account in path:
                line = self._lines.get(account.key)
                if line is not None:
                    line.moved_s = now_s
            wanted = tuple(self._lines) if below else tuple(account.key for account in path)
        self._wake(wanted)

    def stir(self) -> None:
        """Wake every head; touches no lock, so that finalisers may call it."""
        self._wake(tuple(self._lines))

    def wake_all(self, key: str) -> None:
        """Wake all whose path has an account: it is over."""
        for line in tuple(self._lines.values()):
            for waiter in tuple(line.waiters):
                if any(account.key == key for account in waiter.path):
                    waiter.wake()

    def _wake(self, accounts: Iterable[str]) -> None:
        for account in accounts:
            line = self._lines.get(account)
            while line is not None and line.waiters:
                with suppress(IndexError, ValueError):  # it left meanwhile, and has woken the next
                    head = line.waiters[0]
                    if head.wake():
                        break
                    line.waiters.remove(head)

    def _join(self, waiter: Waiter, account: str, *, first: bool) -> None:
        with self._lock:
            line = self._lines.setdefault(account, Line())
            waiter.account = account
            if first:
                line.waiters.appendleft(waiter)
            else:
                line.waiters.append(waiter)

    def _leave(self, waiter: Waiter) -> None:
        """Go, and pass on what woke it."""
        with self._lock:
            account = waiter.account
            line = self._lines.get(account)
            if line is None:
                return  # its event loop was closed, and the others of its line have left before it
            with suppress(ValueError):
                line.waiters.remove(waiter)
            if line.waiters:
                self._wake((account,))
            else:
                del self._lines[account]


_queues: WeakValueDictionary[tuple[object, str], Queue] = WeakValueDictionary()
_guard = threading.Lock()


def queue_of(store: Store, root: str) -> Queue:
    """The queue of this process for a tree: one, however many stores are open on the same place."""
    identity = getattr(store, "identity", None)
    place = (id(store) if identity is None else identity), root
    with _guard:
        queue = _queues.get(place)
        if queue is None:
            queue = _queues[place] = Queue(root, store if identity is None else None)
        return queue


def _renew() -> None:
    """Those who wait in the parent of a fork do not wait in the child."""
    global _queues, _guard
    _queues, _guard = WeakValueDictionary(), threading.Lock()


first_in_child(_renew)
