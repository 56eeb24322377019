"""The open file: one connection of this process, used by one thread at a time."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakSet, finalize

from ...errors import StoreError, StoreUnavailable
from ...runtime.fork import around_forks
from ..rollback import Seen, lost
from . import schema
from .folder import make_private
from .kept import Done, Kept
from .meta import MustWrite
from .turnstile import Turnstile
from .url import Place

Act: TypeAlias = Callable[[sqlite3.Connection, Seen, "Kept | None"], Done]

_OLDEST = (3, 37)  # knows STRICT tables
_SAYS = {  # what SQLite says, and what that means for whoever reads it
    "locked": "was locked by another program for all of the timeout",
    "disk is full": "cannot grow, because its disk is full",
    "readonly": "cannot be written to",
    "malformed": "is damaged; stop the programs that use it, and bring back a backup",
    "not a database": "is not a database",
    "unable to open": "cannot be opened",
    "disk I/O error": "cannot be read or written",
}


class File:
    """Opens, looks after, and closes a connection, at the latest when nobody uses it any more.

    Args:
        place: of the file.

    Attributes:
        seen: of its ledger, by this process.
    """

    def __init__(self, place: Place) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise ValueError(
                f"store='sqlite' needs SQLite 3.37, and this Python has {sqlite3.sqlite_version}"
            )
        self.place = place
        self.seen = Seen()
        self._log = Path(f"{place.path}-wal")
        self._turnstile = Turnstile(str(place.path))
        self._connection: sqlite3.Connection | None = None
        self._kept: Kept | None = None
        self._wait_ms = -1  # of that connection
        self._identity: tuple[int, ...] = ()
        self._forking: set[int] = set()
        self._stranded = False
        _FILES.add(self)

    def step(self, deadline: float, act: Act, *, anew: bool = False, reading: bool = False) -> Any:
        """Do something in one transaction.

        Args:
            deadline: of the monotonic clock.
            act: gets a connection, what this process has seen of the ledger, and what the last step kept.
            anew: True where the file may be made again although its ledger was seen.
            reading: True for what only reads: it sees the file as it is at one moment, and other processes
                go on to write meanwhile.

        Raises:
            MustWrite: that is not possible for something that only reads.
            StoreUnavailable: it could not be done in time, or at all.
            LedgerRolledBack: the file is gone, or empty.
        """
        try:
            self._check_process()
            if self._connection is None and not reading and (anew or not self.seen.id):
                make_private(self.place.path)
            transact = partial(self._transact, deadline, act, anew=anew, reading=reading)
            return self._turnstile.take(deadline, transact, alone=not reading)
        except sqlite3.IntegrityError as error:
            raise StoreError(f"{str(self.place.path)!r} cannot hold such a number: {error}") from error
        except sqlite3.Error as error:
            text = str(error)
            known = (meaning for said, meaning in _SAYS.items() if said in text)
            raise self._failure(next(known, f"refuses the step: {text:.200}")) from error
        except OSError as error:
            if self.seen.id and isinstance(error, FileNotFoundError):
                raise lost("its file is gone, or empty") from error
            raise self._failure(f"cannot be used: {error.strerror}") from error
        except StoreUnavailable as error:
            raise self._failure(f"cannot be used: {error}") from error

    def _transact(self, deadline: float, act: Act, *, anew: bool, reading: bool) -> Any:
        if reading and (self._connection is None or self._look() != self._identity):
            raise MustWrite
        try:
            connection = self._open(deadline, anew=anew)
            kept, self._kept = self._kept, None  # whatever ends this step early, nothing half done is left
            try:
                connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
                done = act(connection, self.seen, kept)
                self._check_process()
                connection.execute("COMMIT" if done.wrote else "ROLLBACK")
            finally:
                if connection.in_transaction and not self._stranded:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            if "locked" not in str(error):
                self._drop()
            raise
        if done.meta.id:
            self.seen = self.seen.after(done.meta.seen)
        self._identity = self._identity or self._look()
        self._kept = done.kept
        return done.answer

    def _open(self, deadline: float, *, anew: bool) -> sqlite3.Connection:
        """The connection to what has the name of the file now, waiting for others no longer than that."""
        self._see_what_is_there(anew=anew)
        connection = self._connection
        wait_ms = max(0, int((deadline - time.monotonic()) * 100) * 10)
        if connection is None:
            connection = sqlite3.connect(
                self.place.path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            try:
                self._let_wait(connection, wait_ms)
                connection.execute(f"PRAGMA synchronous = {self.place.synchronous}")
                if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                    raise StoreUnavailable(
                        "its file system has no shared memory, which a write-ahead log needs"
                    )
                self._bring_up(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._close = connection, finalize(self, connection.close)
        elif wait_ms != self._wait_ms:
            self._let_wait(connection, wait_ms)
        return connection

    def _let_wait(self, connection: sqlite3.Connection, wait_ms: int) -> None:
        self._wait_ms = -1  # not known, if an interrupt comes now
        connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
        self._wait_ms = wait_ms

    @staticmethod
    def _bring_up(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        schema.bring_up(connection)
        connection.execute("COMMIT")

    # -- the file itself ---------------------------------------------------------------------

    def _see_what_is_there(self, *, anew: bool) -> None:
        """Let go of a file that has lost its name, and refuse one that cannot be the whole ledger.

        A log of writes belongs to its file, and no name tells which that is: a file that was put
        under the log of another one would become a mixture of both.
        """
        found = self._look()
        mixed = len(found) > 2 and found[2:] == self._identity[2:] and found != self._identity
        if anew and (mixed or not found):
            if not found:
                self.place.path.unlink(missing_ok=True)
            self._drop()
            for left in (self._log, Path(f"{self.place.path}-shm")):
                left.unlink(missing_ok=True)
        elif mixed:
            raise lost("its file was exchanged while programs had it open")
        elif not found and self.seen.id:
            raise lost("its file is gone, or empty")
        elif found != self._identity:
            self._drop()
        if not found:
            make_private(self.place.path)

    def _look(self) -> tuple[int, ...]:
        """Which file has the name now, and which its log: another one is another ledger, perhaps."""
        found: tuple[int, ...] = ()
        with suppress(FileNotFoundError):
            file = self.place.path.stat()
            found = (file.st_dev, file.st_ino) if file.st_size else ()
            log = self._log.stat()
            found = (*found, log.st_dev, log.st_ino) if found else ()
        return found

    def _drop(self) -> None:
        if self._connection is not None:
            self._close()
        self._connection, self._kept, self._identity = None, None, ()

    def _failure(self, what: str) -> StoreUnavailable:
        return StoreUnavailable(f"{str(self.place.path)!r} {what}; make no call")

    def _check_process(self) -> None:
        if self._stranded:
            raise StoreUnavailable("this process was forked off in the middle of a step; start another one")

    # -- forks ---------------------------------------------------------------------------------
    # SQLite must not be carried into a child: it would take the locks of its parent for its own.

    def before_fork(self) -> None:
        """Close everything, when the step is over that somebody may be in."""
        if self._turnstile.alone(time.monotonic() + self.place.timeout_s):
            self._forking.add(threading.get_ident())
            self._drop()

    def in_parent(self) -> None:
        """Let the others go on."""
        if threading.get_ident() in self._forking:
            self._forking.remove(threading.get_ident())
            self._turnstile.go_on()

    def in_child(self) -> None:
        """Begin anew; where that step did not end, nothing may be touched here."""
        self._forking.clear()
        self._turnstile.renew()
        self._stranded = self._connection is not None
        if self._stranded:
            self._close.detach()


_FILES: WeakSet[File] = WeakSet()


def _each(act: Callable[[File], None]) -> Callable[[], None]:
    def act_on_all() -> None:
        for file in tuple(_FILES):
            act(file)

    return act_on_all


around_forks(_each(File.before_fork), _each(File.in_parent), _each(File.in_child))
