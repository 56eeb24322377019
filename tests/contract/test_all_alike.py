"""What readers are shown is the same, wherever the balances are."""

from __future__ import annotations

import pytest

from bursar import Budget, HoldClosed, Limit, StoreError
from bursar.store import Amounts, Entry, StalePeriod, Store, Subject
from bursar.store.memory import MemoryStore
from bursar.store.redis import decode, open_redis
from bursar.store.urls import open_store
from bursar.testing import ManualClock
from bursar.values.account import child_account, root_account, session_account
from bursar.values.window import calendar

from ..files import file_url
from ..servers import shared_url

GPT, MINI = Subject("model", ("gpt-4o",), "openai"), Subject("model", ("gpt-4o-mini",), "openai")
TOOL = Subject("tool", (), None, "search *")


def life(store: Store, clock: ManualClock) -> list[object]:
    """Something of everything; the views after each step."""
    root = root_account(
        "default",
        (
            Limit("$1/total", model="gpt-4o"),
            Limit("9 calls/total"),
            Limit("$1"),
            Limit("$1/day"),
            Limit("$2/1h"),
        ),
    )
    team = child_account(root, "a team", (), (Limit("$3/total"), Limit("5 calls", tool="*")))
    session = session_account(team, "s", (Limit("$0.5"),))
    inner = session_account(session, "i", ())
    path = (root, team, session, inner)
    seen: list[object] = []

    def act(verb: str, *arguments: object) -> None:
        answer = getattr(store, verb)(*arguments)
        if isinstance(answer, StalePeriod):
            entry = arguments[0]
            assert isinstance(entry, Entry)
            periods = {tz: calendar(answer.now_ms, tz) for tz in answer.zones}
            answer = getattr(store, verb)(entry._replace(periods=periods), *arguments[1:])
        seen.extend((answer, store.read("default"), store.read("default", (session.key, "nobody"))))
        seen.append(store.audit("default"))

    for number, subject in enumerate((GPT, MINI, TOOL)):
        amounts = Amounts(10**7 * (number + 1), 100, 1)
        act("reserve", Entry(f"h{number}", path, subject, amounts), amounts)
    act("settle", Entry("h0", path, GPT, Amounts(5, 7, 1), {"input": 7}))
    act("doubt", Entry("h1", path, MINI, Amounts(50, 70, 1), {"estimated": 1}))
    act("trip", path[:2], "a person said so: \u00e9\n|;")
    act("reserve", Entry("h3", path, GPT, Amounts(1, 1, 1)), Amounts(1, 1, 1))
    act("untrip", path[:2], "again")
    clock.advance(100)
    act("settle", Entry("h1", path, MINI, Amounts(40, 70, 1)))
    act("set_limit", path[:1], Limit("$7/1h"))
    act("drop_limit", path[:1], Limit("9 calls/total"))
    act("reset", path[:2], "a new week")
    act("release", "h2", path, {"saved": 3})
    act("book", Entry("b", path[:2], TOOL, Amounts(9, 0, 1)))
    clock.advance(90_000)
    act("book", Entry("c", path[:1], Subject("correction"), Amounts(-5, 0, 0)))
    return seen


SHARED = {"redis": shared_url, "sqlite": file_url}


@pytest.mark.parametrize("where", SHARED)
def test_a_life_is_told_alike(where: str) -> None:
    """Answers, views, limits, subjects, counters: equal after every step of one life."""
    told = []
    for make in (MemoryStore, lambda clock: open_store(SHARED[where](), clock)):
        clock = ManualClock(1_750_000_000)
        told.append(life(make(clock), clock))
    for memory, shared in zip(*told, strict=True):
        assert memory == shared


@pytest.mark.parametrize("where", SHARED)
def test_a_budget_reads_alike(where: str) -> None:
    """Summary, tree and children of the public API, from another object on the same URL."""
    url = SHARED[where]()
    texts = []
    for stores in ({}, {"store": url}):
        budget = Budget("$5/total", "20 calls/1h", name="default", **stores)
        with budget.child("alice", "$2/total").session("$1", id="one") as session:
            session.record("gpt-4o", 100, 50)
        reader = Budget("$5/total", "20 calls/1h", name="default", **stores) if stores else budget
        texts.append(
            (reader.spent, reader.remaining, reader.tokens_spent, [c.spent for c in reader.children()])
        )
    assert texts[0] == texts[1]


def test_a_hold_without_a_path_is_not_open() -> None:
    """Nor is an answer of a script of another version understood."""
    with pytest.raises(HoldClosed):
        open_redis(shared_url()).extend("a", (), 1)
    assert isinstance(decode.fail(["unfit", "x"]), StoreError)
    with pytest.raises(StoreError):
        decode.alert_page(["unfit", "x"], 0)


def test_finished_records_fold_after_a_day() -> None:
    """Their keys go, what they booked stays, and a settle that comes later still is a charge of its own."""
    clock = ManualClock(1_750_000_000)
    store = open_redis(shared_url(), clock)
    path = (root_account("default", ()),)
    for number in range(120):
        store.reserve(Entry(f"h{number}", path, GPT, Amounts(3, 0, 1)), Amounts(3, 0, 1))
        store.settle(Entry(f"h{number}", path, GPT, Amounts(2, 0, 1)))
    clock.advance(86_401)
    for _ in range(2):
        assert store.audit("default") == ()
    (client,) = store._clients._blocking.values()
    assert not [key for key in client.scan_iter(f"{store.place.prefix}:*") if ":r:" in key]
    assert store.read("default").accounts["default"].spent == Amounts(240, 0, 120)
    again = store.settle(Entry("h1", path, GPT, Amounts(2, 0, 1)))
    assert not isinstance(again, StalePeriod) and again.overrun_usd == 2
