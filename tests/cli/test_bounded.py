"""`top`, `who` and `serve` read in steps that do not grow with the sessions, so they disturb nobody who spends."""

from __future__ import annotations

import pytest

from bursar.store import Store
from bursar.store.redis import open_redis
from bursar.store.sqlite import open_sqlite

from ..bounds.crowd import fill
from ..bounds.looks import looks
from ..bounds.meter import measured
from ..files import file_url
from ..scale import scaled
from ..servers import Server

FEW = 1_500  # more than fill a page of each account


@pytest.mark.parametrize("where", ["sqlite", "redis"])
def test_no_step_of_what_is_left_running_grows_with_the_sessions(where: str) -> None:
    """With thousands of sessions each step does what it did with some hundreds; 100,000 with `--full`."""
    server = Server() if where == "redis" else None
    store: Store = open_sqlite(file_url(synchronous="normal"))
    if server is not None:
        store = open_redis(server.url(timeout="20s"))
    fill(store, FEW)
    few = measured(store, server, dict(looks(store)))
    fill(store, FEW + scaled(1_000, 100_000), FEW)
    many = measured(store, server, dict(looks(store)))
    assert all(few.values())
    assert {name: (few[name], many[name]) for name in few if many[name] > 1.1 * few[name] + 20} == {}
    if server is not None:
        server.close()
