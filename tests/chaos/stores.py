"""The stores that a storm goes over, one row each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import redis

from bursar.store import Store
from bursar.store.memory import MemoryStore
from bursar.store.urls import open_store

from ..servers import Server, store_url
from .broken import BROKEN
from .rounds import Round


class Place(NamedTuple):
    """Where the balances of one storm are.

    Attributes:
        url: that processes open it by; empty where each has its own.
        crash: kills the server and starts it again; None where there is none.
        forget: removes a round that has been judged.
        close: ends it.
    """

    url: str
    crash: Callable[[], None] | None = None
    forget: Callable[[Round], None] = lambda _: None
    close: Callable[[], None] = lambda: None


def _memory() -> Place:
    return Place("")


def _redis(sync: str) -> Place:
    """A server that is killed only where it syncs before it answers.

    One that syncs every second answers before it has written whenever its last sync takes long, so that
    `kill -9` may cost the steps of that time.
    """
    server = Server(appendonly="yes", appendfsync=sync)

    def crash() -> None:
        server.kill()
        server.start()

    def forget(round: Round) -> None:
        """By its hash tag; a million pairs would otherwise stay for a day."""
        client = server.client()
        with client, suppress(redis.RedisError):  # it may be loading
            keys = list(client.scan_iter(f"*{{*{round.name}}}*", count=10_000))
            for start in range(0, len(keys), 1_000):
                client.unlink(*keys[start : start + 1_000])

    url = store_url(f"unix://{server.folder / 'sock'}", timeout="5s")
    return Place(url, crash if sync == "always" else None, forget, server.close)


def _sqlite(synchronous: str) -> Place:
    folder = tempfile.TemporaryDirectory(prefix="bursar-chaos-")
    return Place(
        f"sqlite:///{Path(folder.name, 'ledger.db')}?synchronous={synchronous}&timeout=5s",
        close=folder.cleanup,
    )


STORES: dict[str, Callable[[], Place]] = {
    "memory": _memory,
    "sqlite": lambda: _sqlite("full"),
    "sqlite-normal": lambda: _sqlite("normal"),
    "redis": lambda: _redis("everysec"),
    "redis-always": lambda: _redis("always"),
}


def open_by(url: str, broken: str = "") -> Store:
    """The store at the URL of a place, in this process.

    Args:
        broken: what is wrong with it, a row of `BROKEN`.
    """
    store = open_store(url, None) if url else MemoryStore()
    assert store is not None, url
    if broken:
        BROKEN[broken](store)
    return store
