"""Who is told what, how often, and what a listener can do to the agent: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from bursar import (
    Alert,
    AlertKind,
    AlertLevel,
    Budget,
    BudgetExceeded,
    Limit,
    LoopDetected,
    Session,
    StoreUnavailable,
    VelocityExceeded,
)
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock

START_S = 1_767_222_000  # 2025-12-31T23:00:00Z


def listening(*limits: Any, **settings: Any) -> tuple[Session, list[Alert]]:
    """A session, and all that is told of it."""
    told: list[Alert] = []
    clock = settings.setdefault("clock", ManualClock(START_S))
    assert isinstance(clock, ManualClock)
    return Budget(*limits, on_alert=told.append, alerts="inline", **settings).session(id="run"), told


def pay(session: Session, cost: Any, settled: Any = None) -> None:
    """Reserve, and settle at the same cost or at another."""
    session.reserve(cost=cost).settle(cost=cost if settled is None else settled)


# -- what is told ---------------------------------------------------------------------------------------


def test_a_soft_limit_is_told_when_it_is_reached() -> None:
    """With everything about it, once; a nano-dollar before it nobody is told."""
    session, told = listening("$1")
    pay(session, "0.899999999")
    assert told == []
    pay(session, "0.000000001")
    pay(session, "$0.05")
    (alert,) = told
    assert (
        (alert.kind, alert.level) == (AlertKind.SOFT_LIMIT, AlertLevel.WARNING) == ("soft_limit", "warning")
    )
    assert (alert.account, alert.limit, alert.threshold, alert.fraction) == (
        "default/run",
        "$1/session",
        0.9,
        0.9,
    )
    assert (alert.spent, alert.at) == (Decimal("0.9"), START_S)
    assert alert.message == "90% of $1/session in 'default/run' is spent: $0.90"
    assert (alert.report["session_id"], alert.report["total_spent"]) == ("run", 0.9)
    json.dumps(alert.report)


def test_the_threshold_is_what_was_crossed() -> None:
    """The fraction is what is spent, which may be more."""
    session, told = listening("$1", soft_limit=(0.5, 0.9))
    pay(session, "$0.55")
    pay(session, "$0.44")
    assert [(alert.threshold, alert.fraction) for alert in told] == [(0.5, 0.55), (0.9, 0.99)]


def test_two_thresholds_of_one_moment_do_not_look_alike() -> None:
    """85 % and then 100 %: each alert says which fraction was crossed, in its text, its report and itself."""
    session, told = listening("$1", soft_limit=(0.8, 0.9, 0.995, 1.0))
    pay(session, "$0.85")
    pay(session, "$0.15")
    assert [(alert.threshold, alert.fraction) for alert in told] == [
        (0.8, 0.85), (0.9, 1.0), (0.995, 1.0), (1.0, 1.0),
    ]  # fmt: skip
    assert [alert.message.partition(" of ")[0] for alert in told] == ["80%", "90%", "99.5%", "100%"]
    assert [alert.report["alert"]["threshold"] for alert in told] == [alert.threshold for alert in told]
    assert len({alert.id for alert in told}) == 4


def test_a_hard_limit_is_told_when_it_refuses() -> None:
    """Once a period of the limit, however often it refuses; it is critical."""
    clock = ManualClock(START_S)
    session, told = listening("$1/hour", soft_limit=None, clock=clock)
    pay(session, "$0.75")
    for _ in range(3):
        with pytest.raises(BudgetExceeded):
            session.reserve(cost="$0.50")
    (alert,) = told
    assert (alert.kind, alert.level) == ("hard_limit", "critical")
    assert (alert.account, alert.limit, alert.threshold, alert.fraction, alert.spent) == (
        "default",
        "$1/hour",
        None,
        0.75,
        Decimal("0.75"),
    )
    assert alert.message == "$1/hour in 'default' is reached: $0.25 is left"
    assert (alert.report["session_id"], alert.report["refusals"]) == ("default", 1)
    clock.advance(3_600)
    pay(session, "$0.75")
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$0.50")
    assert [alert.kind for alert in told] == ["hard_limit", "hard_limit"]
    assert told[0].id != told[1].id


def test_a_limit_that_is_passed_after_the_fact_is_told() -> None:
    """As one that refuses, and not again when it does."""
    session, told = listening("$1", soft_limit=None)
    with pytest.raises(BudgetExceeded):
        session.track("done", "$1.50")
    with pytest.raises(BudgetExceeded):
        session.reserve(cost=0)
    (alert,) = told
    assert (alert.kind, alert.fraction, alert.spent) == ("hard_limit", 1.5, Decimal("1.5"))


@pytest.mark.parametrize(
    ("action", "outcome"),
    [("trip", "the session is stopped"), ("refuse", "this call is refused, others go on")],
)
def test_a_loop_is_told(action: Any, outcome: str) -> None:
    """When the first call is refused; the refusals that follow are not."""
    session, told = listening(max_repeated_calls=2, loop_action=action)
    for _ in range(2):
        session.reserve("gpt-4o", messages="Why?", max_output_tokens=1).settle(cost=0)
    for _ in range(3):
        with pytest.raises(BudgetExceeded):
            session.reserve("gpt-4o", messages="Why?", max_output_tokens=1)
    (alert,) = told
    assert (alert.kind, alert.level, alert.account) == ("loop_detected", "critical", "default/run")
    assert (alert.limit, alert.fraction, alert.spent) == (None, None, 0)
    assert alert.message == (
        f"'gpt-4o' was called 2 times with the same input within 60 s in 'default/run'; {outcome}"
    )


@pytest.mark.parametrize("held", [True, False])
def test_too_much_speed_is_told(held: bool) -> None:
    """Of a reserve, and of a charge that nobody held."""
    session, told = listening(max_velocity="$1/min")
    pay(session, "$0.75")
    with pytest.raises(VelocityExceeded):
        session.reserve(cost="$0.50") if held else session.track("done", "$0.50")
    (alert,) = told
    assert (alert.kind, alert.level, alert.limit) == ("velocity", "critical", "$1/1min")
    assert alert.spent == Decimal("0.75" if held else "1.25")


def test_an_overrun_is_told_each_time() -> None:
    """By how much; a settle that is repeated is not told again."""
    session, told = listening(Limit("50k tokens"), soft_limit=None)
    hold = session.reserve("gpt-4o", input_tokens=800, max_output_tokens=100)  # $0.003
    hold.settle(input_tokens=800, output_tokens=200)
    hold.settle(input_tokens=800, output_tokens=200)
    session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200).settle(
        input_tokens=800, output_tokens=100
    )
    pay(session, "$0.10", "$0.35")
    assert [(alert.kind, alert.level, alert.spent, alert.message) for alert in told] == [
        ("overrun", "warning", Decimal("0.001"), "a call to 'gpt-4o' cost $0.001 more than its hold"),
        ("overrun", "warning", Decimal("0.25"), "a call to 'unnamed' cost $0.25 more than its hold"),
    ]
    assert told[0].account == "default/run" and told[0].limit is None
    assert told[1].report["overruns"] == {"count": 2, "total": 0.251}


def test_a_call_in_doubt_is_told_what_it_passed() -> None:
    """A soft limit that is reached by a call whose cost nobody knows."""
    session, told = listening("$0.004")
    session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200).settle_unknown()
    assert [(alert.kind, alert.fraction) for alert in told] == [("soft_limit", 1.0)]


@pytest.mark.parametrize(
    ("limit", "spent", "fraction"),
    [
        (Limit("1k tokens"), 1_000, 1.0),
        (Limit("1 calls", model="gpt-4o"), 1, 1.0),
        (Limit("$0.004/day"), Decimal("0.004"), 1.0),
    ],
)
def test_each_unit_is_told_in_its_own(limit: Limit, spent: object, fraction: float) -> None:
    """Tokens and calls are counts, money is dollars; the whole limit is critical."""
    session, told = listening(limit, soft_limit=1)
    session.record("gpt-4o", 800, 200)
    (alert,) = told
    assert (alert.spent, alert.fraction, alert.limit) == (spent, fraction, str(limit))
    assert alert.level is AlertLevel.CRITICAL


def test_a_limit_of_nothing_has_no_fraction() -> None:
    """It refuses, and that is told."""
    session, told = listening("$0")
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="0.000000001")
    assert [(alert.kind, alert.fraction) for alert in told] == [("hard_limit", None)]


def test_fractions_are_told_once_a_period_of_their_limit() -> None:
    """Several at once if a charge jumps over them; again the next day, and for a limit that was raised."""
    clock, told = ManualClock(START_S), list[Alert]()
    budget = Budget("$1/day", soft_limit=(0.5, 0.8, 1.0), clock=clock, on_alert=told.append, alerts="inline")
    session = budget.session()

    def fractions() -> list[str]:
        found = [alert.message.partition(" ")[0] for alert in told]
        told.clear()
        return found

    pay(session, "$0.85")
    assert fractions() == ["50%", "80%"]
    pay(session, "$0.15")
    assert fractions() == ["100%"]
    clock.advance(3_600)  # the year is over
    pay(session, "$0.60")
    assert fractions() == ["50%"]
    budget.set_limit("$0.70/day")
    pay(session, "$0.01")
    assert fractions() == ["50%", "80%"]


def test_fractions_of_a_rolling_window_are_told_once_in_its_length() -> None:
    """However often spending crosses them back and forth within an hour; then again."""
    clock, told = ManualClock(START_S), list[Alert]()
    budget = Budget("$1/1h", clock=clock, on_alert=told.append, alerts="inline")
    for hour in range(1, 4):
        for _ in range(5):
            pay(budget.session(), "$0.95")
            budget.correct("-$0.95", "given back")
            clock.advance(600)
        assert len(told) == hour
        clock.advance(600)


# -- who is told ----------------------------------------------------------------------------------------


def test_listeners_hear_everything_below_a_budget() -> None:
    """Its children and its sessions; a decorator hands its function back; what is only asked is not told."""
    budget = Budget("$1", soft_limit=None, alerts="inline")
    told: list[str] = []

    @budget.on_alert
    def listener(alert: Alert) -> None:
        told.append(alert.account)

    assert callable(listener) and listener.__name__ == "listener"
    child = budget.child("alice")
    child.on_alert(lambda alert: told.append("again"))
    session = child.session(id="run")
    assert session.would_exceed(2)
    with pytest.raises(BudgetExceeded):
        session.check("gpt-4o", 10**6, 0)
    assert told == []
    with pytest.raises(BudgetExceeded):
        session.reserve(cost=2)
    assert told == ["default/alice/run", "again"]


def test_listeners_to_one_kind_get_the_report() -> None:
    """Before those who hear everything; the others hear nothing."""
    told: list[str] = []
    budget = Budget(
        "$1",
        max_repeated_calls=1,
        on_soft_limit=lambda report: told.append(f"soft {report['total_spent']}"),
        on_hard_limit=lambda report: told.append(f"hard {report['refusals']}"),
        on_loop_detected=lambda report: told.append(f"loop {report['session_id']}"),
        on_alert=lambda alert: told.append(alert.kind.value),
        alerts="inline",
    )
    session = budget.session(id="run")
    pay(session, "$0.95")
    with pytest.raises(BudgetExceeded):
        session.reserve(cost=1)
    session.reserve(tool="t", messages=["x"]).settle()
    with pytest.raises(LoopDetected):
        session.reserve(tool="t", messages=["x"])
    assert told == ["soft 0.95", "soft_limit", "hard 1", "hard_limit", "loop run", "loop_detected"]


def test_what_cannot_listen_is_refused() -> None:
    """When it is given, not when there is something to tell."""
    with pytest.raises(ValueError, match="on_alert='print' cannot be called"):
        Budget().on_alert("print")  # type: ignore[type-var]


def test_alerts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Also where nobody listens."""
    pay(Budget("$1").session(id="run"), "$0.95")
    assert caplog.messages == ["90% of $1/session in 'default/run' is spent: $0.95"]
    assert caplog.records[0].levelno == logging.WARNING and caplog.records[0].name == "bursar"


# -- what listeners do ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("sk-secret"), RecursionError(), BudgetExceeded("mine"), StopIteration()]
)
def test_a_listener_that_fails_reaches_nobody(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The charge is booked, the others hear, the log names the listener and the error, and not what it said."""
    heard: list[object] = []

    def broken(told: object) -> None:
        heard.append(told)
        raise error

    budget = Budget("$1", on_soft_limit=broken, on_hard_limit=broken, on_alert=broken, alerts="inline")
    budget.on_alert(heard.append)
    session = budget.session()
    pay(session, "$0.95")
    assert (session.spent, session.reserved, len(heard)) == (Decimal("0.95"), 0, 3)
    with pytest.raises(BudgetExceeded, match="was not made"):
        session.reserve(cost=1)
    assert len(heard) == 6
    failures = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(failures) == 4 and all("broken" in line and type(error).__name__ in line for line in failures)
    assert "sk-secret" not in caplog.text


def test_a_listener_may_use_the_ledger() -> None:
    """It asks, spends, stops the session and changes limits in the middle of an alert: nothing waits, nothing is lost."""
    seen: list[object] = []

    class Raising:
        """An object that can be called, without a name."""

        def __call__(self, alert: Alert) -> None:
            seen.append((alert.kind.value, session.spent, session.reserved))
            if alert.kind == "soft_limit":
                pay(session, "$0.05")
                assert session.report()["total_spent"] == 0.95
                budget.set_limit("$2")
                budget.on_alert(seen.append)
            else:
                session.trip("enough")

    budget = Budget("$1", on_alert=Raising(), alerts="inline")
    session = budget.session()
    pay(session, "$0.90")
    assert (session.spent, session.remaining) == (Decimal("0.95"), Decimal("1.05"))
    with pytest.raises(BudgetExceeded):
        session.reserve(cost=2)
    assert seen[0] == ("soft_limit", Decimal("0.9"), 0)
    assert seen[-1] != seen[0] and session.would_exceed(0)


def test_a_listener_that_hangs_holds_no_other_thread() -> None:
    """While it hangs, others reserve and settle."""
    entered, release = threading.Event(), threading.Event()

    def hang(alert: Alert) -> None:
        entered.set()
        assert release.wait(30)

    session = Budget("$1", on_alert=hang, alerts="inline").session()
    thread = threading.Thread(target=pay, args=(session, "$0.95"))
    thread.start()
    assert entered.wait(30)
    pay(session, "$0.05")
    assert session.spent == 1
    release.set()
    thread.join()


def interrupt(alert: Alert) -> None:
    """Ctrl-C, while a listener runs."""
    raise KeyboardInterrupt


def test_an_interrupt_while_a_reserve_is_told_gives_the_hold_back() -> None:
    """The call will not be made, so nothing is held for it; blocking and not."""
    budget = Budget("$1", hard_stop=False, on_alert=interrupt, soft_limit=None, alerts="inline")
    session = budget.session()
    with pytest.raises(KeyboardInterrupt):
        session.reserve(cost=2)
    assert (session.reserved, session.spent) == (0, 0)
    assert [event["event"] for event in session.report()["events"]] == ["release"]
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(interrupted(budget.session()))
    assert budget.reserved == 0 and budget.audit() == ()


async def interrupted(session: Session) -> None:
    """A reserve that is told of and interrupted, in a task."""
    try:
        await session.areserve(cost=2)
    finally:
        assert session.reserved == 0


def test_an_interrupt_while_a_charge_is_told_leaves_it_booked() -> None:
    """The bill exists."""
    session = Budget("$1", on_alert=interrupt, alerts="inline").session()
    hold = session.reserve(cost="$0.95")
    with pytest.raises(KeyboardInterrupt):
        hold.settle(cost="$0.95")
    assert (hold.state, session.spent, session.reserved) == ("settled", Decimal("0.95"), 0)
    hold.settle(cost="$0.95")
    with pytest.raises(KeyboardInterrupt):
        session.track("done", "$0.10")
    assert session.spent == Decimal("1.05") and len(session.report()["events"]) == 2


class Unreadable(MemoryStore):
    """Keeps its books, and shows them to nobody."""

    def read(self, *which: Any) -> Any:
        raise StoreUnavailable("not now")


def test_an_alert_that_cannot_be_written_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The call goes on as if nobody listened."""
    told: list[Alert] = []
    session = Budget("$1", store=Unreadable(), on_alert=told.append).session()
    pay(session, "$0.95")
    with pytest.raises(BudgetExceeded, match="was not made"):
        session.reserve(cost=1)
    assert told == []
    assert caplog.messages == ["an alert could not be sent: not now"] * 2


# -- exactly once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hold", "track"])
def test_64_threads_that_cross_a_fraction_at_once_tell_it_once(how: str) -> None:
    """Each fraction, and the hard limit, exactly one alert between them; two budgets on one store share it."""
    told: list[Alert] = []
    store = MemoryStore()
    sessions = [
        Budget(
            "$1/total",
            name="one",
            store=store,
            soft_limit=(0.25, 0.5, 0.75, 1.0),
            on_alert=told.append,
            alerts="inline",
        ).session()
        for _ in range(2)
    ]
    ready = threading.Barrier(64)

    def work(number: int) -> None:
        session = sessions[number % 2]
        ready.wait()
        for _ in range(4):
            with contextlib.suppress(BudgetExceeded):
                pay(session, "$0.01") if how == "hold" else session.track("done", "$0.01")

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))
    spent = sum(session.spent for session in sessions)
    assert spent == 1 if how == "hold" else spent == Decimal("2.56")
    fractions = sorted(alert.message.partition("%")[0] for alert in told if alert.kind == "soft_limit")
    assert fractions == ["100", "25", "50", "75"]
    assert [alert.kind.value for alert in told if alert.kind != "soft_limit"] == ["hard_limit"]
    assert len({alert.id for alert in told}) == 5
