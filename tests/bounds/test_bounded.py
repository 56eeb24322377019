"""No step of a store does more work the more sessions there are, whatever is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bursar.store import MemoryStore, Store
from bursar.store.redis import RedisStore, open_redis
from bursar.store.sqlite import SqliteStore, open_sqlite

from ..files import file_url
from ..scale import scaled
from ..servers import Server
from .crowd import fill, readings

FEW = 2_000  # more than fill a page of each account


class Meter:
    """The work of the dearest step of a store, step by step: commands of Redis, instructions of SQLite, calls."""

    def __init__(self, store: Store, server: Server | None = None) -> None:
        self.store = store
        self.server = server
        self.most = 0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Count one."""
        if isinstance(self.store, RedisStore):
            before = self.commands()
            yield
            self.most = max(self.most, self.commands() - before)
            return
        count = 0

        def tick(*_: object) -> int:
            nonlocal count
            count += 1
            return 0

        if isinstance(self.store, SqliteStore):
            connection = self.store._file._connection
            assert connection is not None
            connection.set_progress_handler(tick, 10)
            yield
            connection.set_progress_handler(None, 10)
        else:
            sys.setprofile(tick)
            yield
            sys.setprofile(None)
        self.most = max(self.most, count)

    def commands(self) -> int:
        """How many the server has carried out, those of scripts included."""
        assert self.server is not None
        with self.server.client() as client:
            stats: dict[str, Any] = client.info("commandstats")
        asked = ("info", "client", "hello", "config", "evalsha", "eval")
        return sum(
            int(line["calls"])
            for name, line in stats.items()
            if name.removeprefix("cmdstat_").partition("|")[0] not in asked
        )


def measured(store: Store, server: Server | None) -> dict[str, int]:
    """The work of the dearest step of each reading."""
    found, acts = {}, dict(readings(store))
    for act in acts.values():
        act()  # the first time it may make accounts
    for name, act in acts.items():
        meter, sound = Meter(store, server), {}
        for verb in ("read", "sessions", "holds", "history", "reserve", "book", "settle"):
            sound[verb] = getattr(store, verb)
            setattr(store, verb, counting(meter, sound[verb]))
        act()
        for verb in sound:
            delattr(store, verb)
        found[name] = meter.most
    return found


def counting(meter: Meter, verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb as a step that is counted."""

    def step(*arguments: Any) -> Any:
        with meter.step():
            return verb(*arguments)

    return step


@pytest.mark.parametrize("where", ["memory", "sqlite", "redis"])
def test_no_step_grows_with_the_sessions(where: str) -> None:
    """Reports, trees, children, alerts: with thousands of sessions each step does what it did with some hundreds."""
    server = Server() if where == "redis" else None
    store: Store = MemoryStore()
    if server is not None:
        store = open_redis(server.url(timeout="20s"))
    elif where == "sqlite":
        store = open_sqlite(file_url(synchronous="normal"))
    fill(store, FEW)
    few = measured(store, server)
    fill(store, FEW + scaled(2_000, 100_000), FEW)
    many = measured(store, server)
    assert all(count for name, count in few.items() if name not in ("holds", "spent"))
    grown = {name: (few[name], many[name]) for name in few if many[name] > 1.1 * few[name] + 20}
    assert grown == {}
    if server is not None:
        server.close()
