"""What reports are made of, read in steps of the store that do not grow with the number of sessions."""

from __future__ import annotations

from dataclasses import replace

from ..store.entry import Path
from ..store.views import MOST_DAYS, AccountView, HistoryView, Snapshot
from ..values.account import is_session, other_account, parent_key, root_key
from . import verbs
from .steps import Steps

MOST_SESSIONS = 1_000  # of a report: the newest


def read_path(path: Path) -> Steps[Snapshot]:
    """The accounts of a path."""
    return (yield from verbs.read(root_key(path[0].key), tuple(account.key for account in path)))


def read_budget(path: Path) -> Steps[Snapshot]:
    """A budget with those above and below it, and its newest sessions."""
    snapshot = yield from verbs.read(path[-1].key)
    sessions = yield from _newest(path[-1].key, MOST_SESSIONS)
    return replace(snapshot, accounts={**snapshot.accounts, **sessions})


def read_history(key: str, days: int, tz: str) -> Steps[HistoryView]:
    """The days of a budget and of those right below it."""
    snapshot = yield from verbs.read(key)
    root = root_key(key)
    keys = [key, *(other for other in snapshot.accounts if parent_key(other) == key)]
    if key == root:
        keys.append(other_account(root))
    at_once = max(1, MOST_DAYS // days)
    view = yield from verbs.history(root, tuple(keys[:at_once]), days, tz)
    found = dict(view.accounts)
    for at in range(at_once, len(keys), at_once):
        more = yield from verbs.history(root, tuple(keys[at : at + at_once]), days, tz)
        found |= more.accounts
    return replace(view, accounts=found)


def read_session(path: Path) -> Steps[Snapshot]:
    """The accounts of a path, and the sessions nested in a session at its end."""
    snapshot = yield from read_path(path)
    if not is_session(path[-1].key):
        return snapshot
    accounts, waiting = dict(snapshot.accounts), [path[-1].key]
    while waiting and len(accounts) < MOST_SESSIONS:
        key = waiting.pop(0)
        if key in accounts and accounts[key].sessions:
            below = yield from _newest(key, MOST_SESSIONS - len(accounts))
            accounts |= below
            waiting += below
    return replace(snapshot, accounts=accounts)


def _newest(key: str, most: int) -> Steps[dict[str, AccountView]]:
    """The newest sessions right below an account, the oldest of them first."""
    found: dict[str, AccountView] = {}
    after = ""
    while len(found) < most:
        page = yield from verbs.sessions(key, after, most - len(found))
        found |= page.accounts
        after = page.after
        if not after:
            break
    return dict(reversed(found.items()))
