"""A service that opens a session for each request keeps those of a day, and every nano-dollar of the others."""

from __future__ import annotations

import random
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import closing

import pytest

from bursar import Budget
from bursar.store import MemoryStore, Store
from bursar.store.redis import RedisStore, open_redis
from bursar.store.sqlite import SqliteStore, open_sqlite
from bursar.testing import ManualClock

from ..files import file_url
from ..scale import scaled
from ..servers import shared_url

DAYS, TENANTS = 10, 3
STORES: dict[str, Callable[[ManualClock], Store]] = {
    "memory": MemoryStore,
    "redis": lambda clock: open_redis(shared_url(timeout="20s"), clock),
    "sqlite": lambda clock: open_sqlite(file_url(synchronous="normal", timeout="20s"), clock),
}


def accounts_in(store: Store) -> int:
    """How many the store keeps, seen from outside."""
    if isinstance(store, MemoryStore):
        return len(store._verbs.accounts._balances)
    if isinstance(store, SqliteStore):
        with closing(sqlite3.connect(store.place.path)) as other:
            return int(other.execute("SELECT count(*) FROM accounts").fetchone()[0])
    assert isinstance(store, RedisStore)
    (client,) = store._clients._blocking.values()
    return int(client.hlen(f"{store.place.prefix}:{{default}}:accounts"))


@pytest.mark.parametrize("where", STORES)
def test_request_sessions_are_folded_and_totals_are_exact(where: str) -> None:
    """Over ten days: never more accounts than the last 25 hours made; what was spent is what was counted outside."""
    clock = ManualClock(1_750_000_000)
    store = STORES[where](clock)
    budget = Budget("$5", name="default", store=store, max_repeated_calls=None, clock=None)
    budget._ledger.clock = clock
    tenants = [budget.child(f"tenant {number}") for number in range(TENANTS)]
    dice, made, spent = random.Random(7), deque[tuple[float, int]](), [0] * TENANTS
    requests = scaled(20_000, 1_000_000)
    for number in range(requests):
        tenant, nanos = number % TENANTS, dice.randrange(1, 5_000_000)
        session = tenants[tenant].session()
        session.track(None, f"{nanos / 10**9:.9f}", "search")
        inner = session.child_session() if number % 10 == 0 else None
        if inner is not None:
            inner.track(None, "0.000000001", "search")
        spent[tenant] += nanos + (inner is not None)
        made.append((clock.now(), 1 if inner is None else 2))
        clock.advance(DAYS * 86_400 / requests)
        while made[0][0] < clock.now() - 25 * 3_600:
            made.popleft()
        if number % 500 == 499:
            assert accounts_in(store) <= 1 + TENANTS + sum(count for _, count in made)
    assert [int(tenant.spent * 10**9) for tenant in tenants] == spent
    assert int(budget.spent * 10**9) == sum(spent)
    assert len(budget.report()["children"]) == TENANTS and budget.audit() == ()


@pytest.mark.parametrize("where", STORES)
def test_a_session_whose_handle_is_there_is_kept(where: str) -> None:
    """However long it is idle within a week: its limit goes on; one with an id is kept as well."""
    clock = ManualClock(1_750_000_000)
    store = STORES[where](clock)
    budget = Budget("$5", name="default", store=store)
    budget._ledger.clock = clock
    idle, named = budget.session(), budget.session(id="a user")
    for session in (idle, named):
        session.track(None, "$3", "search")
    del named
    for _ in range(5):
        clock.advance(86_400)
        for _ in range(100):
            budget.session().track(None, "$0.001", "search")
    assert float(idle.spent) == 3 and float(budget.session(id="a user").spent) == 3
    assert budget.doctor()["sessions"] < 2 + 300
