"""One process: what a fork makes of it, shown without a fork. tests/concurrency forks."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, HoldClosed, StoreUnavailable
from bursar.integration import covered_hold
from bursar.pricing import overrides as registry
from bursar.pricing.book import register_model
from bursar.runtime import fork as process
from bursar.runtime.fork import _forked


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this process its own child, until the end of the test."""
    monkeypatch.setattr(process, "count", process.count)  # to be restored
    return _forked


def test_forks_are_counted(fork: Any) -> None:
    """Each fork is told from the one before it."""
    before = process.count
    fork()
    fork()
    assert process.count == before + 2


def test_inherited_money_is_refused(fork: Any) -> None:
    """Before the fork a session spends, after it neither it nor its budget answers; a new one does."""
    budget = Budget("$1/total")
    session = budget.session()
    session.reserve(cost="$0.4").settle()
    assert budget.spent == Decimal("0.4")
    fork()
    for step in (lambda: session.reserve(cost=0), budget.report, session.balance, lambda: budget.trip("no")):
        with pytest.raises(StoreUnavailable, match="open a Budget in the child"):
            step()
    assert Budget("$1/total").session().reserve(cost="$1").amount == 1


def test_inherited_hold_is_dropped(fork: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It covers nothing, its steps raise, leaving its block does nothing; back in the parent it settles."""
    session = Budget("$1").session()
    with session.reserve(cost="$0.4") as hold:
        assert covered_hold() is hold
        fork()
        assert covered_hold() is None
        for step in (hold.settle, hold.release, hold.settle_unknown, hold.extend):
            with pytest.raises(HoldClosed, match="its parent settles it"):
                step()
        hold.abandon()
        hold.resolve(TimeoutError())
    assert hold.state == "reserved"
    monkeypatch.undo()
    assert session.reserved == Decimal("0.4")
    hold.settle()
    assert (session.spent, session.reserved) == (Decimal("0.4"), 0)


def test_registering_needs_no_lock_of_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child renews the lock, which a thread that it does not have may hold."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_lock", threading.Lock())
    with registry._lock:
        registry._renew()
        register_model("mine", 1, 2)
    assert set(registry.registered()) == {"mine"}
