"""Keeps two layers from paying for one call.

Whoever reserves first puts the hold into the context; a layer below that finds one
there sends on it instead of reserving again.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hold import Hold

_innermost: ContextVar[Cover | None] = ContextVar("bursar_cover", default=None)


class Cover:
    """A hold in the context, from `cover` until `close`.

    Closing flips a flag that copies of the context share: callbacks that end a call
    often run in another context than those that began it, where a token would not fit.

    Attributes:
        hold: what pays for the call.
        active: False once the call is over.
        outer: the cover that this one lies in, or None.
    """

    __slots__ = ("_unclaimed", "active", "hold", "outer")

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.active = True
        self._unclaimed = [hold]
        self.outer = _active(_innermost.get())
        _innermost.set(self)

    def close(self) -> None:
        """The call is over; does nothing the second time."""
        self.active = False
        if _innermost.get() is self:
            _innermost.set(self.outer)

    def claim(self) -> bool:
        """True for the first request that is sent on the hold; it pays for one."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def __enter__(self) -> Hold:
        return self.hold

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def cover(hold: Hold) -> Cover:
    """Put a hold into the context of this thread or task; also a context manager."""
    return Cover(hold)


def covered_hold() -> Hold | None:
    """The hold that pays for what is sent from here, or None: then reserve."""
    innermost = _active(_innermost.get())
    return innermost.hold if innermost else None


def claim_hold() -> Hold | None:
    """The hold that pays for the request that is about to be sent, for it alone; None: reserve."""
    covered = _active(_innermost.get())
    while covered is not None and not covered.claim():
        covered = _active(covered.outer)
    return covered.hold if covered else None


def _active(cover: Cover | None) -> Cover | None:
    while cover is not None and not (cover.active and cover.hold._open):
        cover = cover.outer
    return cover
