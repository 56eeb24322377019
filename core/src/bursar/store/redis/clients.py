"""The connections to one Redis: for threads, and for each event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio as aredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from .exchange import Exchange
from .url import Place

# No greeting with the name of the client library, which would be a round trip more, and a right more.
_NAMELESS = (
    {"driver_info": None}
    if "driver_info" in signature(redis.connection.AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)


class Clients:
    """Connects when it is first asked.

    Args:
        place: the server.
        try_s: seconds that one connect, or one answer, may take.
    """

    def __init__(self, place: Place, try_s: float) -> None:
        self._place = place
        self._options = {
            **place.options,
            "socket_timeout": try_s,
            "socket_connect_timeout": try_s,
            "decode_responses": True,
            "protocol": 2,  # RESP3 is greeted with a command that the smallest ACL would have to allow
            **_NAMELESS,
        }
        self._blocking: redis.Redis | None = None
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, aredis.Redis] = WeakKeyDictionary()
        self._closers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = (
            WeakKeyDictionary()
        )

    def run(self, exchange: Exchange) -> Any:
        """Carry out an exchange, blocking."""
        client = self._blocking
        if client is None:
            kinds = {
                "redis": redis.Connection,
                "rediss": redis.SSLConnection,
                "unix": redis.UnixDomainSocketConnection,
            }
            pool = redis.ConnectionPool(
                connection_class=kinds[self._place.scheme], retry=Retry(NoBackoff(), 0), **self._options
            )
            client = self._blocking = redis.Redis(connection_pool=pool)
        try:
            wanted = next(exchange)
            while True:
                try:
                    answer = None
                    if isinstance(wanted, float):
                        time.sleep(wanted)
                    else:
                        answer = client.execute_command(*wanted)  # type: ignore[no-untyped-call]
                except redis.RedisError as error:
                    wanted = exchange.throw(error)
                else:
                    wanted = exchange.send(answer)
        except StopIteration as done:
            return done.value

    async def arun(self, exchange: Exchange) -> Any:
        """The same without blocking the event loop."""
        client = await self._of_this_loop()
        try:
            wanted = next(exchange)
            while True:
                try:
                    answer = None
                    if isinstance(wanted, float):
                        await asyncio.sleep(wanted)
                    else:
                        answer = await client.execute_command(*wanted)  # type: ignore[no-untyped-call]
                except redis.RedisError as error:
                    wanted = exchange.throw(error)
                else:
                    wanted = exchange.send(answer)
        except StopIteration as done:
            return done.value

    def renew(self) -> None:
        """In a forked child: the connections are its parent's."""
        self._blocking = None
        self._by_loop, self._closers = WeakKeyDictionary(), WeakKeyDictionary()

    async def _of_this_loop(self) -> aredis.Redis:
        loop = asyncio.get_running_loop()
        client = self._by_loop.get(loop)
        if client is None:
            kinds = {
                "redis": aredis.Connection,
                "rediss": aredis.SSLConnection,
                "unix": aredis.UnixDomainSocketConnection,
            }
            pool = aredis.ConnectionPool(
                connection_class=kinds[self._place.scheme], retry=AsyncRetry(NoBackoff(), 0), **self._options
            )
            client = self._by_loop[loop] = aredis.Redis(connection_pool=pool)
            closer = self._closers[loop] = _closing(client)
            await anext(closer)
        return client


async def _closing(client: aredis.Redis) -> AsyncGenerator[None, None]:
    """Closes the connections of a loop when that closes its generators, as `asyncio.run` does at its end."""
    try:
        yield
    finally:
        await client.aclose()
        await client.connection_pool.disconnect()
