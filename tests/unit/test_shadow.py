"""``hard_stop=False``: nothing is refused, and everything is told."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from bursar import Alert, Budget, BudgetExceeded, Limit, Session, Tripped, UnknownModel
from bursar.testing import ManualClock

CALL = {"input_tokens": 800, "max_output_tokens": 200}  # $0.004 of gpt-4o


def shadow(*limits: str | Limit, **settings: object) -> tuple[Session, list[Alert]]:
    """A session that is only watched, and what is told of it."""
    told: list[Alert] = []
    return Budget(*limits, hard_stop=False, alerts="inline", on_alert=told.append, **settings).session(), told  # type: ignore[arg-type]


def test_what_would_be_refused_is_admitted_and_counted() -> None:
    """In full, without a clamp; the twin that enforces refuses exactly as many."""
    session, told = shadow("$0.010")
    enforced = Budget("$0.010", clamp=False).session()
    refused = 0
    for _ in range(5):
        hold = session.reserve("gpt-4o", **CALL)
        assert hold.max_output_tokens == 200 and hold.amount == Decimal("0.004")
        hold.settle(input_tokens=800, output_tokens=200)
    for _ in range(5):
        try:
            enforced.reserve("gpt-4o", **CALL).settle(input_tokens=800, output_tokens=200)
        except BudgetExceeded:
            refused += 1
    report = session.report()
    assert (report["refusals"], report["would_refuse"]) == (0, 3) == (0, refused)
    assert (session.spent, session.remaining) == (Decimal("0.02"), Decimal("-0.01"))
    assert session.terminated_by is None
    assert [alert.kind.value for alert in told] == ["hard_limit", "soft_limit"]


def test_questions_and_charges_do_not_raise() -> None:
    """As no reserve would; past the limit by far."""
    session, _ = shadow("$0.01")
    session.track("result", 1)
    session.record("gpt-4o", 1_000_000, 0)
    assert asyncio.run(session.atrack("result", 1)) == "result"
    session.check("gpt-4o", 1_000_000, 0)
    assert session.can_spend(1_000) and not session.would_exceed(1_000)
    assert session.spent == Decimal("4.5")


def test_loops_and_speed_are_told_and_let_through() -> None:
    """Once each, when the breaker opens; what follows is counted as what it would have refused."""
    session, told = shadow(max_repeated_calls=2)
    for _ in range(4):
        session.reserve("gpt-4o", messages="Why?", max_output_tokens=1).settle(cost=0)
    assert [alert.kind.value for alert in told] == ["loop_detected"]
    assert session.report()["would_refuse"] == 2
    session, told = shadow(max_velocity="$1/min", clock=ManualClock(0))
    session.reserve(cost=2).settle(cost=2)
    session.reserve(cost=2).settle(cost=2)
    assert [alert.kind.value for alert in told] == ["velocity"]
    assert (session.report()["would_refuse"], session.spent) == (2, 4)


def test_the_kill_switch_still_acts() -> None:
    """A person said so; a question says the same as a reserve, and untrip lets go on."""
    session, _ = shadow("$1")
    session.trip("enough")
    with pytest.raises(Tripped, match="enough"):
        session.reserve(cost=0)
    with pytest.raises(Tripped, match="enough"):
        session.check("gpt-4o", 1, 1)
    assert session.would_exceed(0) and not session.can_spend(0)
    session.untrip("go on")
    assert session.can_spend(2)
    session.reserve(cost=2)


def test_what_has_no_price_is_still_refused() -> None:
    """It is no matter of limits."""
    session, _ = shadow("$1")
    with pytest.raises(UnknownModel):
        session.reserve("gpt-99", **CALL)
    session.reserve("gpt-4o", **CALL)
