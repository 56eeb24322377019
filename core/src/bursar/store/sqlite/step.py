"""One verb on a file: what came due, then the verb itself on what it may look at."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from ...clock import Clock
from ...ids import new_id
from ..base import Entry
from ..seen import Seen
from ..verbs import Verbs
from .meta import Meta, read_meta
from .rows import path_keys, storable
from .save import save
from .sheet import Sheet
from .tidy import tidy

READS = ("probe", "read", "audit")  # change nothing, whatever they find


@dataclass(frozen=True, slots=True)
class Step:
    """A verb with its arguments, for a process that has seen something of the ledger.

    Attributes:
        verb: its name.
        arguments: of it.
        clock: tells the time.
        seen: of the ledger, by this process.
        pinned: the id that the ledger must have; empty where any will do.
        new: what a verb is carried out with.
    """

    verb: str
    arguments: tuple[Any, ...]
    clock: Clock
    seen: Seen
    pinned: str
    new: type[Verbs]

    def __call__(self, connection: sqlite3.Connection) -> tuple[Any, Meta | None]:
        """Carry it out; what it answers, and the ledger as it is afterwards if anything changed.

        Raises:
            LedgerRolledBack: the file knows less than this process.
            BursarError: what the verb raises.
        """
        meta = read_meta(connection)
        now_ms = max(int(self.clock.now() * 1000), meta.now_ms)
        if self.verb == "acknowledge":
            return None, self._acknowledge(connection, meta, now_ms)
        meta.check(self.seen, self.pinned)
        meta = meta if meta.id else meta._replace(id=new_id())
        tidied = tidy(connection, self.new(), meta, now_ms)
        sheet = Sheet(connection, self.new(), tidied or meta, now_ms)
        self._fill(sheet)
        answer = getattr(sheet.verbs, self.verb)(now_ms, *self.arguments)
        saved = None if self.verb in READS else save(sheet)
        return answer, saved or tidied

    def _fill(self, sheet: Sheet) -> None:
        first = self.arguments[0]
        if isinstance(first, Entry):
            sheet.read((account.key for account in first.path), first.id)
            if self.verb in ("reserve", "probe"):
                sheet.read_calls(first, self.arguments[2])
        elif self.verb in ("release", "extend"):
            sheet.read((), first)
        elif self.verb == "audit" or (self.verb == "read" and self.arguments[1] is None):
            sheet.read_tree(first)
            if self.verb == "audit":
                sheet.read_sums(first)
        elif self.verb == "read":
            sheet.read(key for leaf in self.arguments[1] for key in path_keys(leaf))
        else:
            sheet.read(account.key for account in first)

    def _acknowledge(self, connection: sqlite3.Connection, meta: Meta, now_ms: int) -> Meta:
        """The balances hold from here; other processes see that this was said after what they know."""
        root, reason = self.arguments
        accepted = meta._replace(
            id=self.pinned or self.seen.id or meta.id or new_id(),
            seq=max(meta.seq, self.seen.seq) + 1,
            ack=max(meta.ack + 1, self.seen.ack + 1, now_ms),
            now_ms=now_ms,
        )
        accepted.write(connection)
        line = (now_ms, root, "acknowledge", storable(reason))
        connection.execute("INSERT INTO journal (at_ms, account, what, detail) VALUES (?, ?, ?, ?)", line)
        return accepted
