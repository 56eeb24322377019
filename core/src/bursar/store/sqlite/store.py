"""`SqliteStore`: balances in a file; every verb is one transaction."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ...errors import BursarError, LedgerRolledBack
from ...runtime import fork
from ...runtime.clock import Clock, SystemClock
from ...runtime.log import logger
from ...values.account import root_key
from ..base import Verb
from ..engine.constants import LAYOUT
from ..engine.verbs import Verbs
from ..entry import Entry, Path
from ..facts import Facts
from ..outbox.messages import KEPT, Message
from ..outbox.outbox import MAY_PASS, Outbox
from ..outbox.spool import Spool
from ..remote import RemoteStore, completed
from ..results import Booked, Granted
from .file import File
from .meta import MustWrite
from .step import READS, Step
from .url import Place, parse_url


class SqliteStore(RemoteStore):
    """Balances that the processes of one machine share.

    Args:
        place: where the file is; it is made when it is first needed.
        clock: tells the time to all; the machine's own by default. One that runs backwards
            stands still here.
    """

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self.place = place
        self.durability = f"sqlite-{place.synchronous}"
        self._clock = clock or SystemClock()
        self._file = File(place)
        self._forks = fork.count
        self._outbox = Outbox(self._hand_over, Spool(place.spool, str(place.path)) if place.spool else None)
        self._worker: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"<SqliteStore {str(self.place.path)!r}>"

    @property
    def identity(self) -> str:
        """The same for all stores on one file."""
        return str(self.place.path)

    def ledger_id(self, root: str) -> str:
        """What ``?ledger=`` takes to pin this ledger; empty where it was never written to."""
        self.read(root, (root,))
        return self._file.seen.id

    def facts(self, root: str = "") -> Facts:
        """What survives, and what an operator should change.

        Raises:
            StoreUnavailable: the file cannot be used.
        """
        warnings = []
        try:
            ledger = self.ledger_id(root)
        except LedgerRolledBack as error:
            ledger = ""
            warnings.append(str(error))
        if self.place.synchronous == "normal":
            warnings.append("?synchronous=normal may lose the last bookings when the machine loses power")
        with_others = stat.S_IRWXG | stat.S_IRWXO
        there = os.name == "posix" and self.place.path.exists()
        if there and self.place.path.stat().st_mode & with_others:
            warnings.append(f"others can get at {str(self.place.path)!r}; chmod 600 it")
        files = (self.place.path, self.place.path.with_name(f"{self.place.path.name}-wal"))
        return Facts(
            "sqlite",
            self.durability,
            sqlite3.sqlite_version,
            ledger=ledger,
            layout=LAYOUT if ledger else 0,
            bytes=sum(file.stat().st_size for file in files if file.exists()),
            warnings=tuple(warnings),
        )

    async def acall(self, verb: Verb, *arguments: Any) -> Any:
        """A verb by its name, in a thread: the event loop goes on. What is cancelled is done all the same."""
        self._check_process()
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="bursar-sqlite")
        if verb == "facts":
            return await asyncio.wrap_future(self._worker.submit(self.facts, *arguments))
        arguments = completed(verb, arguments)
        job = self._worker.submit(self._by, self._deadline(), verb, arguments)
        waiting = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
            if verb == "reserve":
                self._worker.submit(self._withdraw, job, arguments[0])
            raise

    # -- within a verb ---------------------------------------------------------------------------

    def _ask(self, verb: str, *arguments: Any) -> Any:
        self._check_process()
        return self._by(self._deadline(), verb, arguments)

    def _deadline(self) -> float:
        return time.monotonic() + self.place.timeout_s

    def _by(self, deadline: float, verb: str, arguments: tuple[Any, ...]) -> Any:
        """Carry out a verb; where that cannot be, keep what has happened for later."""
        try:
            if self._outbox and verb != "acknowledge":
                self._outbox.deliver(_root(verb, arguments), deadline - time.monotonic())
            return self._carry_out(deadline, verb, arguments)
        except MAY_PASS:
            if verb not in KEPT or not self._outbox.put(Message(verb, arguments)):
                raise
            if verb == "release":
                return None
            return Booked(arguments[0].amounts, 0, False, None, int(self._clock.now() * 1000))

    def _carry_out(self, deadline: float, verb: str, arguments: tuple[Any, ...]) -> Any:
        step = Step(verb, arguments, self._clock, self.place.ledger, Verbs)
        if verb in READS:
            with suppress(MustWrite):
                return self._file.step(deadline, step.read, reading=True)
        return self._file.step(deadline, step, anew=verb == "acknowledge")

    def _hand_over(self, message: Message) -> Any:
        return self._carry_out(self._deadline(), message.verb, message.arguments)

    def _withdraw(self, job: Future[Any], entry: Entry) -> None:
        """Nobody will make the call of this reserve, which may have been granted."""
        if job.exception() is None and isinstance(job.result(), Granted) and not job.result().repeated:
            try:
                self.release(entry.id, entry.path, {})
            except BursarError as error:
                logger.warning("a cancelled reserve could not be given back: %s", error)

    def _check_process(self) -> None:
        """A forked child has threads and an outbox of its own; what waits is its parent's to deliver."""
        if self._forks != fork.count:
            self._forks = fork.count
            self._worker = None
            self._outbox.renew()


def _root(verb: str, arguments: tuple[Any, ...]) -> str:
    """The key of the root of the tree that a verb is about; empty where it is about all."""
    if not arguments:
        return ""
    first = arguments[0]
    if verb in ("end", "read", "sessions", "holds", "history", "alerts", "claim", "delivered", "audit"):
        return root_key(str(first))
    path: Path = first.path if isinstance(first, Entry) else arguments[1] if isinstance(first, str) else first
    return root_key(path[0].key) if path else ""


def open_sqlite(url: str, clock: Clock | None = None) -> SqliteStore:
    """The store at a URL; opens its file when it is first asked.

    Args:
        url: ``sqlite:///relative.db`` or ``sqlite:////whole/path.db``.
        clock: tells the time to all users of this store; for tests.

    Raises:
        ValueError: the URL names no file, or has an option that is not known.
    """
    return SqliteStore(parse_url(url), clock)
