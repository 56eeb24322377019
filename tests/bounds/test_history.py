"""A history does not grow with the names that calls come with, nor with the days."""

from __future__ import annotations

import random
import sqlite3
import string
from collections.abc import Callable
from contextlib import closing

import pytest

from bursar.store import Amounts, Entry, MemoryStore, Store, Subject, Terms
from bursar.store.redis import RedisStore, open_redis
from bursar.store.sqlite import SqliteStore, open_sqlite
from bursar.testing import ManualClock
from bursar.values.account import child_account, root_account

from ..files import file_url
from ..scale import scaled
from ..servers import shared_url

STORES: dict[str, Callable[[ManualClock], Store]] = {
    "memory": MemoryStore,
    "redis": lambda clock: open_redis(shared_url(timeout="20s"), clock),
    "sqlite": lambda clock: open_sqlite(file_url(synchronous="normal", timeout="20s"), clock),
}
DAY_S = 86_400
ROOT = root_account("default", ())
HOSTILE = string.printable[:95] + "é中\u202e"


def size(store: Store) -> int:
    """How much a store keeps of accounts and days, seen from outside: counters, bytes, fields."""
    if isinstance(store, MemoryStore):
        verbs = store._verbs
        days = verbs.days._days.values()
        counted = sum(
            len(day.sums) + len(day.tally) for ds in days for zones in ds.values() for day in zones.values()
        )
        return counted + sum(len(balance.subjects) for balance in verbs.accounts._balances.values())
    if isinstance(store, SqliteStore):
        with closing(sqlite3.connect(store.place.path)) as other:
            (rows,) = other.execute("SELECT count(*) FROM subjects").fetchone()
            (text,) = other.execute("SELECT sum(length(counters)) FROM days").fetchone()
        return int(rows + text)
    assert isinstance(store, RedisStore)
    (client,) = store._clients._blocking.values()
    keys = client.scan_iter(f"{store.place.prefix}:*", count=10_000)
    return sum(client.hlen(key) for key in keys if ":a:" in key or ":d:" in key)


@pytest.mark.parametrize("where", STORES)
def test_hostile_names_do_not_grow_a_store(where: str) -> None:
    """After a few hundred model and tool names, in one day, however many more come; no nano-dollar is lost."""
    store, dice = STORES[where](ManualClock(1_750_000_000)), random.Random(3)
    path = (ROOT, child_account(ROOT, "alice", ()))

    def book(begin: int, end: int) -> None:
        for number in range(begin, end):
            name = f"{''.join(dice.choices(HOSTILE, k=dice.randrange(1, 190)))}{number}"
            subject = Subject("tool", (), None, name) if number % 2 else Subject("model", (name,), name[:9])
            store.book(Entry(f"b{number}", path, subject, Amounts(1, 0, 1)))

    book(0, 500)
    before, many = size(store), scaled(1_500, 100_000)
    book(500, many)
    assert size(store) <= before * 1.02
    view = store.history("default", ("default", "default/alice"), 1)  # type: ignore[attr-defined]
    assert [days[0].spent.usd for days in view.accounts.values()] == [many, many]
    assert store.audit("default") == ()


@pytest.mark.parametrize("where", STORES)
def test_days_beyond_the_last_do_not_grow_a_store(where: str) -> None:
    """Once it has 400 days, another one takes the place of the first; fewer where the budget keeps fewer."""
    clock = ManualClock(1_750_000_000)
    store = STORES[where](clock)
    path = (ROOT, child_account(ROOT, "alice", ()))
    gpt, terms = Subject("model", ("gpt-4o",), "openai"), Terms(history_days=scaled(30, 400))
    sizes = []
    for number in range(terms.history_days + 20):
        store.book(Entry(f"b{number}", path, gpt, Amounts(10**6, 7, 1), {"input": 7}), terms)
        sizes.append(size(store) if number >= terms.history_days - 1 else 0)
        clock.advance(DAY_S)
    assert max(sizes) == min(sizes[terms.history_days - 1 :])
    view = store.history("default", ("default",), 500)  # type: ignore[attr-defined]
    assert len(view.accounts["default"]) == terms.history_days
    assert store.audit("default") == ()


def test_accounts_beyond_the_most_share_one_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the first has its own; the others together, once a charge; also in a report of the root."""
    from bursar import Budget
    from bursar.store.engine import history
    from bursar.store.redis import script

    monkeypatch.setattr(history, "MOST_HISTORIES", 3)
    source = script.source().replace("local MOST_HISTORIES = 10000", "local MOST_HISTORIES = 3")
    monkeypatch.setattr(script, "source", lambda: source)
    monkeypatch.setattr(script, "sha", lambda: script.digest(source))
    for where, make in STORES.items():
        budget = Budget(name="default", store=make(ManualClock(1_750_000_000)))
        for name in ("a", "b", "c", "d"):
            budget.child(name).child("team").session().track(None, "$1", "search")
        day = budget.history()["days"][-1]
        assert day["spent"] == 4 and day["by_child"] == {"a": 1, "other": 3}, where
        assert budget.child("a").child("team").history()["days"][-1]["spent"] == 1, where
        assert budget.audit() == (), where
