"""`FileAlertList`: the alerts of a file; a step that has nothing to tell looks at none of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from ..alerts import AlertPage, StoredAlert
from ..engine.alerts import AlertList
from ..engine.constants import ALERT_DUE_MS, MOST_ALERTS
from ..engine.plan import Plan
from ..views import MOST_AT_ONCE
from .rows import stored_limit, what_text

# Made with the first alert: a file without it has none.
_TABLE = """
CREATE TABLE IF NOT EXISTS alerts (
  number INTEGER PRIMARY KEY,
  root TEXT NOT NULL,
  id TEXT NOT NULL,
  facts TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  due_ms INTEGER,
  UNIQUE (root, id)
) STRICT"""
_DUE = "CREATE INDEX IF NOT EXISTS due ON alerts (root, due_ms) WHERE due_ms IS NOT NULL"


class FileAlertList(AlertList):
    """The alerts of all trees, written and read where they are.

    Args:
        connection: in a transaction.

    Attributes:
        wrote: True once something was changed.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection
        self.wrote = False

    def add(self, plan: Plan, root: str, alerts: Iterable[StoredAlert]) -> None:
        for alert in alerts:
            plan.call(self._insert, root, alert)

    def page(self, now_ms: int, root: str, after: str, limit: int) -> AlertPage:
        where = "WHERE root = ? AND number > ? ORDER BY number LIMIT ?"
        rows = self._rows(where, root, int(after or 0), min(limit, MOST_AT_ONCE))
        found = tuple(_alert(row) for row in rows)
        return AlertPage(now_ms, found, str(rows[-1][0]) if rows else after)

    def claim(self, plan: Plan, now_ms: int, root: str, idle_ms: int, limit: int) -> tuple[StoredAlert, ...]:
        where = "WHERE root = ? AND due_ms <= ? ORDER BY number LIMIT ?"
        rows = self._rows(where, root, now_ms - idle_ms, min(limit, MOST_AT_ONCE))
        alerts = [_alert(row) for row in rows]
        for number, alert in zip((row[0] for row in rows), alerts, strict=True):
            over = alert.at_ms <= now_ms - ALERT_DUE_MS
            plan.call(self._write, "due_ms = ? WHERE number = ?", None if over else now_ms, number)
        return tuple(alert for alert in alerts if alert.at_ms > now_ms - ALERT_DUE_MS)

    def deliver(self, plan: Plan, root: str, ids: Iterable[str]) -> None:
        for id in ids if self._there() else ():
            which = "due_ms = NULL WHERE root = ? AND id = ? AND due_ms IS NOT NULL"
            plan.call(self._write, which, root, id)

    def _insert(self, root: str, alert: StoredAlert) -> None:
        for statement in (_TABLE, _DUE):
            self._connection.execute(statement)
        row = (root, alert.id, _facts(alert), alert.at_ms, alert.at_ms)
        self._connection.execute(
            "INSERT OR IGNORE INTO alerts (root, id, facts, at_ms, due_ms) VALUES (?, ?, ?, ?, ?)", row
        )
        older = "SELECT number FROM alerts WHERE root = ? ORDER BY number DESC LIMIT -1 OFFSET ?"
        self._connection.execute(f"DELETE FROM alerts WHERE number IN ({older})", (root, MOST_ALERTS))  # noqa: S608
        self.wrote = True

    def _write(self, what: str, *values: object) -> None:
        done = self._connection.execute(f"UPDATE alerts SET {what}", values)  # noqa: S608 - constants
        self.wrote = self.wrote or done.rowcount > 0

    def _rows(self, where: str, *values: object) -> list[Any]:
        if not self._there():
            return []
        columns = "SELECT number, id, facts, at_ms, due_ms FROM alerts"
        return self._connection.execute(f"{columns} {where}", values).fetchall()

    def _there(self) -> bool:
        listed = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alerts'"
        return self._connection.execute(listed).fetchone() is not None


def _facts(alert: StoredAlert) -> str:
    limit = alert.limit
    words = None if limit is None else [what_text(limit.key), limit.amount, limit.window, limit.tz]
    shown = (alert.kind, alert.account, words, alert.fraction_ppm, alert.spent, alert.reserved, alert.detail)
    return json.dumps(shown, separators=(",", ":"))


def _alert(row: Any) -> StoredAlert:
    _, id, facts, at_ms, due_ms = row
    kind, account, words, ppm, spent, reserved, detail = json.loads(facts)
    limit = None if words is None else stored_limit(*words)
    return StoredAlert(id, kind, account, limit, ppm, spent, reserved, detail, at_ms, due_ms is not None)
