"""The open holds of a context: that of the thread or task in which they were reserved, or one copied from it.

A call never waits for those that its own thread or task has to settle; and a covered SDK sends on one that
was not entered, so that a call is not charged twice.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from weakref import ref

from ..store.entry import UNITS, Path
from ..store.results import HeldLimit
from ..values.amounts import Amounts
from ..values.call import Subject
from .queue import Queue


class OwnHold:
    """A hold, as the context that it was made in remembers it, and those that are copied from that one.

    Args:
        hold: the `Hold`.
        queue: of the tree that it is in.
        path: the accounts that it counts in.
        subject: what its call asks for.
        amounts: what is held.

    Attributes:
        hold: gives the `Hold`, or None where nobody has it any more.
        open: False once it has an outcome.
    """

    __slots__ = ("_amounts", "_path", "_queue", "_subject", "hold", "open")

    def __init__(self, hold: Any, queue: Queue, path: Path, subject: Subject, amounts: Amounts) -> None:
        self.hold = ref(hold)
        self.open = True
        self._queue = queue
        self._path = path
        self._subject = subject
        self._amounts = amounts
        held = _own.get()
        if len(held) == 1 and not held[0].open:  # as mostly
            held = ()
        _own.set((*[one for one in held if one.open], self) if held else (self,))

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
    if not holds or (len(holds) == 1 and not holds[0].open):  # as mostly
        return ()
    return tuple(hold for hold in holds if hold.is_in(queue))


def taken(session: Any, model: object) -> Any:
    """The newest unused hold of a session and model that was reserved by hand in this context, or None.

    A covered call of its session and model is made on it, once.
    """
    if not isinstance(model, str):
        return None
    for one in reversed(_own.get()):
        hold = one.hold()
        if hold is None or hold.used or hold.session is None or hold.sent or not hold._open:
            continue
        same_model = hold.call.model == session._ledger.prices.canonical(model)
        if same_model and hold.session.is_same_account(session):
            return hold
    return None
