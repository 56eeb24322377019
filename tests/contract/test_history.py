"""The days of a budget add up to what somebody outside has counted, on every store."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bursar import Budget, BudgetExceeded, StoreError
from bursar.ledger.hold import Hold
from bursar.store import MemoryStore, Store
from bursar.store.redis import RedisStore, open_redis
from bursar.store.sqlite import open_sqlite
from bursar.testing import ManualClock

from ..files import file_url
from ..scale import scaled
from ..servers import shared_url
from .toy_store import ToyStore

STORES: dict[str, Callable[[ManualClock], Store]] = {
    "memory": MemoryStore,
    "redis": lambda clock: open_redis(shared_url(timeout="20s"), clock),
    "sqlite": lambda clock: open_sqlite(file_url(synchronous="normal", timeout="20s"), clock),
    "toy": ToyStore,
}
START_S = datetime(2026, 3, 20, tzinfo=timezone.utc).timestamp()  # clocks are moved in Oslo on the 29th
DAYS, DAY_S, HOUR_S = 30, 86_400, 3_600
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5")


class Oracle:
    """Counts by day in UTC and in one time zone; knows no store."""

    def __init__(self, tz: str) -> None:
        self.zones = {"UTC": timezone.utc, tz: ZoneInfo(tz)}
        self.nanos: Counter[tuple[str, str, str]] = Counter()  # by zone, account, date
        self.names: Counter[tuple[str, str, str]] = Counter()  # of the root: by zone, date, name
        self.calls: Counter[tuple[str, str]] = Counter()

    def count(self, child: str, at_s: float, nanos: int, name: str, *, calls: int = 0) -> None:
        """Something was booked, first at that time; in a child and in the root."""
        for zone, tz in self.zones.items():
            date = datetime.fromtimestamp(at_s, tz).date().isoformat()
            self.nanos[zone, child, date] += nanos
            self.nanos[zone, "root", date] += nanos
            self.names[zone, date, name] += nanos
            self.calls[zone, date] += calls


def as_nanos(usd: float) -> int:
    """A number of a report; small enough to be exact."""
    return round(usd * 10**9)


class Life:
    """A month of a budget with two children: calls, late settles, corrections and resets."""

    def __init__(self, where: str, tz: str, dice: random.Random) -> None:
        self.clock = ManualClock(START_S)
        store = STORES[where](self.clock)
        self.budget = Budget(
            name="default", store=store, tz=tz, lease="2d", max_repeated_calls=None, soft_limit=None
        )
        self.children = {name: self.budget.child(name) for name in ("alice", "bob")}
        self.dice, self.oracle, self.tz = dice, Oracle(tz), tz
        self.open: list[tuple[str, Hold, float, str]] = []  # until when they may be held
        self.doubted: list[tuple[str, Hold, float, str, int]] = []

    def act(self) -> None:
        """One of all that may happen."""
        name = self.dice.choice(("alice", "bob"))
        child, nanos, now = self.children[name], self.dice.randrange(1, 10**9), self.clock.now()
        model = self.dice.choice(MODELS)
        act = self.dice.choice(
            ("settle", "hold", "hold", "late", "late", "doubt", "truth", "tool", "correct", "reset")
        )
        usd = f"{nanos / 10**9:.9f}"
        if act == "settle":
            child.session().reserve(model, cost="$1").settle(cost=usd)
            self.oracle.count(name, now, nanos, model, calls=1)
        elif act == "hold":
            hold = child.session().reserve(model, cost="$1").keep()
            self.open.append((name, hold, now + 2 * DAY_S, model))
        elif act == "late" and self.open:
            name, hold, until, model = self.open.pop(self.dice.randrange(len(self.open)))
            if now - until < 20 * HOUR_S:  # its record is kept
                hold.settle(cost=usd)
            else:
                nanos = 10**9  # the worst case, which was booked at the end of its lease
            self.oracle.count(name, min(now, until), nanos, model, calls=1)
        elif act == "doubt" and self.open:
            name, hold, until, model = self.open.pop()
            if now < until:
                hold.settle_unknown()
            self.doubted.append((name, hold, min(now, until), model, 10**9))
            self.oracle.count(name, min(now, until), 10**9, model, calls=1)
        elif act == "truth" and self.doubted:
            name, hold, booked_s, model, was = self.doubted.pop(0)
            if now - booked_s < 20 * HOUR_S:  # its record is kept
                hold.settle(cost=usd)
                self.oracle.count(name, booked_s, nanos - was, model)
        elif act == "tool":
            child.session().track(None, usd, "search")
            self.oracle.count(name, now, nanos, "search")
        elif act == "correct":
            child.correct(f"-{usd}", "their bill says so")
            self.oracle.count(name, now, -nanos, "")
        elif act == "reset":
            self.dice.choice((child, self.budget)).reset("a new week")

    def end(self) -> None:
        """The leases of what is still held are over."""
        self.clock.advance(2 * DAY_S)
        for name, _, until, model in self.open:
            self.oracle.count(name, until, 10**9, model, calls=1)
        for _ in range(20):  # a few with each step
            self.budget.audit()


def seen(budget: Budget, tz: str) -> Counter[tuple[str, str, str]]:
    """What is read, as the oracle has it."""
    found: Counter[tuple[str, str, str]] = Counter()
    for day in budget.history(days=60, tz=tz)["days"]:
        found[tz, "root", day["day"]] += as_nanos(day["spent"])
        for name, usd in day["by_child"].items():
            found[tz, name, day["day"]] += as_nanos(usd)
    return found


@pytest.mark.parametrize("tz", ["Europe/Oslo", "America/St_Johns"])
@pytest.mark.parametrize("where", STORES)
def test_the_days_of_a_month_are_those_that_were_counted_outside(where: str, tz: str) -> None:
    """To the nano-dollar, in UTC and in the zone of the budget: of the root, its children, models and tools."""
    life = Life(where, tz, random.Random(17))
    acts = scaled(300, 3_000)
    for _ in range(acts):
        life.act()
        life.clock.advance(DAYS * DAY_S / acts)
    life.end()
    for zone in ("UTC", tz):
        expected = Counter({key: nanos for key, nanos in life.oracle.nanos.items() if key[0] == zone})
        assert seen(life.budget, zone) - expected == expected - seen(life.budget, zone) == Counter()
        for day in life.budget.history(days=60, tz=zone)["days"]:
            date = day["day"]
            for name, usd in {**day["by_model"], **day["by_tool"]}.items():
                assert as_nanos(usd) == life.oracle.names[zone, date, name], (date, name)
            assert day["calls"] == life.oracle.calls[zone, date]
    assert life.budget.audit() == ()


@pytest.mark.parametrize("tz", ["Europe/Oslo", "America/St_Johns"])
@pytest.mark.parametrize("where", STORES)
def test_twenty_dollars_a_day_on_either_side_of_midnight(where: str, tz: str) -> None:
    """Local days show 20 and 20, UTC days 40 on one; the limit agrees."""
    midnight = datetime(2026, 3, 29, tzinfo=ZoneInfo(tz)).timestamp()
    clock = ManualClock(midnight - 60)
    budget = Budget("$20/day", name="default", store=STORES[where](clock), tz=tz)
    for _ in range(2):
        session = budget.session()
        session.reserve(cost="$20").settle(cost="$20")
        with pytest.raises(BudgetExceeded):
            session.reserve(cost="$0.01")
        clock.advance(120)
    local = {day["day"]: day["spent"] for day in budget.history(days=3)["days"]}
    utc = {day["day"]: day["spent"] for day in budget.history(days=3, tz="UTC")["days"]}
    assert (local["2026-03-28"], local["2026-03-29"]) == (20, 20)
    assert [spent for spent in utc.values() if spent] == [40]


def test_a_store_without_a_history_says_so() -> None:
    """And days or zones that cannot be had are a ValueError that names them."""

    class Bare(MemoryStore):
        history = None  # type: ignore[assignment]

    with pytest.raises(StoreError, match="keeps no history"):
        Budget("$1", store=Bare()).history()
    budget = Budget("$1", tz="Europe/Oslo")
    wrong: tuple[dict[str, Any], ...] = ({"days": 0}, {"days": 401}, {"days": True}, {"tz": "Asia/Tokyo"})
    for given in wrong:
        with pytest.raises(ValueError, match=next(iter(given))):
            budget.history(**given)
    assert budget.history(days=1)["days"][0]["spent"] == 0


def test_a_history_of_many_children_is_read_in_several_steps() -> None:
    """A few accounts with each; all are told, and what those beyond the most spent as other."""
    clock = ManualClock(START_S)
    budget = Budget(name="default", store=STORES["redis"](clock))
    for number in range(12):
        budget.child(f"c{number}").session().track(None, "$1", "search")
    day = budget.history(days=100)["days"][-1]
    assert day["by_child"] == {f"c{number}": 1.0 for number in range(12)} and day["spent"] == 12


@pytest.mark.parametrize("where", ["redis", "sqlite"])
def test_an_audit_finds_days_that_do_not_add_up(where: str) -> None:
    """Where somebody has changed one, or taken it away; an operator who accepts the loss ends that on Redis."""
    store = STORES[where](ManualClock(START_S))
    budget = Budget(name="default", store=store)
    for _ in range(2):
        budget.session().track(None, "$1", "search")
    assert budget.audit() == ()
    if isinstance(store, RedisStore):
        (client,) = store._clients._blocking.values()
        client.hincrby(
            f"{store.place.prefix}:{{default}}:d:default:{int(START_S) // DAY_S}", "tool|search|usd", 5
        )
    else:
        with closing(sqlite3.connect(store.place.path)) as shell, shell:  # type: ignore[attr-defined]
            shell.execute("UPDATE days SET counters = replace(counters, '2000000000', '2000000005')")
    (finding,) = budget.audit()
    found = finding.what, finding.balance.usd, finding.records.usd
    assert found == ("history", 2 * 10**9, 2 * 10**9 + 5)
    if isinstance(store, RedisStore):
        budget.acknowledge_rollback("seen")
        assert budget.audit() == () and budget.history()["days"][-1]["spent"] == 2.000000005
