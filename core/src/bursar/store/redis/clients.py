"""Connections to each server: for threads, and for each event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary, finalize

import redis
import redis.asyncio as aredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from .exchange import Exchange
from .routes import Command
from .url import Node, Place

# No greeting with the name of the client library, which would be a round trip more, and a right more.
_NAMELESS = (
    {"driver_info": None}
    if "driver_info" in signature(redis.connection.AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)
_Loop = asyncio.AbstractEventLoop


class Clients:
    """Connects when it is first asked, and closes the connections when nobody uses it any more.

    Args:
        place: the servers.
        try_s: seconds that one connect, or one answer, may take.
    """

    def __init__(self, place: Place, try_s: float) -> None:
        self._place = place
        self._common = {
            "socket_timeout": try_s,
            "socket_connect_timeout": try_s,
            "decode_responses": True,
            "protocol": 2,  # RESP3 is greeted with a command that the smallest ACL would have to allow
            **_NAMELESS,
        }
        self.renew()

    def renew(self) -> None:
        """In a forked child: the connections are its parent's."""
        self._blocking: dict[Node, redis.Redis] = {}
        self._by_loop: WeakKeyDictionary[_Loop, dict[Node, aredis.Redis]] = WeakKeyDictionary()
        self._closers: WeakKeyDictionary[_Loop, AsyncGenerator[None, None]] = WeakKeyDictionary()
        finalize(self, _disconnect, self._blocking, self._closers)

    def run(self, exchange: Exchange) -> Any:
        """Carry out an exchange, blocking."""
        try:
            wanted = next(exchange)
            while True:
                try:
                    answer = None
                    if isinstance(wanted, float):
                        time.sleep(wanted)
                    else:
                        answer = self._send(wanted)
                except redis.RedisError as error:
                    wanted = exchange.throw(error)
                else:
                    wanted = exchange.send(answer)
        except StopIteration as done:
            return done.value

    async def arun(self, exchange: Exchange) -> Any:
        """The same without blocking the event loop."""
        try:
            wanted = next(exchange)
            while True:
                try:
                    answer = None
                    if isinstance(wanted, float):
                        await asyncio.sleep(wanted)
                    else:
                        answer = await self._asend(wanted)
                except redis.RedisError as error:
                    wanted = exchange.throw(error)
                else:
                    wanted = exchange.send(answer)
        except StopIteration as done:
            return done.value

    def _send(self, command: Command) -> Any:
        client = self._blocking.get(command.node)
        if client is None:
            pool = redis.ConnectionPool(
                connection_class=self._kind(redis), retry=Retry(NoBackoff(), 0), **self._options(command.node)
            )
            client = self._blocking[command.node] = redis.Redis(connection_pool=pool)
        if not command.asking:
            return client.execute_command(*command.words)  # type: ignore[no-untyped-call]
        pipeline: Any = client.pipeline(transaction=False)  # both on one connection
        pipeline.execute_command("ASKING")
        pipeline.execute_command(*command.words)
        return pipeline.execute()[-1]

    async def _asend(self, command: Command) -> Any:
        client = await self._of_this_loop(command.node)
        if not command.asking:
            return await client.execute_command(*command.words)  # type: ignore[no-untyped-call]
        pipeline: Any = client.pipeline(transaction=False)
        pipeline.execute_command("ASKING")
        pipeline.execute_command(*command.words)
        return (await pipeline.execute())[-1]

    async def _of_this_loop(self, node: Node) -> aredis.Redis:
        loop = asyncio.get_running_loop()
        clients = self._by_loop.get(loop)
        if clients is None:
            clients = self._by_loop[loop] = {}
            closer = self._closers[loop] = _closing(clients)
            await anext(closer)
        client = clients.get(node)
        if client is None:
            pool = aredis.ConnectionPool(
                connection_class=self._kind(aredis), retry=AsyncRetry(NoBackoff(), 0), **self._options(node)
            )
            client = clients[node] = aredis.Redis(connection_pool=pool)
        return client

    def _kind(self, library: Any) -> Any:
        """The class of connections, of the blocking or the awaiting half of redis-py."""
        if self._place.tls:
            return library.SSLConnection
        return library.Connection if self._place.nodes[0].port else library.UnixDomainSocketConnection

    def _options(self, node: Node) -> dict[str, Any]:
        where = {"host": node.host, "port": node.port} if node.port else {"path": node.host}
        own = self._place.sentinel_options if node.sentinel else self._place.options
        return {**self._common, **own, **where}


async def _closing(clients: dict[Node, aredis.Redis]) -> AsyncGenerator[None, None]:
    """Closes the connections of a loop when that closes its generators, as `asyncio.run` does at its end."""
    try:
        yield
    finally:
        for client in clients.values():
            await client.aclose()
            await client.connection_pool.disconnect()


def _disconnect(clients: dict[Node, redis.Redis], _closers: object) -> None:
    """Close the blocking connections, before the garbage collector finds their sockets.

    Those of event loops are closed by their loops: each is told when its closer goes, after this.
    """
    for client in clients.values():
        client.connection_pool.disconnect()
