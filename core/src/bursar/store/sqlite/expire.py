"""Expires what is due before a step: leases, old records, sessions that are no longer used."""

from __future__ import annotations

import sqlite3

from ..engine.constants import ENDED_KEPT_MS, KEPT_MS, SESSION_KEPT_MS
from ..engine.verbs import Verbs
from .load import Loaded
from .meta import Meta, Oldest
from .save import save


def tidy(
    connection: sqlite3.Connection, new: type[Verbs], meta: Meta, oldest: Oldest, now_ms: int
) -> Meta | None:
    """Do some of it; the ledger as it is afterwards, None where nothing was due."""
    tidied = None
    if _records_are_due(oldest, now_ms):
        loaded = Loaded(connection, new(), meta, now_ms)
        loaded.read_due()
        loaded.verbs.records.sweep(now_ms)
        loaded.verbs.records.fold(loaded.old)
        tidied = save(loaded)
    if _sessions_are_due(oldest, now_ms):
        loaded = Loaded(connection, new(), tidied or meta, now_ms)
        loaded.read_idle(now_ms - SESSION_KEPT_MS, now_ms - ENDED_KEPT_MS)
        loaded.verbs.accounts.retire(now_ms)
        tidied = save(loaded)
    return tidied


def is_due(oldest: Oldest, now_ms: int) -> bool:
    """Whether there is anything to do."""
    return _records_are_due(oldest, now_ms) or _sessions_are_due(oldest, now_ms)


def _records_are_due(oldest: Oldest, now_ms: int) -> bool:
    return _due(oldest.lease_ms, now_ms) or _due(oldest.final_ms, now_ms - KEPT_MS)


def _sessions_are_due(oldest: Oldest, now_ms: int) -> bool:
    return _due(oldest.used_ms, now_ms - SESSION_KEPT_MS) or _due(oldest.ended_ms, now_ms - ENDED_KEPT_MS)


def _due(at_ms: int | None, now_ms: int) -> bool:
    return at_ms is not None and at_ms <= now_ms
