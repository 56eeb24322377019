"""Balances in Redis: every verb is one run of one script."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from ...amounts import Amounts
from ...clock import Clock
from ...errors import StoreError
from ...limits import Limit
from ...policy import Terms
from ...process import OneProcess, forks
from ..base import PLAIN, Booked, Entry, Finding, Granted, Path, Refused, Snapshot, StalePeriod, Store
from .clients import Clients
from .exchange import ROLLED_BACK_OR_DOWN, Exchanges, Unanswered
from .facts import Facts, read_facts
from .mailbox import Mailbox
from .requests import Request, Requests
from .url import Place, parse_url

_KEPT = ("settle", "book", "doubt", "release")


class RedisStore(OneProcess, Store):
    """Balances that many processes on many machines share.

    Args:
        place: where it is.
        clock: tells the time to all; the server's own by default.
    """

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self.place = place
        self._forks = forks()
        self._requests = Requests(place.prefix)
        self._exchanges = Exchanges(place, clock)
        self._clients = Clients(place, self._exchanges.try_s)
        self._mailbox = Mailbox(self._requests, self._send)
        self._facts: Facts | None = None

    def __repr__(self) -> str:
        return f"<RedisStore {self.place.where}>"

    @property
    def durability(self) -> str:  # type: ignore[override]
        """``"redis-always"``, ``"redis-everysec"`` or ``"redis-none"``, as the server was first seen."""
        if self._facts is None:
            self._check_process()
            try:
                self._learn(self._clients.run(read_facts(self._exchanges)))
            except ROLLED_BACK_OR_DOWN:
                return "redis-none"
        return self._facts.durability if self._facts is not None else "redis-none"

    @property
    def undelivered(self) -> int:
        """Bookings that wait for the store to come back."""
        return len(self._mailbox)

    def facts(self) -> Facts:
        """What the server says about itself: its version, and what it keeps of a crash.

        Raises:
            StoreUnavailable: it cannot be reached.
        """
        self._check_process()
        return self._learn(self._clients.run(read_facts(self._exchanges)))

    def ledger_id(self, root: str) -> str:
        """What ``?ledger=`` takes to pin this ledger; empty where it was never written to."""
        self.read(root, (root,))
        return self._exchanges.ledger_id(root)

    def reserve(
        self, entry: Entry, minimum: Amounts, terms: Terms = PLAIN
    ) -> Granted | Refused | StalePeriod:
        return cast("Granted | Refused | StalePeriod", self._ask("reserve", entry, minimum, terms))

    def probe(self, entry: Entry, minimum: Amounts, terms: Terms = PLAIN) -> Granted | Refused | StalePeriod:
        return cast("Granted | Refused | StalePeriod", self._ask("probe", entry, minimum, terms))

    def settle(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return cast("Booked | StalePeriod", self._ask("settle", entry, terms))

    def book(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return cast("Booked | StalePeriod", self._ask("book", entry, terms))

    def doubt(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return cast("Booked | StalePeriod", self._ask("doubt", entry, terms))

    def release(self, id: str, path: Path, tally: Mapping[str, int]) -> None:
        self._ask("release", id, path, tally)

    def extend(self, id: str, path: Path, lease_ms: int) -> None:
        self._ask("extend", id, path, lease_ms)

    def set_limit(self, path: Path, limit: Limit) -> None:
        self._ask("set_limit", path, limit)

    def drop_limit(self, path: Path, limit: Limit) -> None:
        self._ask("drop_limit", path, limit)

    def trip(self, path: Path, reason: str) -> None:
        self._ask("trip", path, reason)

    def untrip(self, path: Path, reason: str) -> None:
        self._ask("untrip", path, reason)

    def reset(self, path: Path, reason: str) -> None:
        self._ask("reset", path, reason)

    def acknowledge(self, root: str, reason: str) -> None:
        self._ask("acknowledge", root, reason)

    def read(self, root: str, keys: tuple[str, ...] | None = None) -> Snapshot:
        return cast("Snapshot", self._ask("read", root, keys))

    def audit(self, root: str) -> tuple[Finding, ...]:
        return cast("tuple[Finding, ...]", self._ask("audit", root))

    async def acall(self, verb: str, *arguments: Any) -> Any:
        """A verb by its name, over the connections of this event loop."""
        self._check_process()
        request: Request = getattr(self._requests, verb)(*arguments)
        try:
            if self._facts is None:
                self._learn(await self._clients.arun(read_facts(self._exchanges)))
            if self._mailbox and verb != "acknowledge":
                await asyncio.get_running_loop().run_in_executor(None, self._mailbox.deliver)
            return await self._clients.arun(self._exchanges.exchange(request))
        except ROLLED_BACK_OR_DOWN as error:
            return self._later(request, arguments, error)
        except asyncio.CancelledError:
            if verb == "reserve":
                self._withdraw(request, arguments[0])
            elif verb in _KEPT:
                self._mailbox.put(request, arguments)
            raise

    # -- within a verb ------------------------------------------------------------------

    def _ask(self, verb: str, *arguments: Any) -> Any:
        self._check_process()
        request: Request = getattr(self._requests, verb)(*arguments)
        try:
            if self._facts is None:
                self._learn(self._clients.run(read_facts(self._exchanges)))
            if self._mailbox and verb != "acknowledge":
                self._mailbox.deliver()
            return self._send(request)
        except ROLLED_BACK_OR_DOWN as error:
            return self._later(request, arguments, error)

    def _send(self, request: Request) -> Any:
        return self._clients.run(self._exchanges.exchange(request))

    def _later(self, request: Request, arguments: tuple[Any, ...], error: StoreError) -> Any:
        """Keep a booking that has no answer, and say what it will be; raise the error of others."""
        if request.verb == "reserve" and isinstance(error, Unanswered):
            self._withdraw(request, arguments[0])
        if request.verb not in _KEPT or not self._mailbox.put(request, arguments):
            raise error
        if request.verb == "release":
            return None
        return Booked(arguments[0].amounts, 0, False, None, self._exchanges.now_ms())

    def _withdraw(self, request: Request, entry: Entry) -> None:
        """Nobody will make the call of this reserve, which may have been granted."""
        self._mailbox.put(self._requests.withdraw(request, entry))

    def _learn(self, facts: Facts) -> Facts:
        self._facts = facts
        return facts

    def _check_process(self) -> None:
        """A forked child makes connections and locks of its own; what waits is its parent's to deliver."""
        if self._forks != forks():
            self._forks = forks()
            self._exchanges.renew()
            self._clients.renew()
            self._mailbox.renew()


def open_redis(url: str, clock: Clock | None = None) -> RedisStore:
    """The store at a URL; connects when it is first asked.

    Args:
        url: ``redis://[user:password@]host:port/db``, ``rediss://`` for TLS, or ``unix:///path``.
        clock: tells the time to all users of this store; for tests.

    Raises:
        ValueError: the URL names no place, or has an option that is not known.
    """
    return RedisStore(parse_url(url), clock)
