"""What only the memory store can show: interrupts in the middle of a step, and books that were cooked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from bursar import Limit, LimitConflict
from bursar.store.entry import Entry
from bursar.store.memory import MemoryStore
from bursar.store.results import Granted
from bursar.testing import ManualClock
from bursar.values.account import root_account, session_account
from bursar.values.amounts import Amounts
from bursar.values.call import Subject
from bursar.values.policy import Breaker, Terms

ROOT = root_account("default", (Limit("0.000000100/total"), Limit("5 calls/total"), Limit("0.0000001/1h")))
PATH = (ROOT, session_account(ROOT, "s", ()))
GPT = Subject("model", ("gpt-4o",))
TERMS = Terms(
    lease_ms=60_000, soft_ppm=(100_000,), breaker=Breaker(5, 60_000, Limit("0.00000009/1h"), cooldown_ms=None)
)


def entry(id: str, nanos: int) -> Entry:
    """A line of the ledger."""
    return Entry(id, PATH, GPT, Amounts(nanos, 0, 1), {"input": 7}, fingerprint="same")


def interrupted(act: Callable[[], object], line: int) -> bool:
    """Raise KeyboardInterrupt at the n-th line that the store executes; False when there are fewer."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if "/store/" not in frame.f_code.co_filename:
            return None
        # CPython takes no signal between the end of a with block and the release of its lock.
        if event == "line" and frame.f_code.co_name != "step":
            count += 1
            if count == line:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


VERBS: dict[str, Callable[[MemoryStore], object]] = {
    "reserve": lambda store: store.reserve(entry("b", 25), Amounts(25, 0, 1), TERMS),
    "settle": lambda store: store.settle(entry("a", 25), TERMS),
    "doubt": lambda store: store.doubt(entry("a", 60), TERMS),
    "release": lambda store: store.release("a", PATH, {"saved": 1}),
    "book": lambda store: store.book(entry("c", 10), TERMS),
    "reset": lambda store: store.reset(PATH, "a new day"),
    "set_limit": lambda store: store.set_limit(PATH[:1], Limit("0.000000200/total")),
}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_an_interrupt_anywhere_leaves_a_step_done_or_not_done(verb: str) -> None:
    """Ctrl-C at every single line of a step: the books add up, and hold the state before it or after it."""

    def fresh() -> MemoryStore:
        store = MemoryStore(ManualClock(1_750_000_000))
        store.book(entry("paid", 5))
        store.reserve(entry("a", 60), Amounts(60, 0, 1), TERMS)
        return store

    def seen(store: MemoryStore) -> object:
        return {
            key: (view.spent, view.reserved, view.tally, view.limits)
            for key, view in store.read("default", tuple(account.key for account in PATH)).accounts.items()
        }

    before, done = fresh(), fresh()
    VERBS[verb](done)
    expected = [seen(before), seen(done)]
    line, reached = 1, set()
    while True:
        store = fresh()
        if not interrupted(lambda store=store: VERBS[verb](store), line):  # type: ignore[misc]
            break
        state = seen(store)
        assert state in expected, line
        reached.add(expected.index(state))
        assert store.audit("default") == ()
        assert isinstance(store.reserve(entry("z", 1), Amounts(1, 0, 1), TERMS), Granted)
        line += 1
    assert line > 20 and reached == {0, 1}


def test_an_audit_finds_cooked_books() -> None:
    """A balance that nobody's charges add up to is named, with both numbers."""
    store = MemoryStore()
    store.reserve(entry("a", 60), Amounts(60, 0, 1), TERMS)
    store.book(entry("b", 10))
    assert store.audit("default") == ()
    store._verbs.accounts["default"].total.sums = (9, 0, 1, 59, 0, 1)
    spent, reserved, history = store.audit("default")
    assert (spent.account, spent.what, spent.balance.usd, spent.records.usd) == ("default", "spent", 9, 10)
    assert (reserved.what, reserved.balance.usd, reserved.records.usd) == ("reserved", 59, 60)
    assert (history.what, history.balance.usd, history.records.usd) == ("history", 9, 10)


def test_the_books_of_another_tree_are_not_audited_here() -> None:
    """Records of other roots do not disturb an audit."""
    store = MemoryStore()
    other = (root_account("other", ()),)
    store.book(Entry("x", other, GPT, Amounts(5, 0, 1)))
    store.book(entry("b", 10))
    assert store.audit("default") == store.audit("other") == ()


def test_a_declaration_with_less_is_a_conflict() -> None:
    """Whoever leaves out a limit that was declared is told so."""
    store = MemoryStore()
    store.book(entry("a", 1))
    with pytest.raises(LimitConflict, match="5 calls/total"):
        store.book(Entry("b", (root_account("default", ROOT.limits[1:]),), GPT, Amounts(1, 0, 1)))
    assert store.read("default").accounts["default"].spent.usd == 1


def test_what_became_final_twice_is_folded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls in doubt that were settled, soon or late, and calls of an epoch before: clean books when they are forgotten."""
    monkeypatch.setattr("bursar.store.engine.records._KEPT", 300)
    store = MemoryStore()
    for id in ("soon", "late"):
        store.reserve(entry(id, 1), Amounts(1, 0, 1), TERMS)
        store.doubt(entry(id, 1))
    store.settle(entry("soon", 0))
    store.reset(PATH, "a new day")
    for number in range(2_000):
        store.book(Entry(f"n{number}", PATH, GPT, Amounts(1, 0, 0)))
        if number == 400:
            store.settle(entry("late", 3))
    assert len(store._verbs.records._by_id) < 600
    assert store.audit("default") == ()
    accounts = store.read("default", ("default", PATH[1].key)).accounts
    assert (accounts[PATH[1].key].spent.usd, accounts["default"].spent.usd) == (2_000, 2_003)


def test_leases_of_closed_holds_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of open ones still end."""
    monkeypatch.setattr("bursar.store.engine.records._KEPT", 300)
    clock = ManualClock(1_750_000_000)
    store = MemoryStore(clock)
    path = PATH[1:]
    store.reserve(Entry("open", path, GPT, Amounts(7, 0, 1)), Amounts(7, 0, 1), TERMS)
    for number in range(3_000):
        store.reserve(Entry(f"n{number}", path, GPT, Amounts(1, 0, 1)), Amounts(1, 0, 1))
        store.release(f"n{number}", path, {})
    assert len(store._verbs.records._leases) < 1_500
    clock.advance(60)
    (view,) = store.read(path[0].key, (path[0].key,)).accounts.values()
    assert (view.spent.usd, view.reserved.usd) == (7, 0)


def test_a_breaker_remembers_the_calls_of_its_window_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more than so many of them, the latest."""
    monkeypatch.setattr("bursar.store.engine.breaker.MOST_CALLS", 50)
    clock = ManualClock(1_750_000_000)
    store = MemoryStore(clock)
    path = (session_account(ROOT, "s", ()),)

    def remembered() -> list[str]:
        breaker = store._verbs.accounts[path[0].key].breaker
        assert breaker is not None
        return list(breaker.calls)

    terms = Terms(breaker=Breaker(5, 60_000, None, None))
    for number in range(100):
        line = Entry(f"a{number}", path, GPT, Amounts(0, 0, 1), fingerprint=f"call {number}")
        store.reserve(line, Amounts(0, 0, 1), terms)
        if number == 39:
            assert remembered() == [f"call {number}" for number in range(40)]
    assert remembered() == [f"call {number}" for number in range(50, 100)]
    clock.advance(61)
    store.reserve(Entry("b", path, GPT, Amounts(0, 0, 1), fingerprint="call 99"), Amounts(0, 0, 1), terms)
    assert remembered() == ["call 99"]


def test_very_many_kinds_of_calls_on_one_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store keeps for each of them is made anew now and then; open calls settle all the same."""
    monkeypatch.setattr("bursar.store.engine.accounts._CALL_PATHS", 3)
    store = MemoryStore()
    lines = [
        Entry(f"h{number}", PATH, Subject("tool", (), None, f"tool {number}"), Amounts(2, 0, 1))
        for number in range(10)
    ]
    for line in lines:
        assert isinstance(store.reserve(line, line.amounts), Granted)
    for line in lines:
        store.settle(line._replace(amounts=Amounts(1, 0, 1)))
    view = store.read("default").accounts["default"]
    assert (view.spent, view.reserved) == (Amounts(10, 0, 10), Amounts())
    assert len(view.subjects) == 10 and store.audit("default") == ()
