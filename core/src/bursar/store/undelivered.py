"""What a store tells of bookings that it did not take, and that wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from .entry import Entry
from .results import Booked


@dataclass(frozen=True, slots=True)
class Trouble:
    """What became of bookings that a store did not take.

    Attributes:
        what: they ``"wait"``; they have all ``"landed"`` after that; one was ``"given_up"`` because
            nobody could deliver it for a day, or ``"refused"`` for good.
        account: the key of the account, of the first where there are many.
        count: how many.
        why: in words.
    """

    what: Literal["wait", "landed", "given_up", "refused"]
    account: str
    count: int
    why: str


class Listener(Protocol):
    """Who wants to know."""

    def trouble(self, trouble: Trouble) -> None:
        """Something waits, landed, or is lost."""
        ...

    def late(self, entry: Entry, booked: Booked) -> None:
        """A booking landed that has something to tell."""
        ...


@runtime_checkable
class HasOutbox(Protocol):
    """A store whose bookings may have to wait for it to come back; a store need not have one."""

    @property
    def undelivered(self) -> int:
        """Bookings of this process that wait."""
        ...

    def on_trouble(self, root: str, listener: Listener) -> None:
        """Tell the listener when bookings of a tree wait, land, or are lost."""
        ...
