"""Loops and speed: what stops a session although its money would suffice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, LoopDetected, Session, Tripped, VelocityExceeded
from bursar.testing import ManualClock

QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]


def ask(session: Session, messages: Any = QUESTION, model: str = "gpt-4o") -> None:
    """A call that costs a hundredth of a cent."""
    session.reserve(model, messages=messages, max_output_tokens=10).settle(cost="$0.0001")


def open_session(**settings: Any) -> tuple[Session, ManualClock]:
    """A session with five dollars, on a clock of its own."""
    clock = ManualClock(1_750_000_000)
    return Budget("$5", clock=clock, **settings).session(id="run"), clock


def loop(session: Session) -> LoopDetected:
    """Repeat a call until it is refused."""
    with pytest.raises(LoopDetected) as refusal:
        for _ in range(100):
            ask(session)
    return refusal.value


@pytest.mark.parametrize(("times", "stopped"), [(10, False), (11, True)])
def test_ten_are_allowed_and_the_eleventh_is_refused(times: int, stopped: bool) -> None:
    """The same model with the same input; the refusal says which, how often, and within what."""
    session, _ = open_session()
    for _ in range(10):
        ask(session)
    if not stopped:
        assert (session.calls, session.terminated_by) == (times, None)
        return
    with pytest.raises(LoopDetected) as refusal:
        ask(session)
    error = refusal.value
    assert (error.key, error.count, error.window) == ("gpt-4o", times, 60.0)
    assert (error.account, error.model, error.limit, error.retry_after) == (
        "default/run",
        "gpt-4o",
        None,
        60,
    )
    assert "max_repeated_calls=None" in str(error)
    assert "'gpt-4o' was called 10 times with the same input within 60 s" in str(error)
    assert (session.spent, session.reserved) == (Decimal("0.001"), 0)
    assert session.terminated_by == "loop_detected"


@pytest.mark.parametrize(
    "calls",
    [
        [(f"question {number}", "gpt-4o") for number in range(30)],
        [(QUESTION, model) for model in ("gpt-4o", "gpt-4o-mini", "gpt-4.1") for _ in range(10)],
        [([{"role": "user", "content": object}], "gpt-4o")] * 30,
    ],
    ids=["other input", "other models", "unknown input"],
)
def test_many_calls_are_no_loop(calls: list[tuple[Any, str]]) -> None:
    """Thirty calls that differ, or of which nobody can say, all go through."""
    session, _ = open_session()
    for messages, model in calls:
        session.reserve(model, input_tokens=1, messages=messages, max_output_tokens=1).settle(cost=0)
    for _ in range(30):
        session.reserve("gpt-4o", input_tokens=1, max_output_tokens=1).settle(cost=0)
    assert session.calls == 60 and session.terminated_by is None


def test_other_names_of_a_model_are_the_model() -> None:
    """A loop through an alias is one."""
    session, _ = open_session(max_repeated_calls=4, aliases={"mine": "gpt-4o"})
    for model in ("gpt-4o", "mine", "gpt-4o", "mine"):
        ask(session, model=model)
    with pytest.raises(LoopDetected):
        ask(session, model="mine")


def test_only_calls_within_the_window_count() -> None:
    """Ten a minute for an hour are none."""
    session, clock = open_session()
    for _ in range(600):
        ask(session)
        clock.advance(6)
    assert session.calls == 600


def test_refused_and_repeated_reserves_do_not_count() -> None:
    """Nor do those with a key that was seen before."""
    session, _ = open_session(max_repeated_calls=3)
    for _ in range(10):
        session.reserve("gpt-4o", messages=QUESTION, max_output_tokens=10, key="one")
        with pytest.raises(BudgetExceeded) as refusal:
            session.reserve("gpt-4o", messages=QUESTION, cost="$9")
        assert not isinstance(refusal.value, LoopDetected)
    ask(session), ask(session)
    with pytest.raises(LoopDetected):
        ask(session)


def test_a_repeated_call_is_refused_while_others_go_on() -> None:
    """It says when it is not refused any more, and then it is not; an agent that never gives up is stopped."""
    session, clock = open_session(max_repeated_calls=3)
    for wait_s in (20, 20, 5):
        ask(session)
        clock.advance(wait_s)
    with pytest.raises(LoopDetected, match=r"make it again in 15\.0 s") as refusal:
        ask(session)
    assert refusal.value.retry_after == 15
    ask(session, "something else")
    assert session.terminated_by is None
    clock.advance(15)
    ask(session)
    for _ in range(3):
        with pytest.raises(LoopDetected):
            ask(session)
    with pytest.raises(Tripped):
        ask(session, "something else")


@pytest.mark.parametrize(("status", "answered"), [(429, True), (500, True), (504, False)])
def test_a_caller_who_repeats_what_failed_is_no_loop(status: int, answered: bool) -> None:
    """Eleven error answers that nobody bills are forgotten; of those that may be on the bill ten are a loop."""

    class Failed(Exception):
        """An error answer."""

        status_code = status

    session, _ = open_session()
    for _ in range(11 if answered else 10):
        with pytest.raises(Failed), session.reserve("gpt-4o", messages=QUESTION, max_output_tokens=10):
            raise Failed
    if answered:
        ask(session)
        return
    with pytest.raises(LoopDetected):
        ask(session)


def test_an_open_breaker_refuses_everything_of_its_session() -> None:
    """Another input, another model, a tool, a nested session; other sessions go on."""
    clock = ManualClock(1_750_000_000)
    budget = Budget("$5", clock=clock, loop_action="trip")
    session, other = budget.session(), budget.session()
    loop(session)
    clock.advance(3_600)
    for call in (
        {"model": "gpt-4o-mini", "input_tokens": 1, "max_output_tokens": 1},
        {"tool": "search"},
        {"cost": 0},
    ):
        for place in (session, session.child_session()):
            with pytest.raises(Tripped) as refusal:
                place.reserve(**call)  # type: ignore[arg-type]
            assert (refusal.value.cause, refusal.value.retry_after) == ("loop", None)
            assert "was called 10 times" in str(refusal.value.reason)
            assert place.terminated_by == "loop_detected"
    ask(other)
    session.untrip("looked into")
    ask(session)
    assert session.terminated_by is None


def test_a_call_from_before_an_untrip_is_not_taken_off_the_count_after_it() -> None:
    """Given back late, it leaves the calls since then counted: the third of them is a loop."""
    session, clock = open_session(max_repeated_calls=2)
    early = session.reserve("gpt-4o", messages=QUESTION, max_output_tokens=10)
    session.untrip("looked into")
    clock.advance(1)
    ask(session)
    early.release()
    ask(session)
    with pytest.raises(LoopDetected):
        ask(session)


def test_after_the_cooldown_one_call_at_a_time_is_tried() -> None:
    """It says when; while the one is out others wait; its answer closes the breaker, and the count begins anew."""
    session, clock = open_session(cooldown="30s", max_repeated_calls=3, loop_action="trip")
    assert loop(session).retry_after == 30
    clock.advance(29)
    with pytest.raises(Tripped, match=r"one call is tried again in 1\.0 s") as refusal:
        ask(session)
    assert refusal.value.retry_after == 1
    clock.advance(1)
    trying = session.reserve("gpt-4o", messages=QUESTION, max_output_tokens=10)
    with pytest.raises(Tripped) as refusal:
        ask(session, "another")
    assert refusal.value.retry_after is None
    trying.settle(cost=0)
    ask(session, "another")
    ask(session), ask(session)
    with pytest.raises(LoopDetected):
        ask(session)


def test_a_try_that_gets_no_answer_lets_the_next_one_try() -> None:
    """Given back or in doubt, it proves nothing either way."""
    session, clock = open_session(cooldown=30, max_repeated_calls=3, loop_action="trip")
    loop(session)
    clock.advance(30)
    session.reserve(cost=0).release()
    session.reserve(cost=0).settle_unknown()
    trying = session.reserve(cost=0)
    with pytest.raises(Tripped):
        session.reserve(cost=0)
    trying.settle(cost=0)
    session.reserve(cost=0)
    session.reserve(cost=0)


@pytest.mark.parametrize(("cost", "fits"), [("$0.40", True), ("$0.400000001", False)])
def test_a_call_that_would_be_too_fast_stops_the_session(cost: str, fits: bool) -> None:
    """Spent and reserved of the last minute count, to the nano-dollar; what is only reserved stops nothing."""
    session, clock = open_session(max_velocity="$1/min")
    session.track("a", "$0.50")
    hold = session.reserve(cost="$0.10")
    if fits:
        session.reserve(cost=cost).settle(cost=cost)
        clock.advance(61)
        hold.settle(cost="$0.10")
        session.reserve(cost="$0.90")
        return
    with pytest.raises(VelocityExceeded) as refusal:
        session.reserve(cost=cost)
    error = refusal.value
    assert (error.limit, error.spent, error.reserved) == ("$1/1min", Decimal("0.5"), Decimal("0.1"))
    assert (error.asked, error.remaining) == (Decimal(cost[1:]), Decimal("0.4"))
    assert "held by calls in flight" in str(error) and session.terminated_by == "velocity_exceeded"
    hold.settle(cost="$0.10")
    with pytest.raises(VelocityExceeded, match="spend more slowly"):
        session.reserve(cost=cost)
    clock.advance(3_600)
    with pytest.raises(Tripped, match=r"spending would pass \$1/1min") as stopped:
        session.reserve(cost=0)
    assert stopped.value.cause == "velocity" and session.terminated_by == "velocity_exceeded"


def test_speed_cools_down_too() -> None:
    """The first call after it goes through if it is not too fast itself; else it starts again."""
    session, clock = open_session(max_velocity="$1/min", cooldown="5min")
    with pytest.raises(VelocityExceeded) as refusal:
        session.reserve(cost="$1.50")
    assert refusal.value.retry_after == 300
    clock.advance(300)
    with pytest.raises(VelocityExceeded):
        session.reserve(cost="$1.50")
    clock.advance(299)
    with pytest.raises(Tripped):
        session.reserve(cost=0)
    clock.advance(1)
    session.reserve(cost="$1").settle(cost="$0.20")
    session.reserve(cost="$0.80")


def test_a_call_is_clamped_to_what_the_speed_allows() -> None:
    """As to what a limit leaves: here $0.002 of input and 100 tokens of output."""
    session, _ = open_session(max_velocity="$0.003/min")
    hold = session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200)
    assert (hold.max_output_tokens, hold.amount) == (100, Decimal("0.003"))


def test_a_child_session_is_stopped_with_its_run() -> None:
    """An agent that opens a session for each step loops all the same."""
    session, _ = open_session(max_repeated_calls=3)
    for _ in range(3):
        ask(session.child_session())
    with pytest.raises(LoopDetected) as refusal:
        ask(session.child_session())
    assert refusal.value.account == "default/run"


def test_the_kill_switch_needs_no_cooldown() -> None:
    """It stays until somebody lifts it, and has no cause but its reason."""
    session, clock = open_session(cooldown="1s")
    session.trip("stop")
    clock.advance(3_600)
    with pytest.raises(Tripped) as refusal:
        session.reserve(cost=0)
    error = refusal.value
    assert (error.reason, error.cause, error.retry_after) == ("stop", None, None)
    assert "'default/run' is stopped (stop); untrip it to go on" in str(error)
    assert session.terminated_by == "tripped"
    session.untrip("go on")
    session.reserve(cost=0)


def test_a_reset_closes_the_breaker() -> None:
    """And forgets what was called; the kill switch outlives it."""
    session, _ = open_session(max_repeated_calls=3, loop_action="trip")
    loop(session)
    session.reset("a new run")
    ask(session)
    session.trip("stop")
    session.reset("a new run")
    with pytest.raises(Tripped):
        ask(session)
