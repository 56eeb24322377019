"""Sessions that nobody uses any more are dropped; what they spent stays in the accounts above them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from bursar import Budget, Tripped
from bursar.store import Amounts, Entry, Store, Subject
from bursar.store.memory import MemoryStore
from bursar.store.redis import RedisStore, open_redis
from bursar.store.sqlite import SqliteStore, open_sqlite
from bursar.testing import ManualClock
from bursar.values.account import session_account

from ..files import file_url
from ..scale import scaled
from ..servers import shared_url

WEEK_S = 7 * 86_400
STORES: dict[str, Callable[[ManualClock], Store]] = {
    "memory": MemoryStore,
    "redis": lambda clock: open_redis(shared_url(timeout="20s"), clock),
    "sqlite": lambda clock: open_sqlite(file_url(synchronous="normal"), clock),
}


@pytest.fixture(params=STORES)
def shop(request: pytest.FixtureRequest) -> tuple[ManualClock, Store, Budget]:
    """A clock, a store that goes by it, and a budget in it."""
    clock = ManualClock(1_750_000_000)
    store = STORES[request.param](clock)
    return (
        clock,
        store,
        Budget("$5", "$100/total", "9 calls/1h", store=store, lease="30d", max_repeated_calls=None),
    )


def sessions(store: Store) -> list[str]:
    """Those that are in the store."""
    return sorted(_below(store, *store.read("default").accounts))


def test_a_session_is_dropped_a_week_after_its_last_reserve(
    shop: tuple[ManualClock, Store, Budget],
) -> None:
    """Not a moment before; totals by model and by tenant, and the audit, are as they were."""
    clock, store, budget = shop
    alice = budget.child("alice")
    alice.session(id="s").reserve("gpt-4o", input_tokens=100, max_output_tokens=10).settle(cost="$0.50")
    before = budget.report(), budget.summary(), budget.tree(), alice.report()["breakdown"]
    clock.advance(WEEK_S - 1)
    assert sessions(store) == ["default/alice/@s"]
    clock.advance(1)
    assert sessions(store) == []
    after = budget.report(), budget.summary(), budget.tree(), alice.report()["breakdown"]
    for name in ("total_spent", "breakdown", "remaining", "refusals"):
        assert after[0][name] == before[0][name]
    assert after[1:] == before[1:] and [child.name for child in budget.children()] == ["alice"]
    assert budget.audit() == ()


def test_the_id_of_a_dropped_session_starts_anew(shop: tuple[ManualClock, Store, Budget]) -> None:
    """With nothing spent; a late settle of the old one is booked above it, and not in the new one."""
    clock, store, budget = shop
    session = budget.session(id="s")
    session.reserve(cost="$4").settle(cost="$4")
    clock.advance(WEEK_S - 3600)
    old = budget.session(id="s").reserve(cost="$1")
    old.settle_unknown()
    clock.advance(WEEK_S)
    assert sessions(store) == []
    new = session.reserve(cost="$5")
    assert (float(session.spent), float(session.reserved)) == (0, 5)
    new.settle(cost="$3")
    assert float(session.spent) == 3 and float(budget.spent) == 8
    assert budget.audit() == ()


def test_what_is_in_use_is_kept(shop: tuple[ManualClock, Store, Budget]) -> None:
    """By a reserve within the week, by an open hold however long, by the kill switch, and by a session below."""
    clock, store, budget = shop
    used, held, parent, stopped = (budget.session(id=id) for id in ("used", "held", "parent", "stopped"))
    for session in (used, held, parent, stopped):
        session.reserve(cost="$0.10").settle(cost="$0.10")
    hold = held.reserve(cost="$0.50")
    stopped.trip("enough")
    child = parent.child_session(name="child")
    for _ in range(4):
        clock.advance(WEEK_S / 2)
        hold.extend(WEEK_S)
        for session in (used, child):
            session.reserve(cost="$0.01").settle(cost="$0.01")
    names = [
        "default/@held",
        "default/@parent",
        "default/@parent/@child",
        "default/@stopped",
        "default/@used",
    ]
    assert sessions(store) == names
    with pytest.raises(Tripped):
        stopped.reserve(cost="$0.10")
    hold.settle(cost="$0.20")
    stopped.untrip("go on")
    for _ in range(3):
        clock.advance(WEEK_S + 1)
        budget.audit()
    assert sessions(store) == [] and budget.audit() == ()
    assert float(budget.spent) == pytest.approx(0.4 + 0.2 + 8 * 0.01)


def test_many_sessions_do_not_fill_a_store(shop: tuple[ManualClock, Store, Budget]) -> None:
    """So many in a month: what is there is what one week has, and every cent is in the total.

    Some hundreds are enough to see it grow or not; with `--full` it is thousands.
    """
    clock, store, budget = shop
    many = scaled(500, 2_000 if isinstance(store, SqliteStore) else 10_000)
    most, path, subject = 0, budget._path, Subject("model", ("gpt-4o",))
    budget.drop_limit("9 calls/1h")
    for number in range(many):
        account = session_account(path[0], f"s{number}", ())
        store.book(Entry(f"b{number}", (*path, account), subject, Amounts(1_000_000, 1, 1)))
        clock.advance(30 * 86_400 / many)
        if number % (many // 20) == 0:
            most = max(most, _accounts(store))
    assert 0.2 * many < most < 0.24 * many and float(budget.spent) == many / 1_000
    clock.advance(WEEK_S + 86_400)
    for _ in range(300):  # a few go with each step
        assert float(budget.spent) == many / 1_000
    assert _accounts(store) == 1 and budget.audit() == () and sessions(store) == []
    if isinstance(store, RedisStore):
        (client,) = store._clients._blocking.values()
        keys = list(client.scan_iter(f"{store.place.prefix}:*", count=1000))
        days = [key for key in keys if ":d:default:" in key]
        assert len(days) <= 31 and len(keys) - len(days) <= 9


def _accounts(store: Store) -> int:
    if isinstance(store, MemoryStore):
        return len(store._verbs.accounts._balances)
    if isinstance(store, SqliteStore):
        with closing(sqlite3.connect(store.place.path)) as other:
            return int(other.execute("SELECT count(*) FROM accounts").fetchone()[0])
    assert isinstance(store, RedisStore)
    (client,) = store._clients._blocking.values()
    return int(client.hlen(f"{store.place.prefix}:{{default}}:accounts"))


def _below(store: Store, *keys: str) -> list[str]:
    found = []
    for key in keys:
        below = list(store.sessions(key).accounts)
        found += [*below, *_below(store, *below)]
    return found
