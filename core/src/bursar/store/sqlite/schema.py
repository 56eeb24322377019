"""The layout of a file, and its version."""

from __future__ import annotations

import sqlite3

from ...errors import StoreUnavailable
from .tables import ALL

VERSION = 1
_APPLICATION = (
    0x62757273  # "burs", as the application id of the file: no other program's database is taken for ours
)

_LEDGER = """
CREATE TABLE ledger (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  ack INTEGER NOT NULL,
  now_ms INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  numbers INTEGER NOT NULL
) STRICT"""
_JOURNAL = """
CREATE TABLE journal (
  number INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  account TEXT NOT NULL,
  what TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT"""
_INDEXES = (
    "CREATE INDEX trees ON accounts (root)",
    "CREATE INDEX idle ON accounts (used_ms) WHERE session = 1",
    "CREATE INDEX parts ON windows (account)",
    "CREATE INDEX made ON calls (account, last_ms)",
    "CREATE INDEX leases ON records (lease_ms) WHERE state = 'reserved'",
    "CREATE INDEX finals ON records (final_ms) WHERE final_ms IS NOT NULL",
)

# From each older version to the next one: statements.
MIGRATIONS: dict[int, tuple[str, ...]] = {}


def bring_up(connection: sqlite3.Connection) -> None:
    """Lay out an empty file, or bring an older one up to this version. Within a transaction.

    Raises:
        StoreUnavailable: it is of a newer version, or of another program.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if (version, application) == (VERSION, _APPLICATION):
        return
    if not version and not application and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        for statement in (_LEDGER, *(table.declaration() for table in ALL), _JOURNAL, *_INDEXES):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    elif application != _APPLICATION:
        raise StoreUnavailable(
            "it is a database of another program; name a file of its own in the store's URL"
        )
    elif version > VERSION:
        raise StoreUnavailable(
            f"it was written by a newer version of bursar (layout {version}, and this one knows {VERSION});"
            " upgrade bursar here"
        )
    for older in range(version or VERSION, VERSION):
        for statement in MIGRATIONS[older]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
