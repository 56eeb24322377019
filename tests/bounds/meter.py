"""Counts the work of the steps of a store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bursar.store import Store
from bursar.store.redis import RedisStore
from bursar.store.sqlite import SqliteStore

from ..servers import Server


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


def measured(store: Store, server: Server | None, acts: Mapping[str, Callable[[], object]]) -> dict[str, int]:
    """The work of the dearest step of each reading, by its name."""
    found = {}
    for act in acts.values():
        act()  # the first time it may make accounts
    for name, act in acts.items():
        meter, sound = Meter(store, server), {}
        for verb in ("read", "sessions", "roots", "holds", "history", "reserve", "book", "settle"):
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
