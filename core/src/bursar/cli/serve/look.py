"""What a round of the live page reads: four steps at most, which do not grow with the number of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...ledger import verbs
from ...ledger.steps import Steps
from ...reports.page import Page
from ...store.views import AccountView
from ...values.account import is_session, root_key
from ..accounts import Found, keys_of_path
from ..page import beside, page_of, read_days, with_parts

MOST_WITH_PARTS = 50  # sessions whose agents are shown, the newest

Accounts = Mapping[str, AccountView]


class Look:
    """Reads the page of an account, again and again.

    The agents of a budget are those of its sessions: one session is asked in each round, so that a page
    comes every two seconds however many there are.

    Args:
        found: the account.
        days: how many the page shows.
        where: the URL of its store.
    """

    def __init__(self, found: Found, days: int, where: str) -> None:
        self._found, self._days, self._where = found, days, where
        self._parts: dict[str, Accounts] = {}  # by session, the one that was asked last at the end

    def __call__(self) -> Steps[Page]:
        """One round."""
        key = self._found.key
        keys = keys_of_path(key) if is_session(key) else None
        snapshot = yield from verbs.read(root_key(key) if keys else key, keys)
        newest = (yield from verbs.sessions(key)).accounts
        found = beside(replace(self._found, snapshot=snapshot), dict(reversed([*newest.items()])))
        history = yield from read_days(found, self._days)
        yield from self._read_parts(found)
        parts = {name: view for below in self._parts.values() for name, view in below.items()}
        remarks = ["No audit: `bursar audit` looks for what does not add up."]
        if self._parts:
            remarks.append(f"Agents are those of the newest {MOST_WITH_PARTS} sessions, read one by one.")
        return page_of(beside(found, parts), history, self._where, remarks=remarks)

    def _read_parts(self, found: Found) -> Steps[None]:
        """Ask the newest session that was not asked yet, or else the one that was asked longest ago."""
        keys = with_parts(found)[:MOST_WITH_PARTS]
        self._parts = {key: below for key, below in self._parts.items() if key in keys}
        if keys:
            key = next((key for key in keys if key not in self._parts), next(iter(self._parts), ""))
            self._parts.pop(key, None)
            self._parts[key] = (yield from verbs.sessions(key)).accounts
