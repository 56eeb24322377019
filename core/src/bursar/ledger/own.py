"""The open holds of a context: a call never waits for those that its own thread or task has to settle."""

from __future__ import annotations

from contextvars import ContextVar

from ..store.base import UNITS, HeldLimit, Path
from ..values.amounts import Amounts
from ..values.call import Subject
from .queue import Queue


class OwnHold:
    """A hold, as the context that it was made in remembers it, and those that are copied from that one.

    Args:
        queue: of the tree that it is in.
        path: the accounts that it counts in.
        subject: what its call asks for.
        amounts: what is held.

    Attributes:
        open: False once it has an outcome.
    """

    __slots__ = ("_amounts", "_path", "_queue", "_subject", "open")

    def __init__(self, queue: Queue, path: Path, subject: Subject, amounts: Amounts) -> None:
        self.open = True
        self._queue = queue
        self._path = path
        self._subject = subject
        self._amounts = amounts
        held = _own.get()
        _own.set((*(hold for hold in held if hold.open), self) if held else (self,))

    def is_in(self, queue: Queue) -> bool:
        """True for an open one of this tree; a forked child inherits its parent's, and has another queue."""
        return self.open and self._queue is queue

    def reserves(self, held: HeldLimit) -> int:
        """What it holds of a limit, in the unit of that."""
        if not held.limit.covers(self._subject) or all(held.account != account.key for account in self._path):
            return 0
        return self._amounts[UNITS.index(held.limit.unit)]


_own: ContextVar[tuple[OwnHold, ...]] = ContextVar("bursar_own_holds", default=())


def own_holds(queue: Queue) -> tuple[OwnHold, ...]:
    """The open holds of this context in a tree."""
    holds = _own.get()
    return tuple(hold for hold in holds if hold.is_in(queue)) if holds else ()
