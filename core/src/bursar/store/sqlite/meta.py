"""The meta row of a file: its ledger id, sequence and time."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from ..rollback import Seen, lost
from . import schema


class MustWrite(Exception):
    """Something is to be written, or opened, before this can be read."""


class Meta(NamedTuple):
    """A ledger as a whole.

    Attributes:
        id: made when the file was.
        seq: the number of its newest step.
        ack: the newest loss of data that somebody has accepted.
        now_ms: the time of its newest step; a clock that runs backwards stands still.
        epoch: how many resets there were.
        numbers: the highest number of an account or a window.
        since: the number of the day on which a ledger of an older layout was brought up, and its
            history began; 0 for another one.
    """

    id: str = ""
    seq: int = 0
    ack: int = 0
    now_ms: int = 0
    epoch: int = 0
    numbers: int = 0
    since: int = 0

    @property
    def seen(self) -> Seen:
        """What a process remembers of it."""
        return Seen(self.id, self.seq, self.ack)

    def check(self, seen: Seen, pinned: str) -> None:
        """See that it knows all that this process has seen, unless somebody has accepted a loss since.

        Args:
            seen: by this process.
            pinned: the id that it must have; empty where any will do.

        Raises:
            LedgerRolledBack: it does not.
        """
        if not self.id and (seen.id or pinned):
            raise lost("the ledger is gone")
        if pinned and pinned != self.id:
            raise lost("it is another ledger than the one that ?ledger= names")
        if seen.id and self.ack <= seen.ack:
            if seen.id != self.id:
                raise lost("it is another ledger than before")
            if self.seq < seen.seq:
                raise lost("its last steps are gone")

    def write(self, connection: sqlite3.Connection) -> None:
        """Put it into the file."""
        connection.execute("INSERT OR REPLACE INTO meta VALUES (1, ?, ?, ?, ?, ?, ?, ?)", self)


class Oldest(NamedTuple):
    """What comes due next: a lease, a final record, a session that nobody uses, one that has ended."""

    lease_ms: int | None = None
    final_ms: int | None = None
    used_ms: int | None = None
    ended_ms: int | None = None


_READ = """
SELECT id, seq, ack, now_ms, epoch, numbers, since,
  (SELECT min(lease_ms) FROM records WHERE state = 'reserved'),
  (SELECT min(final_ms) FROM records WHERE final_ms IS NOT NULL),
  (SELECT min(used_ms) FROM accounts WHERE session = 1),
  (SELECT min(ended_ms) FROM accounts WHERE ended_ms IS NOT NULL)
FROM meta"""


def read_meta(connection: sqlite3.Connection) -> tuple[Meta, Oldest]:
    """What the file says; empty in one that was never written to.

    Raises:
        StoreUnavailable: it has got a newer layout.
    """
    schema.check(connection.execute("PRAGMA user_version").fetchone()[0])
    row = connection.execute(_READ).fetchone()
    return (Meta(*row[:7]), Oldest(*row[7:])) if row is not None else (Meta(), Oldest())
