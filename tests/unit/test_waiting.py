"""What a refusal and a report say about time: ``retry_after`` in seconds, ``resets_at`` as a date."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Session, StoreError
from bursar.store.entry import Entry
from bursar.store.memory import MemoryStore
from bursar.store.results import StalePeriod
from bursar.testing import ManualClock

NEW_YEARS_EVE = datetime(2025, 12, 31, 22, 59, 30, tzinfo=timezone.utc)  # a Wednesday; 23:59:30 in Oslo


def refused(session: Session, **asked: Any) -> float | None:
    """How long to wait, as the refusal says."""
    with pytest.raises(BudgetExceeded) as refusal:
        session.reserve(**asked)
    assert refusal.value.retry_after is None or f"wait {refusal.value.retry_after:,.0f} s" in str(
        refusal.value
    )
    return refusal.value.retry_after


@pytest.mark.parametrize(
    ("window", "tz", "seconds", "resets"),
    [
        ("hour", "UTC", 30, "2025-12-31T23:00:00+00:00"),
        ("hour", "Asia/Kathmandu", 15 * 60 + 30, "2026-01-01T05:00:00+05:45"),
        ("day", "UTC", 3_630, "2026-01-01T00:00:00+00:00"),
        ("day", "Europe/Oslo", 30, "2026-01-01T00:00:00+01:00"),
        ("week", "UTC", 3_630 + 4 * 86_400, "2026-01-05T00:00:00+00:00"),
        ("month", "Europe/Oslo", 30, "2026-01-01T00:00:00+01:00"),
        ("month", "America/New_York", 6 * 3_600 + 30, "2026-01-01T00:00:00-05:00"),
    ],
)
def test_a_calendar_period_ends_when_clocks_say_so(window: str, tz: str, seconds: int, resets: str) -> None:
    """Waiting so long suffices, and a second less does not."""
    clock = ManualClock(NEW_YEARS_EVE)
    budget = Budget(f"$1/{window}", tz=tz, clock=clock)
    session = budget.session()
    session.track("done", 1)
    assert refused(session, cost="$0.50") == seconds
    assert budget.report()["limits"][0]["resets_at"] == resets
    clock.advance(seconds - 1)
    assert refused(session, cost="$0.50") == 1
    clock.advance(1)
    session.reserve(cost=1)


@pytest.mark.parametrize(("day", "seconds"), [("2026-03-28", 23), ("2026-10-24", 25), ("2026-06-01", 24)])
def test_the_days_on_which_clocks_change(day: str, seconds: int) -> None:
    """A day's limit lasts 23 or 25 hours then, in the budget's own zone."""
    clock = ManualClock(datetime.fromisoformat(f"{day}T22:00:00+00:00"))
    if day == "2026-03-28":
        clock.advance(3_600)  # winter time: midnight of Oslo is at 23:00
    session = Budget("$1/day", tz="Europe/Oslo", clock=clock).session()
    session.track("done", 1)
    assert refused(session, cost=1) == seconds * 3_600


def test_a_rolling_window_says_when_enough_has_left() -> None:
    """For a small call the oldest charge, for a larger one the next; a bucket late at most, and never early."""
    clock = ManualClock(NEW_YEARS_EVE)
    budget = Budget("$1/24h", clock=clock)
    session = budget.session()
    session.track("first", "$0.50")
    clock.advance(3_600)
    session.track("second", "$0.50")
    soon, later = refused(session, cost="$0.50"), refused(session, cost="$0.51")
    assert soon is not None and 23 * 3_600 <= soon <= 23 * 3_600 + 300
    assert later is not None and 24 * 3_600 <= later <= 24 * 3_600 + 300
    resets = datetime.fromisoformat(budget.report()["limits"][0]["resets_at"])
    assert resets - NEW_YEARS_EVE == timedelta(hours=1, seconds=later)
    clock.advance(soon - 1)
    assert refused(session, cost="$0.50") == 1
    clock.advance(1)
    session.reserve(cost="$0.50")


@pytest.mark.parametrize(
    ("limits", "cost"),
    [
        (("$1",), "$0.50"),
        (("$1/total",), "$0.50"),
        (("$1/day",), "$1.01"),
        (("$1/1h",), "$1.01"),
        (("$1/total", "$1/day"), "$0.50"),
        (("$1/day", "$1/total"), "$0.50"),
        (("$1/1h", "$1"), "$0.50"),
    ],
)
def test_where_waiting_does_not_help_nothing_is_said(limits: tuple[str, ...], cost: str) -> None:
    """A limit without an end, a call above the whole limit; also where another limit would let it through soon."""
    session = Budget(*limits, clock=ManualClock(NEW_YEARS_EVE)).session()
    session.track("done", 1)
    assert refused(session, cost=cost) is None


@pytest.mark.parametrize("limits", [("$1/day", "$1/hour"), ("$1/hour", "$1/day")])
def test_of_several_limits_the_longest_wait_counts(limits: tuple[str, ...]) -> None:
    """Half a minute for the hour, an hour and a half for the day: after that it fits."""
    clock = ManualClock(NEW_YEARS_EVE)
    session = Budget(*limits, clock=clock).session()
    session.track("done", 1)
    wait_s = refused(session, cost=1)
    assert wait_s == 3_630
    clock.advance(wait_s)
    session.reserve(cost=1)


def test_what_is_held_does_not_end_with_a_rolling_window() -> None:
    """Nobody knows when it settles, so that no time is told; in the next calendar period it does not count."""
    clock = ManualClock(NEW_YEARS_EVE)
    rolling, daily = (Budget(f"$1/{window}", lease="30d", clock=clock).session() for window in ("24h", "day"))
    for session in (rolling, daily):
        session.reserve(cost=1).keep()
    assert refused(rolling, cost=1) is None
    assert refused(daily, cost=1) is None
    clock.advance(3_630)
    daily.reserve(cost=1)
    refused(rolling, cost=1)


@pytest.mark.parametrize(("cost", "helps"), [("$0.51", True), ("$0.61", False)])
def test_a_rolling_window_says_nothing_where_what_is_held_would_still_be_in_the_way(
    cost: str, helps: bool
) -> None:
    """Of $1 half is spent, and 40 cents are held: when the half has left, 60 cents are free."""
    clock = ManualClock(NEW_YEARS_EVE)
    session = Budget("$1/24h", lease="30d", clock=clock).session()
    session.track("done", "$0.50")
    session.reserve(cost="$0.40").keep()
    wait_s = refused(session, cost=cost)
    assert (wait_s is not None) is helps
    clock.advance(wait_s or 2 * 86_400)
    if helps:
        session.reserve(cost=cost)
    else:
        refused(session, cost=cost)


def test_a_question_may_come_first() -> None:
    """Before the store has ever been told what day it is."""
    clock = ManualClock(NEW_YEARS_EVE)
    session = Budget("$1/day", "$1/week", tz="Asia/Tokyo", clock=clock).session()
    assert session.can_spend(1) and not session.can_spend(2)


def test_a_settle_of_a_hold_that_the_store_forgot_is_booked_today() -> None:
    """Days later, when its record is long gone: it needs the calendar of now, and is an overrun."""
    clock = ManualClock(NEW_YEARS_EVE)
    store = MemoryStore(clock)
    budget = Budget("$1/day", store=store)
    hold = budget.session().reserve(cost="$0.50")
    hold.release()
    store._verbs.records._by_id.clear()
    clock.advance(3 * 86_400)
    assert hold.settle(cost="$0.40").overrun == Decimal("0.4")
    assert budget.remaining == Decimal("0.6")


class Jumping(MemoryStore):
    """Its clock is never where the calendar is that it gets."""

    def reserve(self, entry: Entry, *more: Any) -> Any:
        return StalePeriod(int(self._clock.now() * 1000), ("UTC",))


def test_a_store_whose_clock_jumps_is_refused() -> None:
    """With our own error, not an endless loop; the call is not made."""
    session = Budget("$1/day", store=Jumping()).session()
    with pytest.raises(StoreError, match="clock of the store jumps"):
        session.reserve(cost=1)
    session.track("done", 1)


def test_resets_at_is_none_where_nothing_resets() -> None:
    """For a session, the total, and a rolling window in which nothing was spent."""
    session = Budget("$5", "$5/total", "$5/1h").session()
    budget_limits = Budget("$5/total", "$5/1h").report()["limits"]
    assert [limit["resets_at"] for limit in budget_limits + session.report()["limits"]] == [None, None, None]
