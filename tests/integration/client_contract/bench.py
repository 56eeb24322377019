"""A provider, clients of one kind, and somebody who pays for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import bursar
from bursar import Session
from bursar.testing import ScriptedProvider

from .sdk import ClientSdk
from .surface import Surface, atake, take


class Sync:
    """Blocking clients."""

    asynchronous = False

    def take(self, surface: Surface, client: Any) -> Any:
        return take(surface, client)

    def run(self, done: Any) -> Any:
        return done

    def close(self) -> None:
        """Nothing runs."""


class Async:
    """Asynchronous clients, on one loop for a whole test."""

    asynchronous = True

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def take(self, surface: Surface, client: Any) -> Any:
        return self.run(atake(surface, client))

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def close(self) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()


class Bench:
    """What a test needs; all that it makes is closed at the end of the test.

    Args:
        sdk: whose clients.
        provider: answers them.
        way: of calling them, blocking or awaited.
        cover: ``wrap``, each has a session of its own, or ``init``, that of the process pays.
    """

    def __init__(self, sdk: ClientSdk, provider: ScriptedProvider, way: Sync | Async, cover: str) -> None:
        self.sdk = sdk
        self.provider = provider
        self.way = way
        self.cover = cover
        self._clients: list[Any] = []

    def client(self, name: str = "", **settings: Any) -> Any:
        """A client that does not repeat what fails, unless it is told to; of a kind by name, also for others."""
        if not name:
            return self.keep(self.sdk.client(self.provider, asynchronous=self.way.asynchronous, **settings))
        kind = self.sdk.kind(name, asynchronous=self.way.asynchronous)
        http_client = self.sdk.http(asynchronous=self.way.asynchronous)
        return self.keep(kind(http_client=http_client, **{"max_retries": 0, **settings}))

    def keep(self, client: Any) -> Any:
        """A client that is closed at the end of the test."""
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            self.way.run(client.close())
        self.way.close()

    def paid(self, *limits: Any, **settings: Any) -> tuple[Any, Session]:
        """A client, and the session that pays for it."""
        of_client = settings.pop("client", {})
        client = self.client(**of_client)
        return client, self.pay(client, *limits, **settings)

    def pay(self, client: Any, *limits: Any, **settings: Any) -> Session:
        """Somebody who pays for a client: a session of its own, or that of the process."""
        if self.cover == "init":
            return bursar.init(*limits, **settings)
        session = bursar.Budget(*limits, **settings).session()
        if hasattr(client, "__bursar_unwrap__"):
            bursar.unwrap_client(client)
        assert bursar.wrap_client(client, session) is client
        return session

    def ask(self, client: Any, **members: Any) -> Any:
        """Ask the usual question, and take the whole answer."""
        taken = "events" if members.get("stream") else "value"
        return self.take(lambda c: self.sdk.ask(c, **members), client, taken)

    def take(self, call: Surface | Callable[[Any], Any], client: Any, taken: str = "value") -> Any:
        """Call a surface, and take the whole answer."""
        return self.way.take(call if isinstance(call, Surface) else Surface(call, taken), client)

    def sent(self, call: Callable[[Any], Any], client: Any) -> int:
        """How many requests a call sends; that the provider may not know the path is no matter."""
        before = self.provider.arrivals
        with contextlib.suppress(self.sdk.module.APIStatusError):
            self.take(call, client)
        return self.provider.arrivals - before

    def assert_exact(self, session: Session) -> None:
        """The provider's bill and the ledger agree to the nano-dollar, and nothing is left held."""
        assert session.spent * 10**9 == self.provider.bill_nanos
        assert session.reserved == 0
