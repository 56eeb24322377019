"""What only the memory store can show: interrupts in the middle of a step, and books that were cooked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from bursar import Limit, LimitConflict, MemoryStore
from bursar.account import root_account, session_account
from bursar.amounts import Amounts
from bursar.call import Subject
from bursar.policy import Breaker, Terms
from bursar.store.base import Entry, Granted
from bursar.testing import ManualClock

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
            for key, view in store.read("default").accounts.items()
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
    store._accounts["default"].total.sums = (9, 0, 1, 59, 0, 1)
    spent, reserved = store.audit("default")
    assert (spent.account, spent.what, spent.balance.usd, spent.records.usd) == ("default", "spent", 9, 10)
    assert (reserved.what, reserved.balance.usd, reserved.records.usd) == ("reserved", 59, 60)


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


def test_a_doubt_that_was_settled_is_folded_once() -> None:
    """A call that became final twice, and calls of an epoch before, leave clean books when they are forgotten."""
    store = MemoryStore()
    for number in range(3):
        store.reserve(entry(f"d{number}", 1), Amounts(1, 0, 1), TERMS)
        store.doubt(entry(f"d{number}", 1))
        store.settle(entry(f"d{number}", 0))
    store.reset(PATH, "a new day")
    for number in range(10_100):
        store.book(Entry(f"n{number}", PATH, GPT, Amounts(1, 0, 0)))
    assert store.audit("default") == ()
    accounts = store.read("default").accounts
    assert accounts[PATH[1].key].spent.usd == 10_100 == accounts["default"].spent.usd
