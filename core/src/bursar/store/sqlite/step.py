"""One verb on a file: expire what is due, load, decide, save."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from ...runtime.clock import Clock
from ...runtime.ids import new_id
from ...values.window import DAY_MS
from ..engine.verbs import Verbs
from ..entry import Entry
from ..results import Contended
from ..rollback import Seen
from .expire import is_due, tidy
from .kept import KEEPS, Done, Kept, keep
from .load import Loaded
from .meta import Meta, MustWrite, read_meta
from .rows import path_keys, storable
from .save import save

READS = (
    "probe",
    "read",
    "sessions",
    "holds",
    "history",
    "alerts",
    "roots",
    "audit",
)  # change nothing, whatever they find


@dataclass(frozen=True, slots=True)
class Step:
    """A verb with its arguments.

    Attributes:
        verb: its name.
        arguments: of it.
        clock: tells the time.
        pinned: the id that the ledger must have; empty where any will do.
        new: what a verb is carried out with.
    """

    verb: str
    arguments: tuple[Any, ...]
    clock: Clock
    pinned: str
    new: type[Verbs]

    def __call__(self, connection: sqlite3.Connection, seen: Seen, kept: Kept | None) -> Done:
        """Carry it out.

        Raises:
            LedgerRolledBack: the file knows less than this process.
            BursarError: what the verb raises.
        """
        now_ms = int(self.clock.now() * 1000)
        keeps = self.verb in KEEPS
        if keeps and kept is not None and kept.holds(connection, now_ms):
            before, oldest = kept.meta, kept.oldest
        else:
            kept = None
            before, oldest = read_meta(connection)
        now_ms = max(now_ms, before.now_ms)
        if self.verb == "acknowledge":
            return Done(None, self._acknowledge(connection, before, seen, now_ms), True)
        before.check(seen, self.pinned)
        meta = before if before.id else before._replace(id=new_id())
        meta = meta if meta.since >= 0 else meta._replace(since=now_ms // DAY_MS)
        tidied = None
        if kept is not None:
            loaded = kept.loaded
            loaded.begin(meta, now_ms)
        else:
            tidied = tidy(connection, self.new, meta, oldest, now_ms)
            loaded = Loaded(connection, self.new(), tidied or meta, now_ms)
        self._fill(loaded)
        answer = getattr(loaded.verbs, self.verb)(now_ms, *self.arguments)
        if isinstance(answer, Contended):
            answer = answer._replace(expires_ms=loaded.next_lease_ms())
        unwritten = self.verb in READS or (isinstance(answer, Contended) and self.arguments[4] == "again")
        saved = None if unwritten else save(loaded)
        after = saved or tidied
        left = keep(loaded, saved, oldest) if keeps and saved is not None else None
        return Done(answer, after or before, after is not None, left)

    def read(self, connection: sqlite3.Connection, seen: Seen, kept: Kept | None) -> Done:
        """The same for one of `READS`, in a transaction that writes nothing.

        Raises:
            MustWrite: something is due, or nothing was ever written.
            LedgerRolledBack: the file knows less than this process.
        """
        meta, oldest = read_meta(connection)
        meta.check(seen, self.pinned)
        now_ms = max(int(self.clock.now() * 1000), meta.now_ms)
        if not meta.id or meta.since < 0 or is_due(oldest, now_ms):
            raise MustWrite
        loaded = Loaded(connection, self.new(), meta, now_ms)
        self._fill(loaded)
        return Done(getattr(loaded.verbs, self.verb)(now_ms, *self.arguments), meta, False, kept)

    def _fill(self, loaded: Loaded) -> None:
        if self.verb == "roots":
            loaded.read_roots()
            return
        first = self.arguments[0]
        if isinstance(first, Entry):
            loaded.read((account.key for account in first.path), first.id)
            if self.verb in ("reserve", "probe"):
                loaded.read_calls(first, self.arguments[2])
        elif self.verb in ("release", "extend"):
            loaded.read((), first)
            loaded.read_call_of(first)
        elif self.verb == "audit":
            loaded.read_tree(first)
            loaded.read_sums(first)
        elif self.verb == "read" and self.arguments[1] is None:
            loaded.read_budgets(first)
        elif self.verb in ("read", "end"):
            loaded.read(key for leaf in self.arguments[1] for key in path_keys(leaf))
        elif self.verb == "sessions":
            loaded.read_sessions(*self.arguments)
        elif self.verb in ("alerts", "claim", "delivered"):
            pass  # of the file itself
        elif self.verb == "history":
            loaded.read((first,))
        elif self.verb == "holds":
            loaded.read_holds(*self.arguments)
        else:
            loaded.read(account.key for account in first)

    def _acknowledge(self, connection: sqlite3.Connection, meta: Meta, seen: Seen, now_ms: int) -> Meta:
        """The balances hold from here; other processes see that this was said after what they know."""
        root, reason = self.arguments
        accepted = meta._replace(
            id=self.pinned or seen.id or meta.id or new_id(),
            seq=max(meta.seq, seen.seq) + 1,
            ack=max(meta.ack + 1, seen.ack + 1, now_ms),
            now_ms=now_ms,
        )
        accepted.write(connection)
        line = (now_ms, root, "acknowledge", storable(reason))
        connection.execute("INSERT INTO journal (at_ms, account, what, detail) VALUES (?, ?, ?, ?)", line)
        return accepted
