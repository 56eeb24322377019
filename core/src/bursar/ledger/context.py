"""Who pays for what is sent from here: a hold that covers it, or the session of the context or process.

Whoever reserves first puts the hold into the context; a layer below that finds one there
sends on it instead of reserving again. So two layers never pay for one call.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

# -- holds ----------------------------------------------------------------------------------


class Coverable(Protocol):
    """A hold, as far as the context looks at it."""

    @property
    def _open(self) -> bool: ...


H = TypeVar("H", bound=Coverable)


class InContext(Generic[H]):
    """A hold in the context, from its making until `close`.

    Closing sets a flag that copies of the context share: callbacks that end a call
    often run in another context than those that began it, where a token would not fit.

    Attributes:
        hold: what pays for the call.
        active: False once the call is over.
        outer: the cover that this one lies in, or None.
    """

    __slots__ = ("_unclaimed", "active", "hold", "outer")

    def __init__(self, hold: H) -> None:
        self.hold = hold
        self.active = True
        self._unclaimed = [hold]
        self.outer = innermost_cover()
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

    def __enter__(self) -> H:
        return self.hold

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_innermost: ContextVar[InContext[Any] | None] = ContextVar("bursar_cover", default=None)


def innermost_cover() -> InContext[Any] | None:
    """The innermost cover whose hold is open, or None."""
    return _active(_innermost.get())


def claimed_cover() -> InContext[Any] | None:
    """The innermost cover that pays for the request about to be sent, claimed by it; or None."""
    covered = innermost_cover()
    while covered is not None and not covered.claim():
        covered = _active(covered.outer)
    return covered


def _active(cover: InContext[Any] | None) -> InContext[Any] | None:
    while cover is not None and not (cover.active and cover.hold._open):
        cover = cover.outer
    return cover


# -- sessions -------------------------------------------------------------------------------

# No tokens: a `with` may end in another context than it began in, and a session may be entered twice.
_entered: ContextVar[tuple[Any, ...]] = ContextVar("bursar_sessions", default=())
_of_process: Any = None


def enter(session: object) -> None:
    """Make a session the current one of this thread or task, and of the tasks that start from it."""
    _entered.set((*_entered.get(), session))


def leave(session: object) -> None:
    """Undo the last `enter` of the session in this context, if there was one."""
    entered = list(_entered.get())
    for at in reversed(range(len(entered))):
        if entered[at] is session:
            del entered[at]
            _entered.set(tuple(entered))
            return


def pays_for_process(session: object | None) -> None:
    """The session of whatever runs outside of every ``with``, in all threads; None: nobody pays."""
    global _of_process  # noqa: PLW0603 - the state of the process
    _of_process = session


def of_process() -> Any:
    """The session that `pays_for_process` was told, or None."""
    return _of_process


def current() -> Any:
    """The session that was entered last and not left in this context, else that of the process, or None."""
    entered = _entered.get()
    return entered[-1] if entered else _of_process
