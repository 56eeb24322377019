"""Who pays for what is sent from here: the session of the context, else that of the process."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Session

# No tokens: a `with` may end in another context than it began in, and a session may be entered twice.
_entered: ContextVar[tuple[Session, ...]] = ContextVar("bursar_sessions", default=())
_of_process: Session | None = None


def enter(session: Session) -> None:
    """Make a session the current one of this thread or task, and of the tasks that start from it."""
    _entered.set((*_entered.get(), session))


def leave(session: Session) -> None:
    """Undo the last `enter` of the session in this context, if there was one."""
    entered = list(_entered.get())
    for at in reversed(range(len(entered))):
        if entered[at] is session:
            del entered[at]
            _entered.set(tuple(entered))
            return


def pays_for_process(session: Session | None) -> None:
    """The session of whatever runs outside of every ``with``, in all threads; None: nobody pays."""
    global _of_process  # noqa: PLW0603 - the state of the process
    _of_process = session


def session_of_process() -> Session | None:
    """The session that `pays_for_process` was told."""
    return _of_process


def current_session() -> Session | None:
    """The session that was entered last and not left in this context, else that of the process."""
    entered = _entered.get()
    return entered[-1] if entered else _of_process
