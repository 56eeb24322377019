"""Tenants: budgets below a budget, and what is told of them."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest

from bursar import Budget, BudgetExceeded, LimitConflict
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock


def company() -> Budget:
    """Two tenants, one of them with a user, and sessions of each."""
    budget = Budget("$2", "$10/total", name="company", child_limits=["$3/total"])
    alice, bob = budget.child("alice", "$4/total"), budget.child("bob")
    alice.session(id="a1").record("gpt-4o", 800, 200)  # $0.004
    alice.child("laptop").session().track("done", "$1")
    bob.session().reserve(cost="$0.50").keep()
    budget.session().track("done", "$2", "search")
    return budget


def test_children_are_budgets_that_go_on() -> None:
    """As the store has them: their sessions spend from the same accounts."""
    budget = company()
    children = budget.children()
    assert [child.name for child in children] == ["alice", "bob"]
    assert all(isinstance(child, Budget) for child in children)
    alice = children[0]
    assert (alice.spent, alice.remaining) == (Decimal("1.004"), Decimal("2.996"))
    assert [child.name for child in alice.children()] == ["laptop"]
    alice.session(id="a1").track("done", "$0.50")
    assert (alice.spent, budget.spent) == (Decimal("1.504"), Decimal("3.504"))
    alice.session().track("done", "$2")
    with pytest.raises(BudgetExceeded, match="4/total"):
        alice.session().reserve(cost="$0.50")
    assert asyncio.run(budget.achildren())[1].reserved == Decimal("0.5")
    assert Budget().children() == []


def test_the_summary_has_a_line_for_each() -> None:
    """This budget and those right below it, in dollars, tokens and calls; sessions are not budgets."""
    expected = {
        "company": {"spent": 3.004, "reserved": 0.5, "remaining": 6.496, "tokens": 1_000, "calls": 1},
        "alice": {"spent": 1.004, "reserved": 0.0, "remaining": 2.996, "tokens": 1_000, "calls": 1},
        "bob": {"spent": 0.0, "reserved": 0.5, "remaining": 2.5, "tokens": 0, "calls": 0},
    }
    assert company().summary() == expected == asyncio.run(company().asummary())
    assert json.loads(json.dumps(expected)) == expected
    alice = company().children()[0]
    assert alice.summary().keys() == {"alice", "laptop"}
    assert Budget("$5", name="new").summary() == {
        "new": {"spent": 0.0, "reserved": 0.0, "remaining": None, "tokens": 0, "calls": 0}
    }


def test_the_tree_has_them_nested() -> None:
    """The same figures, each under ``children`` of the one above; what remains is the least on the path."""
    tree = company().tree()
    assert tree == asyncio.run(company().atree())
    assert tree.keys() == {"company"}
    alice, bob = tree["company"]["children"]["alice"], tree["company"]["children"]["bob"]
    assert tree["company"]["children"].keys() == {"alice", "bob"}
    assert bob == {**company().summary()["bob"], "children": {}}
    assert alice["children"] == {
        "laptop": {"spent": 1.0, "reserved": 0.0, "remaining": 2.0, "tokens": 0, "calls": 0, "children": {}}
    }
    flat = {name: figure for name, figure in alice.items() if name != "children"}
    assert flat == company().summary()["alice"]


def test_what_remains_of_a_child_is_not_more_than_above_it() -> None:
    """In the summary and in the tree, at every depth."""
    top = Budget("$1/total", name="top")
    middle = top.child("middle", "$5/total")
    middle.child("low").session().track("done", "$0.25")
    assert {name: figures["remaining"] for name, figures in top.summary().items()} == {
        "top": 0.75,
        "middle": 0.75,
    }
    low = top.tree()["top"]["children"]["middle"]["children"]["low"]
    assert low["remaining"] == 0.75 == middle.children()[0].summary()["low"]["remaining"]


def test_a_child_without_limits_of_its_own_gets_those_of_children() -> None:
    """First seen without any; one that declares some has those alone, and all have those above."""
    budget = Budget("$9/total", child_limits=("$1/total", "$0.40", "2 calls/total"))
    anybody, alice = budget.child("anybody"), budget.child("alice", "$3/total")
    with pytest.raises(BudgetExceeded, match="0.40/session"):
        anybody.session().reserve(cost="$0.41")
    for _ in range(2):
        anybody.session().reserve(cost="$0.40").settle(cost="$0.40")
    with pytest.raises(BudgetExceeded, match="1/total"):
        anybody.session().reserve(cost="$0.21")
    alice.session().reserve(cost="$3").settle(cost="$3")
    with pytest.raises(BudgetExceeded, match=r"\$3/total"):
        alice.session().reserve(cost="$0.01")
    assert (anybody.remaining, budget.session().remaining) == (Decimal("0.2"), Decimal("5.2"))
    with pytest.raises(BudgetExceeded, match="0.40/session"):
        anybody.child("device").session().reserve(cost="$0.41")


def test_what_a_child_was_first_seen_with_stays() -> None:
    """Whoever declares something else later is told so; the same, or nothing, is fine."""
    store = MemoryStore()

    def child(child_limits: tuple[str, ...], *own: str) -> Budget:
        return Budget(store=store, child_limits=child_limits).child("alice", *own)

    child(("$1/total",)).session().track("done", "$0.50")
    child(("$7/total",)).session().track("done", "$0.25")
    assert child(()).remaining == Decimal("0.25")
    with pytest.raises(LimitConflict):
        child((), "$2/total").session().reserve(cost="$0.01")
    child((), "$1/total").session().reserve(cost="$0.25")


def test_child_limits_may_be_windows() -> None:
    """In the time zone of the budget, each child its own."""
    clock = ManualClock(1_767_223_800)  # 2025-12-31T23:30:00Z: half past midnight in Oslo
    budget = Budget(child_limits=("$1/day",), tz="Europe/Oslo", clock=clock)
    alice, bob = budget.child("alice"), budget.child("bob")
    alice.session().track("done", 1)
    bob.session().track("done", "$0.50")
    assert (alice.remaining, bob.remaining) == (0, Decimal("0.5"))
    (limit,) = alice.report()["limits"]
    assert (limit["limit"], limit["resets_at"]) == ("$1/day", "2026-01-02T00:00:00+01:00")
    clock.advance(24 * 3_600)
    assert alice.remaining == 1
    alice.session().reserve(cost=1)


def test_a_tenant_is_stopped_alone() -> None:
    """Trip and untrip reach a child and its sessions, not its neighbours."""
    budget = Budget("$5")
    alice, bob = budget.child("alice"), budget.child("bob")
    alice.trip("abuse")
    with pytest.raises(BudgetExceeded, match="default/alice"):
        alice.child("laptop").session().reserve(cost=1)
    bob.session().reserve(cost=1)
    asyncio.run(alice.auntrip("sorry"))
    alice.session().reserve(cost=1)


def test_a_report_has_the_newest_sessions_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of a budget, and of what is nested in a session; with the number of all, right below each."""
    monkeypatch.setattr("bursar.ledger.reading.MOST_SESSIONS", 7)
    budget = Budget("$5", name="shop")
    for number in range(9):
        budget.session(id=f"s{number}").track(None, "$0.01", "search")
    report = budget.report()
    assert report["sessions"] == 9
    assert [child["session_id"] for child in report["children"]] == [f"s{number}" for number in range(2, 9)]
    outer = budget.session(id="outer")
    for number in range(9):
        outer.child_session(name=f"i{number}").child_session(name="most").track(None, "$0.01", "search")
    report = outer.report()
    assert report["sessions"] == 9 and 0 < len(report["children"]) < 7


def test_an_alert_about_a_budget_that_is_charged_itself_has_its_report() -> None:
    """A correction is booked in no session; what is told of it reads the path alone."""
    told: list[dict[str, object]] = []
    budget = Budget("$5/total", on_soft_limit=told.append, alerts="inline")
    budget.correct("$4.9", "the bill said so")
    assert told[0]["total_spent"] == 4.9
