"""No step of a store does more work the more sessions there are, whatever is read."""

from __future__ import annotations

import pytest

from bursar.store import MemoryStore, Store
from bursar.store.redis import open_redis
from bursar.store.sqlite import open_sqlite

from ..files import file_url
from ..scale import scaled
from ..servers import Server
from .crowd import fill, readings
from .meter import Meter, measured

FEW = 2_000  # more than fill a page of each account


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
    few = measured(store, server, dict(readings(store)))
    fill(store, FEW + scaled(2_000, 100_000), FEW)
    many = measured(store, server, dict(readings(store)))
    assert all(count for name, count in few.items() if name not in ("holds", "spent"))
    grown = {name: (few[name], many[name]) for name in few if many[name] > 1.1 * few[name] + 20}
    assert grown == {}
    if server is not None:
        server.close()


def test_a_step_of_sqlite_reads_no_more_sessions_than_it_lists() -> None:
    """Who asks for many gets them in several steps, each of which does what it does for one page."""
    store = open_sqlite(file_url(synchronous="normal"))
    fill(store, FEW)
    meters = {}
    for limit in (50, 200):
        meters[limit] = Meter(store)
        with meters[limit].step():
            assert len(store.sessions("default", "", limit).accounts) == 50
    assert 0 < meters[200].most < 1.1 * meters[50].most
