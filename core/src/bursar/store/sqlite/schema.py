"""The layout of a file, and its version."""

from __future__ import annotations

import sqlite3

from ...errors import StoreUnavailable
from ..engine.constants import LAYOUT
from ..layout import newer
from .tables import HISTORY, LEDGER

_APPLICATION = (
    0x62757273  # "burs", as the application id of the file: no other program's database is taken for ours
)

_META = """
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  ack INTEGER NOT NULL,
  now_ms INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  numbers INTEGER NOT NULL,
  since INTEGER NOT NULL
) STRICT"""
_JOURNAL = """
CREATE TABLE journal (
  number INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  account TEXT NOT NULL,
  what TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT"""
_BOUNDED = (
    "CREATE INDEX budgets ON accounts (above, key) WHERE session = 0",
    "CREATE INDEX sessions ON accounts (above, number) WHERE session = 1",
    "CREATE INDEX ended ON accounts (ended_ms) WHERE ended_ms IS NOT NULL",
)
_BY_DAY = ("CREATE INDEX oldest ON days (day)", "CREATE INDEX kept ON histories (root)")
_INDEXES = (
    "CREATE INDEX trees ON accounts (root)",
    "CREATE INDEX idle ON accounts (used_ms) WHERE session = 1",
    "CREATE INDEX parts ON windows (account)",
    "CREATE INDEX made ON calls (account, last_ms)",
    "CREATE INDEX leases ON records (lease_ms) WHERE state = 'reserved'",
    "CREATE INDEX finals ON records (final_ms) WHERE final_ms IS NOT NULL",
    *_BOUNDED,
    *_BY_DAY,
)

# From each older layout to the next one: statements.
MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE ledger RENAME TO meta",  # a program of layout 1 that has the file open is refused
        "ALTER TABLE accounts ADD COLUMN above TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE accounts ADD COLUMN ended_ms INTEGER",
        "UPDATE accounts SET above = rtrim(rtrim(key, replace(key, '/', '')), '/')",
        *_BOUNDED,
        """UPDATE accounts SET below =
          (SELECT count(*) FROM accounts AS other WHERE other.above = accounts.key AND other.session = 1)""",
    ),
    2: (
        "ALTER TABLE meta ADD COLUMN since INTEGER NOT NULL DEFAULT -1",  # the next step writes it
        "ALTER TABLE records ADD COLUMN first_ms INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE records ADD COLUMN tz TEXT NOT NULL DEFAULT 'UTC'",
        *(f"ALTER TABLE records ADD COLUMN floor_{unit} INTEGER" for unit in ("usd", "tokens", "calls")),
        "ALTER TABLE records ADD COLUMN call TEXT NOT NULL DEFAULT ''",
        *(table.declaration() for table in HISTORY),
        *_BY_DAY,
    ),
}


def bring_up(connection: sqlite3.Connection) -> None:
    """Lay out an empty file, or bring an older one up to this layout. Within a transaction.

    Raises:
        StoreUnavailable: it is of a newer layout, or of another program.
    """
    layout: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if (layout, application) == (LAYOUT, _APPLICATION):
        return
    if not layout and not application and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        for statement in (
            _META,
            *(table.declaration() for table in (*LEDGER, *HISTORY)),
            _JOURNAL,
            *_INDEXES,
        ):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    elif application != _APPLICATION:
        raise StoreUnavailable(
            "it is a database of another program; name a file of its own in the store's URL"
        )
    check(layout)
    for older in range(layout or LAYOUT, LAYOUT):
        for statement in MIGRATIONS[older]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {LAYOUT}")


def check(layout: int) -> None:
    """See that a file is not of a newer layout: another program may have brought it up meanwhile.

    Raises:
        StoreUnavailable: it is.
    """
    if layout > LAYOUT:
        raise StoreUnavailable(f"it {newer(layout, LAYOUT)}")
