"""`Kept`: what a step leaves for the next one of its connection, so long as nobody else has written."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from ...values.window import DAY_MS
from .expire import is_due
from .load import Loaded
from .meta import Meta, Oldest

KEEPS = frozenset({"reserve", "settle", "book", "doubt", "release", "extend"})
"""The verbs that keep what they have read, and use what was kept; each works on one path and one record."""

_MOST_ACCOUNTS, _MOST_RECORDS = 64, 256


class Kept(NamedTuple):
    """The accounts and open holds of the last steps, as the file has them.

    Whoever takes it up takes it away from the file's connection, and leaves it again after its own commit:
    no step that ended in any other way leaves anything.

    Attributes:
        loaded: what was read and written.
        meta: the ledger after the last step.
        oldest: what comes due next, or what did before it was booked: nothing comes due earlier.
        version: SQLite's ``data_version`` in the last step.
    """

    loaded: Loaded
    meta: Meta
    oldest: Oldest
    version: int

    def holds(self, connection: sqlite3.Connection, now_ms: int) -> bool:
        """Whether the file says the same now, and nothing has come due.

        A record that became final, or a session that was used, comes due after a day at the earliest. By then
        none of this is kept.
        """
        now_ms = max(now_ms, self.meta.now_ms)
        return (
            self.loaded.connection is connection
            and self.version == data_version(connection)
            and self.meta.now_ms // DAY_MS == now_ms // DAY_MS
            and not is_due(self.oldest, now_ms)
        )


class Done(NamedTuple):
    """What came of a step.

    Attributes:
        answer: of its verb.
        meta: the ledger as it is then.
        wrote: whether anything changed.
        kept: what it leaves, once it is committed.
    """

    answer: Any
    meta: Meta
    wrote: bool
    kept: Kept | None = None


def keep(loaded: Loaded, meta: Meta, oldest: Oldest) -> Kept | None:
    """What a step has written, to be kept once that is committed; None where it has become much."""
    lease_ms = loaded.forget_final()
    if len(loaded.before) > _MOST_ACCOUNTS or len(loaded.records) > _MOST_RECORDS:
        return None
    if lease_ms is not None and (oldest.lease_ms is None or lease_ms < oldest.lease_ms):
        oldest = oldest._replace(lease_ms=lease_ms)
    return Kept(loaded, meta, oldest, data_version(loaded.connection))


def data_version(connection: sqlite3.Connection) -> int:
    """SQLite's counter of commits by other connections; the commits of this one do not change it."""
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version
