"""Accounts beside a session, for what is no part of one place in it."""

from __future__ import annotations

from urllib.parse import unquote

from ..budget import Budget
from ..runtime.ids import is_made
from ..session import Session
from ..values.account import Account, root_key
from ..values.names import fitted_name


def beside(session: Session, what: str) -> Session:
    """The twin of a session in the same store: what it spends counts in neither the session nor its budget.

    For what several places of a session work on, such as a task of several agents: its parts may have limits
    of their own. Whoever has the session has the same twin, in other processes, too. The budget of the twin
    has no limits, and is called ``"what of NAME"``.

    Args:
        session: it is not changed.
        what: is counted, such as ``"tasks"``.
    """
    ledger = session._ledger
    root, terms = root_key(session._path[-1].key), ledger.policy.terms
    budget = Budget(
        name=fitted_name(f"{what} of {unquote(root)}"),
        store=ledger.store,
        tz=ledger.policy.tz,
        lease=terms.lease_ms / 1000,
        hard_stop=terms.enforce,
        max_repeated_calls=None,
    )
    twin = budget._path[-1].key
    path = tuple(Account(twin + account.key.removeprefix(root)) for account in session._path)
    return Session(budget._ledger, path, {}, named=not is_made(session.id))
