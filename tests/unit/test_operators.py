"""What operators do to a running budget: corrections, resets, limits that change, audits."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

import pytest

from bursar import Alert, Budget, BudgetExceeded, InvalidAmount, Limit, LimitConflict
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock


@pytest.mark.parametrize(
    ("amount", "spent"),
    [
        ("$0.20", "1.2"),
        ("-$0.20", "0.8"),
        ("-0.2", "0.8"),
        (-0.2, "0.8"),
        (Decimal("-1.5"), "-0.5"),
        (-1, "0"),
        (0, "1"),
    ],
)
def test_a_correction_books_the_difference(amount: object, spent: str) -> None:
    """Up or down, in this account and above; it is no call, and the books stay clean."""
    company = Budget("$5/total", name="company")
    alice = company.child("alice")
    alice.session().track("done", 1, "search")
    charge = alice.correct(amount, "the invoice says so")  # type: ignore[arg-type]
    assert (alice.spent, company.spent) == (Decimal(spent), Decimal(spent))
    assert charge.cost == Decimal(spent) - 1 and charge.call.kind == "correction"
    assert company.remaining == 5 - Decimal(spent)
    assert (company.calls, company.report()["breakdown"]["tools"]["calls"]) == (0, 1)
    assert company.audit() == () == asyncio.run(company.aaudit())


@pytest.mark.parametrize(
    "amount", ["--1", "-", "", "a bit", None, True, float("nan"), float("-inf"), "-$4,500,001", b"-1"]
)
def test_a_correction_by_no_amount_is_refused(amount: object) -> None:
    """And books nothing; the twin does."""
    budget = Budget()
    with pytest.raises(InvalidAmount):
        budget.correct(amount, "why not")  # type: ignore[arg-type]
    assert budget.spent == 0
    budget.correct("-$4,500,000", "as much as there can be")
    assert budget.spent == -4_500_000


def test_a_correction_counts_in_windows_of_now() -> None:
    """Money that comes back may be spent again; the reason is in the log."""
    clock = ManualClock(1_767_222_000)
    budget = Budget("$1/day", "$1/1h", clock=clock)
    session = budget.session()
    session.track("done", 1)
    clock.advance(600)
    budget.correct("-$0.40", "twice on the invoice")
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$0.41")
    session.reserve(cost="$0.40").release()
    budget.correct("$0.25", "not at all on the invoice")
    assert session.remaining == Decimal("0.15")


def test_a_correction_is_told_like_any_charge(caplog: pytest.LogCaptureFixture) -> None:
    """The fraction that it reaches, the limit that it passes; it is never refused."""
    told: list[Alert] = []
    budget = Budget("$1/total", on_alert=told.append, alerts="inline")
    with caplog.at_level(logging.INFO, "bursar"):
        budget.correct("$0.95", "a missing invoice")
        asyncio.run(budget.acorrect("$0.10", "another one"))
    assert [(alert.kind.value, alert.spent) for alert in told] == [
        ("soft_limit", Decimal("0.95")),
        ("hard_limit", Decimal("1.05")),
    ]
    assert "default is corrected by $0.95: a missing invoice" in caplog.messages
    with pytest.raises(BudgetExceeded):
        budget.session().reserve(cost=0)


def test_a_reset_begins_anew() -> None:
    """Spent, windows and counters are zero; what is reserved stays, and settles above only."""
    company = Budget("$5/total", name="company", clock=ManualClock(0))
    alice = company.child("alice", "$1/total", "$1/day", "$1/1h")
    session = alice.session()
    hold = session.reserve(cost="$0.25")
    session.track("done", "$0.75")
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$0.01")
    alice.reset("a new contract")
    assert (alice.spent, alice.reserved, alice.remaining) == (0, Decimal("0.25"), Decimal("0.75"))
    assert company.spent == Decimal("0.75") == session.spent
    assert alice.report()["refusals"] == 0
    hold.settle(cost="$0.25")
    assert (alice.spent, alice.reserved, company.spent) == (0, 0, 1)
    session.reserve(cost="$1").settle(cost="$1")
    assert company.audit() == ()
    asyncio.run(company.areset("all of it"))
    assert (company.spent, alice.spent) == (0, 1)


def test_a_session_is_reset_alone() -> None:
    """The budget keeps what it spent."""
    budget = Budget("$1", "$1.50/total")
    session = budget.session()
    session.track("done", 1)
    session.reset("again")
    session.reserve(cost="$0.50").settle(cost="$0.50")
    with pytest.raises(BudgetExceeded, match="1.50/total"):
        session.reserve(cost="$0.01")
    assert (session.spent, budget.spent) == (Decimal("0.5"), Decimal("1.5"))


def two_programs(*limits: str | Limit, **settings: object) -> tuple[Budget, Budget, MemoryStore]:
    """Two budgets that declare the same on one store, and the store."""
    store = MemoryStore(ManualClock(1_767_222_000))
    one, other = (Budget(*limits, store=store, **settings) for _ in range(2))  # type: ignore[arg-type]
    return one, other, store


@pytest.mark.parametrize("window", ["", "/total", "/day", "/24h"])
@pytest.mark.parametrize(("amount", "fits"), [("$2", True), ("$0.50", False)])
def test_a_limit_that_is_replaced_holds_for_every_program(window: str, amount: str, fits: bool) -> None:
    """At its next reserve, higher or lower, also for sessions that are open; the old text is no conflict."""
    one, other, store = two_programs(f"$1{window}")
    session = other.session()
    session.track("done", "$0.50")
    one.set_limit(amount + window)
    if fits:
        session.reserve(cost="$1.50").settle(cost="$1.50")
    with pytest.raises(BudgetExceeded) as refusal:
        session.reserve(cost="0.000000001")
    assert refusal.value.limit == f"{amount}{window or '/session'}"
    for declared in (f"$1{window}", f"{amount}{window}"):
        Budget(declared, store=store).session().reserve(cost=0)
    with pytest.raises(LimitConflict, match="set_limit"):
        Budget(f"$9{window}", store=store).session().reserve(cost=0)


def test_a_limit_that_is_added_holds_beside_the_others() -> None:
    """Over the total it counts what was spent before, over a window it begins at zero."""
    one, other, _ = two_programs("$5/total")
    other.session().track("done", "$2")
    one.set_limit("$1/24h")
    assert other.session().remaining == 1
    one.set_limit(Limit("1 calls/total", model="gpt-4o"))
    other.session().record("gpt-4o", 1, 1)
    with pytest.raises(BudgetExceeded, match="model=gpt-4o"):
        other.session().reserve("gpt-4o", input_tokens=1, max_output_tokens=1)
    other.session().reserve("gpt-4o-mini", input_tokens=1, max_output_tokens=1)


@pytest.mark.parametrize("text", ["$1/24h", "$7/1d"])
def test_a_limit_that_is_dropped_is_gone_for_every_program(text: str) -> None:
    """Named by its window and selectors, whatever the amount; the others stay, and declaring it again is no conflict."""
    one, other, store = two_programs("$1/24h", "$2/total")
    other.session().track("done", 1)
    with pytest.raises(BudgetExceeded):
        other.session().reserve(cost=1)
    asyncio.run(one.adrop_limit(text))
    other.session().reserve(cost=1).settle(cost=1)
    with pytest.raises(BudgetExceeded, match="2/total"):
        other.session().reserve(cost=1)
    one.drop_limit("$1/1h")  # there is none: nothing happens
    Budget("$1/24h", "$2/total", store=store).session().reserve(cost=0)
    asyncio.run(one.aset_limit("$3/24h"))
    assert other.session().remaining == 0


def test_a_limit_is_changed_in_the_zone_of_the_budget() -> None:
    """As it was declared in."""
    one, _, _ = two_programs("$1/day", tz="Asia/Tokyo")
    one.set_limit("$2/day")
    assert one.report()["limits"][0]["resets_at"].endswith("+09:00")
    assert one.remaining == 2


@pytest.mark.parametrize("verb", ["set_limit", "drop_limit"])
def test_what_is_no_limit_changes_none(verb: str) -> None:
    """Our own error, and the old one holds."""
    budget = Budget("$1/total")
    with pytest.raises(InvalidAmount):
        getattr(budget, verb)("lots")
    assert budget.session().remaining == 1


def test_a_rollback_is_acknowledged() -> None:
    """In memory nothing is ever lost; the word is taken all the same, blocking and not."""
    budget = Budget("$1/total")
    budget.session().track("done", "$0.25")
    budget.acknowledge_rollback("restored from a backup")
    asyncio.run(budget.child("alice").aacknowledge_rollback("restored from a backup"))
    assert budget.remaining == Decimal("0.75") and budget.audit() == ()
