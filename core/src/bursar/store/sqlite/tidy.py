"""What came due before a step: leases that are over, records that are old, sessions that nobody uses."""

from __future__ import annotations

import sqlite3

from ..accounts import SESSION_KEPT_MS
from ..verbs import Verbs
from .meta import Meta, Oldest
from .save import save
from .sheet import KEPT_MS, Sheet


def tidy(
    connection: sqlite3.Connection, new: type[Verbs], meta: Meta, oldest: Oldest, now_ms: int
) -> Meta | None:
    """Do some of it; the ledger as it is afterwards, None where nothing was due."""
    tidied = None
    if _due(oldest.lease_ms, now_ms) or _due(oldest.final_ms, now_ms - KEPT_MS):
        sheet = Sheet(connection, new(), meta, now_ms)
        sheet.read_due()
        sheet.verbs.records.sweep(now_ms)
        sheet.verbs.records.fold(sheet.old)
        tidied = save(sheet)
    if _due(oldest.used_ms, now_ms - SESSION_KEPT_MS):
        sheet = Sheet(connection, new(), tidied or meta, now_ms)
        sheet.read_idle(now_ms - SESSION_KEPT_MS)
        sheet.verbs.accounts.retire(now_ms)
        tidied = save(sheet)
    return tidied


def _due(at_ms: int | None, now_ms: int) -> bool:
    return at_ms is not None and at_ms <= now_ms
