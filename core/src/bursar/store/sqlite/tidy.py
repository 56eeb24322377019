"""What came due before a step: leases that are over, records that are old, sessions that nobody uses."""

from __future__ import annotations

import sqlite3

from ..verbs import Verbs
from . import tables
from .meta import Meta, Oldest
from .save import save
from .sheet import KEPT_MS, Sheet

_IDLE_MS = 30 * 86_400_000  # a session that nobody used for so long is forgotten; its budgets keep its sums
_LOOKED_AT = 4  # idle sessions in one step

_IN_USE = """
SELECT 1 FROM accounts WHERE key = :key AND (
  tripped IS NOT NULL OR reserved_usd OR reserved_tokens OR reserved_calls
  OR EXISTS (SELECT 1 FROM breakers WHERE account = :key)
  OR EXISTS (SELECT 1 FROM accounts AS below WHERE below.parent = :key)
)"""


def tidy(
    connection: sqlite3.Connection, verbs: Verbs, meta: Meta, oldest: Oldest, now_ms: int
) -> Meta | None:
    """Do some of it; the ledger as it is afterwards, None where nothing was due."""
    tidied = None
    if _due(oldest.used_ms, now_ms - _IDLE_MS):
        _drop_idle(connection, now_ms)
        tidied = meta = meta._replace(seq=meta.seq + 1, now_ms=now_ms)
        meta.write(connection)
    if _due(oldest.lease_ms, now_ms) or _due(oldest.final_ms, now_ms - KEPT_MS):
        sheet = Sheet(connection, verbs, meta, now_ms)
        sheet.read_due()
        verbs.records.sweep(now_ms)
        verbs.records.fold(sheet.old)
        tidied = save(sheet)
    return tidied


def _due(at_ms: int | None, now_ms: int) -> bool:
    return at_ms is not None and at_ms <= now_ms


def _drop_idle(connection: sqlite3.Connection, now_ms: int) -> None:
    """Forget sessions; those that were stopped, or have others below them, are looked at again later."""
    found = connection.execute(
        "SELECT key FROM accounts WHERE session = 1 AND used_ms <= ? ORDER BY used_ms LIMIT ?",
        (now_ms - _IDLE_MS, _LOOKED_AT),
    ).fetchall()
    for (key,) in found:
        if connection.execute(_IN_USE, {"key": key}).fetchone():
            connection.execute("UPDATE accounts SET used_ms = ? WHERE key = ?", (now_ms, key))
            continue
        connection.execute(
            "DELETE FROM buckets WHERE part IN (SELECT part FROM windows WHERE account = ?)", (key,)
        )
        for table in (*tables.OF_ACCOUNTS, tables.WINDOWS, tables.CALLS):
            connection.execute(f"DELETE FROM {table.name} WHERE account = ?", (key,))  # noqa: S608
        connection.execute("DELETE FROM accounts WHERE key = ?", (key,))
