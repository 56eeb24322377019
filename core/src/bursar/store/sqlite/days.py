"""`FileDays`: the history in a file; a step reads and writes the days that it counts in, and no others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from typing import cast

from ...values.account import root_key
from ...values.amounts import NOTHING, Amounts
from ..engine.constants import RETIRED
from ..engine.history import Day, Days, Zones
from ..engine.plan import Count, Plan
from .tables import DAYS, HISTORIES, Row, Rows, changes, delete, select, upsert


class FileDays(Days):
    """The days of each account, read when they are first asked for.

    Args:
        commit: carries out a plan.
        connection: in a transaction.
    """

    def __init__(self, commit: Callable[[Plan], None], connection: sqlite3.Connection) -> None:
        super().__init__(commit)
        self._connection = connection
        self._before: Rows = {}
        self._histories: dict[str, Amounts | None] = {}  # as they were read

    def save(self) -> bool:
        """Write the days that differ from what was read; whether there are any."""
        after = {
            (key, date): (days_text(zones),)
            for key, dates in self._days.items()
            for date, zones in dates.items()
        }
        apart = {(key,): (root, *sums) for root, keys in self._apart.items() for key, sums in keys.items()}
        known = {(key,): (root_key(key), *sums) for key, sums in self._histories.items() if sums is not None}
        wrote = False
        for table, old, new in ((DAYS, self._before, after), (HISTORIES, known, apart)):
            put, gone = changes(old, new)
            if put:
                self._connection.executemany(upsert(table), put)
            if gone:
                self._connection.executemany(delete(table), gone)
            wrote = wrote or bool(put or gone)
        return wrote

    def _between(self, key: str, first: int, last: int) -> Iterable[tuple[int, Zones]]:
        found = self._fetch("WHERE account = ? AND day BETWEEN ? AND ? ORDER BY day", key, first, last)
        return [(date, parse_days(text)) for (_, date, text) in found]

    def _find(self, key: str, date: int) -> Zones | None:
        dates = self._days.setdefault(key, {})
        if date not in dates:
            for row in self._fetch("WHERE account = ? AND day = ?", key, date):
                self._before |= [DAYS.split(row)]
                dates[date] = parse_days(row[2])
        return dates.get(date)

    def _sums(self, key: str) -> Amounts | None:
        if key not in self._histories:
            row = self._connection.execute(select(HISTORIES, "WHERE account = ?"), (key,)).fetchone()
            self._histories[key] = sums = None if row is None else Amounts(*row[2:])
            if sums is not None:
                self._apart.setdefault(root_key(key), {})[key] = sums
        return super()._sums(key)

    def _size(self, root: str) -> int:
        count = "SELECT count(*) FROM histories WHERE root = ?"
        return cast("int", self._connection.execute(count, (root,)).fetchone()[0])

    def _others(self, key: str, date: int) -> bool:
        other = "SELECT 1 FROM days WHERE account = ? AND day != ?"
        return self._connection.execute(other, (key, date)).fetchone() is not None

    def _due(self, before: int) -> list[tuple[int, str]]:
        due = "SELECT day, account FROM days WHERE day < ? ORDER BY day LIMIT ?"
        return self._connection.execute(due, (before, RETIRED)).fetchall()

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
    return json.dumps(words, separators=(",", ":"))


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
