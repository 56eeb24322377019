"""`RedisStore`: balances in Redis; every verb is one run of one script."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from ...errors import LedgerRolledBack, StoreError
from ...runtime import fork
from ...runtime.clock import Clock
from ..base import Verb
from ..engine.constants import LAYOUT
from ..entry import Entry
from ..facts import Facts
from ..outbox.messages import KEPT, Message
from ..outbox.outbox import MAY_PASS, Outbox
from ..outbox.spool import Spool
from ..remote import RemoteStore, completed
from ..results import Booked
from ..views import Finding
from .clients import Clients
from .exchange import Exchanges, Unanswered
from .facts import read_facts, read_roots, with_loss
from .requests import RedisRequest, Requests
from .url import Place, parse_url

_AUDIT_S = 120  # that an audit may take in all


class RedisStore(RemoteStore):
    """Balances that many processes on many machines share.

    Args:
        place: where it is.
        clock: tells the time to all; the server's own by default.
    """

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self.place = place
        self._clock = clock
        self._forks = fork.count
        self._exchanges = Exchanges(place, clock)
        self._requests = Requests(place.prefix, self._exchanges.now_ms)
        self._clients = Clients(place, self._exchanges.try_s)
        spool = Spool(place.spool, f"{place.where} {place.prefix}") if place.spool else None
        self._outbox = Outbox(self._hand_over, spool)
        self._facts: Facts | None = None

    def __repr__(self) -> str:
        return f"<RedisStore {self.place.where}>"

    @property
    def identity(self) -> str:
        """The same for all stores on one place."""
        return f"{self.place.where} {self.place.prefix}"

    @property
    def durability(self) -> str:  # type: ignore[override]
        """``"redis-always"``, ``"redis-everysec"`` or ``"redis-none"``, as the server was first seen."""
        if self._facts is None:
            self._check_process()
            try:
                self._learn(self._clients.run(read_facts(self._exchanges)))
            except MAY_PASS:
                return "redis-none"
        return self._facts.durability if self._facts is not None else "redis-none"

    def facts(self, root: str = "") -> Facts:
        """What the server says about itself, and about the ledger of a tree.

        Raises:
            StoreUnavailable: it cannot be reached.
        """
        self._check_process()
        facts = self._learn(self._clients.run(read_facts(self._exchanges)))
        try:
            ledger = self.ledger_id(root) if root else ""
            return replace(facts, ledger=ledger, layout=LAYOUT if ledger else 0)
        except LedgerRolledBack as error:
            return with_loss(facts, error)

    def roots(self) -> tuple[str, ...]:
        """The keys of the roots of all trees; a scan of every master, so not of one moment.

        Raises:
            StoreUnavailable: a server cannot be reached.
        """
        self._check_process()
        roots: tuple[str, ...] = self._clients.run(read_roots(self._exchanges))
        return roots

    def audit(self, root: str) -> tuple[Finding, ...]:
        """Each balance against its records, all read in one step, which may take longer than other verbs.

        Raises:
            StoreUnavailable: it cannot be reached within the timeout of a verb, or is silent for two minutes.
        """
        self.read(root, (root,))
        place = replace(self.place, timeout_s=max(_AUDIT_S, self.place.timeout_s))
        exchanges = Exchanges(place, self._clock)
        audit = exchanges.exchange(self._requests.audit(root))
        found: tuple[Finding, ...] = Clients(place, exchanges.try_s).run(audit)
        return found

    def ledger_id(self, root: str) -> str:
        """What ``?ledger=`` takes to pin this ledger; empty where it was never written to."""
        self.read(root, (root,))
        return self._exchanges.ledger_id(root)

    async def acall(self, verb: Verb, *arguments: Any) -> Any:
        """A verb by its name, over the connections of this event loop."""
        self._check_process()
        if verb in ("facts", "roots", "audit"):
            return await asyncio.to_thread(getattr(self, verb), *arguments)
        arguments = completed(verb, arguments)
        request: RedisRequest = getattr(self._requests, verb)(*arguments)
        try:
            if self._facts is None:
                self._learn(await self._clients.arun(read_facts(self._exchanges)))
            if self._outbox and verb != "acknowledge":
                await asyncio.to_thread(self._outbox.deliver, request.root, self.place.timeout_s)
            return await self._clients.arun(self._exchanges.exchange(request))
        except MAY_PASS as error:
            return await asyncio.to_thread(self._later, request, arguments, error)
        except asyncio.CancelledError:
            self._keep(request, arguments)  # at once: nobody waits for a task that is cancelled
            raise

    # -- within a verb ------------------------------------------------------------------

    def _ask(self, verb: str, *arguments: Any) -> Any:
        self._check_process()
        request: RedisRequest = getattr(self._requests, verb)(*arguments)
        try:
            if self._facts is None:
                self._learn(self._clients.run(read_facts(self._exchanges)))
            if self._outbox and verb != "acknowledge":
                self._outbox.deliver(request.root, self.place.timeout_s)
            return self._clients.run(self._exchanges.exchange(request))
        except MAY_PASS as error:
            return self._later(request, arguments, error)

    def _hand_over(self, message: Message) -> Any:
        request: RedisRequest = getattr(self._requests, message.verb)(*message.arguments)
        return self._clients.run(self._exchanges.exchange(replace(request, nonce=message.nonce)))

    def _later(self, request: RedisRequest, arguments: tuple[Any, ...], error: StoreError) -> Any:
        """Keep a booking that has no answer, and say what it will be; raise the error of others."""
        if request.verb == "reserve" and not isinstance(error, Unanswered):
            raise error
        kept = self._keep(request, arguments)
        if request.verb not in KEPT or not kept:
            raise error
        if request.verb == "release":
            return None
        return Booked(arguments[0].amounts, 0, False, None, self._exchanges.now_ms())

    def _keep(self, request: RedisRequest, arguments: tuple[Any, ...]) -> bool:
        """Write a message of what is to be known: a booking, or that nobody makes the call of a reserve."""
        if request.verb == "reserve":
            entry: Entry = arguments[0]
            return self._outbox.put(Message("withdraw", (entry.id, entry.path, request.nonce)))
        return request.verb in KEPT and self._outbox.put(Message(request.verb, arguments, request.nonce))

    def _learn(self, facts: Facts) -> Facts:
        self._facts = facts
        return facts

    def _check_process(self) -> None:
        """A forked child makes connections and locks of its own; what waits is its parent's to deliver."""
        if self._forks != fork.count:
            self._forks = fork.count
            self._exchanges.renew()
            self._clients.renew()
            self._outbox.renew()


def open_redis(url: str, clock: Clock | None = None) -> RedisStore:
    """The store at a URL; connects when it is first asked.

    Args:
        url: ``redis://[user:password@]host:port/db``, ``rediss://`` for TLS, ``unix:///path``,
            ``redis+cluster://host:port,host:port``, or ``redis+sentinel://host:port,host:port/name/db``.
        clock: tells the time to all users of this store; for tests.

    Raises:
        ValueError: the URL names no place, or has an option that is not known.
    """
    return RedisStore(parse_url(url), clock)
