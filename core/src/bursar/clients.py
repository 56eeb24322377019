"""One client of an SDK under a budget, by whichever plugin covers the SDK."""

from __future__ import annotations

from typing import TypeVar

from .budget import Budget, as_session
from .coverage import INTEGRATIONS
from .session import Session
from .values.limits import LimitLike

C = TypeVar("C")


def wrap_client(client: C, session: LimitLike | Budget | Session) -> C:
    """The client with every call of it charged to a session; other clients, and the SDK, stay as they are.

    Args:
        client: of an SDK that an installed plugin covers, or one of the budget's.
        session: what it is charged to; of a budget or a limit a new session is made.

    Raises:
        BursarError: it is wrapped for another session; or the plugin failed to.
        TypeError: no plugin covers such a client.
    """
    paying = as_session(session)
    covered: C | None = paying._ledger.hooks.wrap_client(client, paying)
    if covered is None:
        modules = {base.__module__.partition(".")[0] for base in type(client).__mro__}
        wanted = " ".join(INTEGRATIONS[name] for name in sorted(modules & {*INTEGRATIONS}))
        hint = f"; pip install {wanted}" if wanted else ""
        raise TypeError(f"no plugin covers a client of the type {type(client).__name__}{hint}")
    return covered


def unwrap_client(client: C) -> C:
    """The client as it was before `wrap_client`.

    Raises:
        TypeError: it is not wrapped, or by a plugin that cannot undo it.
    """
    undo = getattr(client, "__bursar_unwrap__", None)
    if not callable(undo):
        raise TypeError(f"this {type(client).__name__} was not wrapped by wrap_client()")
    plain: C = undo()
    return plain
