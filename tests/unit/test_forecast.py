"""When a limit is used up at this rate: by hand, on a clock that stands still unless it is moved."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

import pytest

from bursar import Budget, Limit, StoreError
from bursar.testing import ManualClock

from ..contract.test_store_promises import BareStore

HOUR = 3_600


def opened(*limits: Any, at: str = "2026-03-10T08:00", **settings: Any) -> tuple[Budget, ManualClock]:
    """A budget that was opened at that moment, UTC."""
    clock = ManualClock(datetime.fromisoformat(at).replace(tzinfo=timezone.utc))
    budget = Budget(*limits, clock=clock, soft_limit=None, **settings)
    budget.session().track(None, 0)
    return budget, clock


def spend(budget: Budget, cost: Any, tool: str | None = None) -> None:
    """Book something."""
    budget.session().track(None, cost, tool)


def test_a_limit_is_used_up_at_the_rate_of_today() -> None:
    """$13 in 6 h 30 min of a day that began at 08:00 are $2 an hour, and $7 last until 18:00."""
    budget, clock = opened("$20/day")
    clock.advance(6.5 * HOUR)
    spend(budget, "$13")
    expected = {
        "account": "default",
        "limit": "$20/day",
        "spent": 13.0,
        "per_hour": 2.0,
        "used_up_at": "2026-03-10T18:00:00+00:00",
        "text": "$20/day is used up at 18:00 at this rate",
    }
    assert budget.forecast() == expected
    assert asyncio.run(budget.aforecast()) == expected


@pytest.mark.parametrize(
    ("limits", "cost", "hours", "text"),
    [
        (("$20/day",), "$20", 1, "$20/day is used up"),
        (
            ("$100/week", "$1000/month"),
            "$13",
            6.5,
            "$100/week is used up at 10:00 on 2026-03-12 at this rate",
        ),
        (("$20/total",), "$1", 2, "$20/total is used up at 00:00 on 2026-03-12 at this rate"),
        (("$15/12h",), "$13", 6.5, "$15/12h is used up at 15:30 at this rate"),
        (("4 calls/day",), "$1", 2, None),
    ],
)
def test_what_is_used_up_first_is_told(limits: Any, cost: str, hours: float, text: str | None) -> None:
    """Of all limits; a date where it is not today."""
    budget, clock = opened(*limits)
    clock.advance(hours * HOUR)
    spend(budget, cost)
    forecast = budget.forecast()
    assert (forecast and forecast["text"]) == text


@pytest.mark.parametrize(
    ("limit", "cost"),
    [
        ("$20/day", "$8"),  # $1 an hour: until midnight there is more than enough
        ("$30/24h", "$8"),  # what is spent leaves the window as fast
        ("$1000000/total", "$8"),  # in a hundred years
        ("$20/session", "$8"),  # of one session
        ("$20/day", "$0"),
    ],
)
def test_where_nothing_is_to_be_said_there_is_no_forecast(limit: str, cost: str) -> None:
    """None: the limit renews before, or nobody can see that far."""
    budget, clock = opened(limit)
    clock.advance(8 * HOUR)
    spend(budget, cost)
    assert budget.forecast() is None


def test_the_first_minute_says_nothing() -> None:
    """Nor does a budget that was never used."""
    budget, clock = opened("$1/total")
    spend(budget, "$0.50")
    assert budget.forecast() is None
    clock.advance(60)
    assert budget.forecast() is not None
    assert Budget("$1/total").forecast() is None


def test_in_the_first_hour_of_a_day_yesterday_counts() -> None:
    """$24 in the 24 hours before midnight and none since: the rate is a dollar an hour, or a little less."""
    budget, clock = opened("$30/total", at="2026-03-10T00:00")
    clock.advance(12 * HOUR)
    spend(budget, "$24")
    clock.advance(12 * HOUR)
    forecast = budget.forecast()
    assert forecast is not None and forecast["per_hour"] == 1.0
    assert forecast["text"] == "$30/total is used up at 06:00 at this rate"


def test_times_are_those_of_the_budget() -> None:
    """In its time zone, whose day has begun at another moment."""
    budget, clock = opened("$20/day", at="2026-07-10T22:00", tz="Europe/Oslo")
    clock.advance(8 * HOUR)
    spend(budget, "$10")
    forecast = budget.forecast()
    assert forecast is not None and forecast["used_up_at"] == "2026-07-11T16:00:00+02:00"
    assert forecast["text"] == "$20/day is used up at 16:00 at this rate"


def test_a_limit_of_a_model_or_a_tool_has_its_own_rate() -> None:
    """What other models and tools cost is no part of it; of a provider nothing is known."""
    budget, clock = opened(
        Limit("$10/total", model="gpt-4o"),
        Limit("$10/total", tool="search"),
        Limit("$1/total", provider="openai"),
        Limit("6 calls/total", model="gpt-4o-mini"),
    )
    clock.advance(2 * HOUR)
    spend(budget, "$4", "search")
    spend(budget, "$90", "other")
    forecast = budget.forecast()
    assert forecast is not None and forecast["limit"] == "$10/total (tool=search)"
    assert forecast["text"].endswith("is used up at 13:00 at this rate")
    for _ in range(3):
        budget.session().record("gpt-4o-mini", 10, 10)
    calls = budget.forecast()
    assert calls is not None and (calls["limit"], calls["spent"]) == ("6 calls/total (model=gpt-4o-mini)", 3)
    assert calls["per_hour"] == 1.5 and "12:00" in calls["text"]


def test_a_child_is_told_of_the_limit_above_it() -> None:
    """By its name, where that is used up first."""
    budget, clock = opened("$20/day")
    alice = budget.child("alice", "$19/day")
    clock.advance(2 * HOUR)
    spend(alice, "$1")
    spend(budget.child("bob"), "$11")
    forecast = alice.forecast()
    assert forecast is not None and forecast["account"] == "default"
    assert forecast["text"] == "$20/day in 'default' is used up at 11:20 at this rate"


def test_a_store_without_history_has_no_forecast() -> None:
    """And says so."""
    with pytest.raises(StoreError, match="no history"):
        Budget("$1/day", store=BareStore()).forecast()
