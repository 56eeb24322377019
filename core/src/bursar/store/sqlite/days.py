"""`FileDays`: the history in a file; a step reads and writes the days that it counts in, and no others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from ...values.account import other_account, root_key
from ...values.amounts import NOTHING, Amounts
from ..engine.balances import Balance
from ..engine.constants import RETIRED
from ..engine.history import Day, Days, Zones
from ..engine.paths import CallPath
from ..engine.plan import Count, Plan
from .tables import DAYS, HISTORIES, Row, Rows, select, write

_JSON = json.JSONEncoder(separators=(",", ":"))


class FileDays(Days):
    """The days of each account, read when they are first asked for.

    Args:
        commit: carries out a plan.
        connection: in a transaction.
    """

    def __init__(self, commit: Callable[[Plan], None], connection: sqlite3.Connection) -> None:
        super().__init__(commit)
        self._connection = connection
        self._before: dict[str, Rows] = {}  # the rows of each account, as the file has them
        self._before_sums: dict[str, Rows] = {}
        self._first = 0  # no day is before

    def begin(self, since: int) -> None:
        """A step begins.

        Args:
            since: see `Days`.
        """
        self.since = since
        self._changed: dict[str, None] = {}  # the accounts whose days this step may change

    def book(
        self, plan: Plan, call_path: CallPath, spent: Amounts, tally: Mapping[str, int], at_ms: int, tz: str
    ) -> None:
        super().book(plan, call_path, spent, tally, at_ms, tz)
        accounts = call_path.open_path.accounts
        self._changed |= {balance.key: None for balance in accounts if not balance.session}
        self._changed[other_account(accounts[0].key)] = None

    def part(self, plan: Plan, balance: Balance, spent: Amounts) -> None:
        super().part(plan, balance, spent)
        self._changed[balance.key] = None

    def expire(self, before: int) -> None:
        if before > self._first:
            super().expire(before)

    def save(self) -> bool:
        """Write the days that differ from what was read; whether there are any."""
        wrote = False
        for key in self._changed:
            days: Rows = {(key, date): (days_text(zones),) for date, zones in self._days.get(key, {}).items()}
            root = root_key(key)
            sums = self._apart.get(root, {}).get(key)
            apart: Rows = {} if sums is None else {(key,): (root, *sums)}
            wrote |= write(self._connection, DAYS, self._before.get(key, {}), days)
            self._before[key] = days
            if apart or key in self._before_sums:
                wrote |= write(self._connection, HISTORIES, self._before_sums.get(key, {}), apart)
                self._before_sums[key] = apart
        return wrote

    def _between(self, key: str, first: int, last: int) -> Iterable[tuple[int, Zones]]:
        found = self._fetch("WHERE account = ? AND day BETWEEN ? AND ? ORDER BY day", key, first, last)
        return [(date, parse_days(text)) for (_, date, text) in found]

    def _find(self, key: str, date: int) -> Zones | None:
        dates = self._days.setdefault(key, {})
        if date not in dates:
            for row in self._fetch("WHERE account = ? AND day = ?", key, date):
                self._before.setdefault(key, {}).update([DAYS.split(row)])
                dates[date] = parse_days(row[2])
            if date not in dates:  # it may be made now
                self._first = min(self._first, date)
        return dates.get(date)

    def _sums(self, key: str) -> Amounts | None:
        known = self._apart.setdefault(root_key(key), {})
        if key not in known and key not in self._before_sums:
            row = self._connection.execute(select(HISTORIES, "WHERE account = ?"), (key,)).fetchone()
            self._before_sums[key] = {} if row is None else dict([HISTORIES.split(row)])
            if row is not None:
                known[key] = Amounts(*row[2:])
        return known.get(key)

    def _size(self, root: str) -> int:
        count = "SELECT count(*) FROM histories WHERE root = ?"
        return cast("int", self._connection.execute(count, (root,)).fetchone()[0])

    def _others(self, key: str, date: int) -> bool:
        other = "SELECT 1 FROM days WHERE account = ? AND day != ?"
        return self._connection.execute(other, (key, date)).fetchone() is not None

    def _due(self, before: int) -> list[tuple[int, str]]:
        due = "SELECT day, account FROM days WHERE day < ? ORDER BY day LIMIT ?"
        found = self._connection.execute(due, (before, RETIRED)).fetchall()
        self._changed |= dict.fromkeys(key for _, key in found)
        self._first = self._first if found else before
        return found

    def _expired(self, date: int, key: str) -> None:
        """It is deleted by `save`."""

    def _fetch(self, where: str, *values: object) -> list[Row]:
        return self._connection.execute(select(DAYS, where), values).fetchall()


def days_text(zones: Zones) -> str:
    """One date as it is stored: by time zone, what is paid for with its sums, and the named counters."""
    words = {
        zone: [[[*label, *count.spent] for label, count in day.sums.items()], day.tally]
        for zone, day in zones.items()
    }
    return _JSON.encode(words)


def parse_days(text: str) -> Zones:
    """What `days_text` wrote."""
    zones: Zones = {}
    for zone, (sums, tally) in json.loads(text).items():
        day = zones[zone] = Day()
        day.tally = tally
        for kind, name, *spent in sums:
            count = day.sums[kind, name] = Count()
            count.sums = (*spent, *NOTHING)
    return zones
