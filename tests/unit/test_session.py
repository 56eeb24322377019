"""Sessions: reserving, nesting, reading, ending."""

from __future__ import annotations

import json
import threading
from decimal import Decimal

import pytest

from bursar import (
    Budget,
    BudgetExceeded,
    BursarError,
    Limit,
    LimitConflict,
    Session,
    Tripped,
    UnknownModel,
    UnpriceableCall,
    Usage,
)
from bursar.integration import as_session
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock

# gpt-4o costs $2.50 and $10 a million tokens: 800 in and 200 out are $0.004.
CALL = {"input_tokens": 800, "max_output_tokens": 200}


@pytest.mark.parametrize(("limit", "fits"), [("$0.004", True), ("$0.003999999", False)])
def test_a_call_fits_to_the_last_nano_dollar(limit: str, fits: bool) -> None:
    """The worst case is admitted when exactly that is left, and not when one nano-dollar is missing."""
    session = Budget(limit, clamp=False).session()
    if fits:
        assert session.reserve("gpt-4o", **CALL).amount == Decimal("0.004")
        return
    with pytest.raises(BudgetExceeded) as refusal:
        session.reserve("gpt-4o", **CALL)
    error = refusal.value
    assert (error.spent, error.reserved, error.asked, error.remaining) == (
        0, 0, Decimal("0.004"), Decimal("0.003999999"),
    )  # fmt: skip
    assert error.limit == "$0.003999999/session" and error.account == f"default/{session.id}"
    assert (error.model, error.tool, error.retry_after) == ("gpt-4o", None, None)
    assert session.reserved == 0


def test_the_message_of_a_refusal_says_what_to_do() -> None:
    """What was asked, what is left, of which limit, where, and a way out."""
    session = Budget("$1", clamp=False).session(id="run-7")
    session.reserve(cost="$0.90").settle(cost="$0.90")
    with pytest.raises(BudgetExceeded) as refusal:
        session.reserve("gpt-4o", input_tokens=800, max_output_tokens=10_000)
    for part in (
        "'gpt-4o'",
        "$0.102",
        "needs up to $0.102 (800 tokens of input and 10,000 of output at the most)",
        "$0.10 of the $1/session limit of 'default/run-7' is left",
        "with max_tokens=9,800 it would fit",
    ):
        assert part in str(refusal.value), part


def test_clamping_lowers_the_cap_to_what_is_left() -> None:
    """The largest cap that fits is granted: one more output token would not."""
    session = Budget("$0.004").session()
    hold = session.reserve("gpt-4o", input_tokens=800, max_output_tokens=5_000)
    assert hold.max_output_tokens == 200 and hold.amount == Decimal("0.004")
    assert session.remaining == 0


@pytest.mark.parametrize(
    ("clamp", "left_for", "fits"),
    [
        (True, 16, True),
        (True, 15, False),
        (100, 100, True),
        (100, 99, False),
        (False, 499, False),
        (False, 500, True),
    ],
)
def test_a_clamp_stops_at_the_smallest_useful_cap(clamp: bool | int, left_for: int, fits: bool) -> None:
    """Sixteen tokens by default, or what the budget says; without clamping all or nothing."""
    session = Budget(Decimal("0.002") + Decimal("0.00001") * left_for, clamp=clamp).session()
    ask = {"input_tokens": 800, "max_output_tokens": 500}
    if fits:
        assert session.reserve("gpt-4o", **ask).max_output_tokens == left_for
    else:
        with pytest.raises(BudgetExceeded):
            session.reserve("gpt-4o", **ask)


def test_a_request_that_cannot_be_changed_is_not_clamped() -> None:
    """`clamp=False` on one reserve refuses instead, and admits what fits whole."""
    session = Budget("$0.004").session()
    with pytest.raises(BudgetExceeded):
        session.reserve("gpt-4o", input_tokens=800, max_output_tokens=201, clamp=False)
    assert (
        session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200, clamp=False).max_output_tokens
        == 200
    )


def test_choices_multiply_the_output() -> None:
    """With n=3 three caps are held, and a clamp divides what is left by three."""
    session = Budget("$0.0035").session()
    hold = session.reserve("gpt-4o", input_tokens=200, max_output_tokens=1_000, n=3)
    assert hold.max_output_tokens == 100 and hold.amount == Decimal("0.0035")


def test_a_token_limit_clamps_too() -> None:
    """Input and n caps together stay within the tokens that are left."""
    session = Budget("1k tokens").session()
    hold = session.reserve("gpt-4o", input_tokens=400, max_output_tokens=900, n=2)
    assert hold.max_output_tokens == 300
    with pytest.raises(BudgetExceeded) as refusal:
        session.reserve("gpt-4o", input_tokens=1, max_output_tokens=1)
    assert (refusal.value.reserved, refusal.value.remaining) == (1_000, 0)


def test_a_call_limit_admits_exactly_that_many() -> None:
    """Three calls to models; runs of tools do not count among them."""
    session = Budget("3 calls").session()
    for _ in range(3):
        session.reserve(tool="search").settle(cost=0)
        session.reserve("gpt-4o", **CALL).settle(input_tokens=1, output_tokens=1)
    with pytest.raises(BudgetExceeded, match="3 calls/session"):
        session.reserve("gpt-4o", **CALL)
    assert session.calls == 3


def test_a_limit_for_a_model_matches_its_dated_variants() -> None:
    """The snapshot name is charged to the limit of the model, another model is not."""
    session = Budget(Limit("$0.004", model="gpt-4o"), clamp=False).session()
    session.reserve("gpt-4o-2024-08-06", **CALL).settle(cost="$0.004")
    session.reserve("gpt-4o-mini", **CALL).settle(cost="$0.004")
    with pytest.raises(BudgetExceeded, match="model=gpt-4o"):
        session.reserve("gpt-4o", **CALL)


def test_a_tool_costs_its_price() -> None:
    """A run is held and charged at `tool_prices`; one without a price is only counted."""
    session = Budget("$0.02", tool_prices={"search": "$0.01"}).session()
    for _ in range(2):
        hold = session.reserve(tool="search")
        hold.settle(cost=hold.amount)
    session.reserve(tool="clock").settle(cost=0)
    with pytest.raises(BudgetExceeded) as refusal:
        session.reserve(tool="search")
    assert refusal.value.tool == "search"
    assert session.report()["breakdown"]["tools"] == {
        "total": 0.02, "calls": 3, "by_tool": {"search": 0.02, "clock": 0.0},
    }  # fmt: skip


def test_the_same_key_reserves_once() -> None:
    """A second reserve with the key finds the first; in another session the key is free."""
    budget = Budget("$1")
    session = budget.session()
    first = session.reserve("gpt-4o", key="step-1", **CALL)
    again = session.reserve("gpt-4o", key="step-1", **CALL)
    assert (first.repeated, again.repeated, again.id) == (False, True, first.id)
    assert session.reserved == Decimal("0.004")
    first.settle(input_tokens=100, output_tokens=10)
    assert session.reserve("gpt-4o", key="step-1", **CALL).state == "settled"
    assert not budget.session().reserve("gpt-4o", key="step-1", **CALL).repeated
    assert session.spent == Decimal("0.00035")


def test_a_child_session_counts_in_its_parent_at_once() -> None:
    """While the child is open its spend is the parent's too, and each refuses for its own limit."""
    parent = Budget("$1").session()
    child = parent.child_session("$0.40", name="research")
    child.reserve(cost="$0.30").settle(cost="$0.30")
    assert (child.spent, parent.spent) == (Decimal("0.3"), Decimal("0.3"))
    with pytest.raises(BudgetExceeded, match="research"):
        child.reserve(cost="$0.11")
    parent.reserve(cost="$0.65").settle(cost="$0.65")
    with pytest.raises(BudgetExceeded) as refusal:
        child.reserve(cost="$0.06")
    assert refusal.value.account == f"default/{parent.id}"
    assert child.remaining == Decimal("0.05")
    assert parent.child_session(max_spend="$0.01").remaining == Decimal("0.01")


def test_children_created_together_share_what_the_parent_has() -> None:
    """Five children of a dollar cannot spend more than the dollar between them."""
    parent = Budget("$1").session()
    admitted = 0
    for child in [parent.child_session("$1") for _ in range(5)]:
        try:
            child.reserve(cost="$0.90").settle(cost="$0.90")
            admitted += 1
        except BudgetExceeded:
            pass
    assert (admitted, parent.spent) == (1, Decimal("0.9"))


def test_the_same_id_is_the_same_session() -> None:
    """Two views of one account; `session_id` is another word for it."""
    budget = Budget("$1")
    budget.session(id="run").reserve(cost="$0.75").settle(cost="$0.75")
    resumed = budget.session(session_id="run")
    assert (resumed.id, resumed.spent) == ("run", Decimal("0.75"))
    with pytest.raises(BudgetExceeded):
        resumed.reserve(cost="$0.26")
    resumed.reserve(cost="$0.25")


def test_a_resumed_session_keeps_its_own_limit() -> None:
    """What was declared first holds; another limit is a conflict."""
    budget = Budget("$1")
    budget.session("$0.50", id="run").reserve(cost="$0.30")
    with pytest.raises(BudgetExceeded):
        budget.session(id="run").reserve(cost="$0.30")
    with pytest.raises(LimitConflict):
        budget.session("$0.70", id="run").reserve(cost="$0.01")


def test_remaining_is_the_smallest_on_the_path() -> None:
    """Own, budget's and parent's; limits with a selector and of other units do not count."""
    budget = Budget("$5", "$2/total", Limit("$0.01", model="gpt-4o"), "10 tokens", name="team")
    session = budget.session("$3")
    assert session.remaining == 2
    budget.session().reserve(cost="$0.50").settle(cost="$0.50")
    assert session.remaining == Decimal("1.5")
    assert Budget().session().remaining is None
    assert Budget("5 calls").session().remaining is None


def test_remaining_shows_a_debt() -> None:
    """After an overrun it is negative, and the overrun is in the report."""
    session = Budget("$1").session()
    charge = session.reserve(cost="$1").settle(cost="$1.25")
    assert (charge.overrun, session.remaining) == (Decimal("0.25"), Decimal("-0.25"))
    assert session.report()["overruns"] == {"count": 1, "total": 0.25}


def test_a_budget_without_a_limit_only_counts() -> None:
    """Nothing is refused, everything is booked."""
    session = Budget().session()
    session.reserve("gpt-4o", input_tokens=100_000_000 // 1000, max_output_tokens=16_000).settle(
        input_tokens=100_000, output_tokens=16_000
    )
    assert session.spent == Decimal("0.41") and session.report()["budget"] is None


def test_an_unknown_model_is_refused() -> None:
    """No price, no call; the twin with a price goes through."""
    session = Budget("$5").session()
    with pytest.raises(UnknownModel, match="gpt-99"):
        session.reserve("gpt-99", **CALL)
    assert session.reserved == 0
    Budget("$5", prices={"gpt-99": (1, 1)}).session().reserve("gpt-99", **CALL)


def test_a_call_without_a_bound_is_refused() -> None:
    """A registered model without a cap needs one from the caller, for output and for input."""
    session = Budget("$5", prices={"mine": (1, 1)}).session()
    with pytest.raises(UnpriceableCall, match="max_output_tokens") as refusal:
        session.reserve("mine", input_tokens=10)
    assert refusal.value.endpoint == "mine"
    with pytest.raises(UnpriceableCall, match="input_tokens"):
        session.reserve("mine", max_output_tokens=10)
    session.reserve("mine", input_tokens=10, max_output_tokens=10)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, TypeError),
        ({"model": ""}, ValueError),
        ({"model": "x" * 201}, ValueError),
        ({"model": "gpt-4o\n"}, ValueError),
        ({"tool": "\ud800"}, ValueError),
        ({"model": "gpt-4o", "input_tokens": -1}, ValueError),
        ({"model": "gpt-4o", "input_tokens": True}, ValueError),
        ({"model": "gpt-4o", "input_tokens": 2**63}, ValueError),
        ({"model": "gpt-4o", "input_tokens": 1, "max_output_tokens": 1.5}, ValueError),
        ({"model": "gpt-4o", "input_tokens": 1, "n": 0}, ValueError),
        ({"cost": "-1"}, ValueError),
        ({"cost": float("nan")}, ValueError),
        ({"cost": 0.01, "key": "\x00"}, ValueError),
        ({"model": "gpt-4o", "input_tokens": 1, "tier": "vip"}, ValueError),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_lost(
    arguments: dict[str, object], error: type[Exception]
) -> None:
    """Our own error, no traceback from inside, and the balance is as before."""
    session = Budget("$5").session()
    with pytest.raises(error):
        session.reserve(**arguments)  # type: ignore[arg-type]
    assert (session.spent, session.reserved) == (0, 0)
    session.reserve("gpt-4o", **CALL)


@pytest.mark.parametrize(
    "name", ["a/b", "@a", "{x}", "a:b", "x}y{z", "naïve", "工具", "%2F", "..", "'; drop"]
)
def test_hostile_names_stay_apart(name: str) -> None:
    """No name can pose as another account, whatever is in it; it comes back as it was given."""
    budget = Budget("$1")
    child = budget.child(name)
    child.session(id=name).reserve(cost="$0.50").settle(cost="$0.50")
    assert child.spent == Decimal("0.5") and child.session(id=name).id == name
    assert budget.session(id=name).spent == 0
    assert budget.child("a").spent == budget.child("b").spent == 0
    assert budget.spent == Decimal("0.5")


def test_a_closed_session_reserves_no_more() -> None:
    """Open holds still settle after the close; `with` may be entered again before it."""
    session = Budget("$1").session()
    with session, session:
        hold = session.reserve(cost="$0.10")
    hold2 = session.reserve(cost="$0.10")
    session.close()
    session.close()
    with pytest.raises(BursarError, match="closed"):
        session.reserve(cost="$0.10")
    hold.settle(cost="$0.05")
    hold2.release()
    assert session.spent == Decimal("0.05")


def test_trip_stops_a_session_and_those_below_it() -> None:
    """The kill switch refuses with its reason; other sessions go on, and untrip lets all go on."""
    budget = Budget("$1")
    session, other = budget.session(), budget.session()
    child = session.child_session()
    session.trip("runaway")
    with pytest.raises(Tripped, match="runaway") as refusal:
        child.reserve(cost="$0.01")
    assert refusal.value.reason == "runaway" and child.terminated_by == "tripped"
    other.reserve(cost="$0.01")
    budget.trip("all")
    with pytest.raises(Tripped):
        other.reserve(cost="$0.01")
    budget.untrip("mended")
    other.reserve(cost="$0.01")


def test_terminated_by_tells_the_last_refusal() -> None:
    """None before, the reason after, and None again once a call was admitted."""
    session = Budget("$1").session()
    assert session.terminated_by is None
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$2")
    assert session.terminated_by == "budget_exhausted" == session.report()["terminated_by"]
    session.reserve(cost="$0.10")
    assert session.terminated_by is None


def test_the_report_is_what_the_contract_says() -> None:
    """Every key of the public page, with the numbers of two calls, a tool, a refusal and a child."""
    clock = ManualClock(1_750_000_000)
    budget = Budget("$5", clock=clock, tool_prices={"search": "$0.05"})
    session = budget.session(id="sess", user="alice")
    session.reserve("gpt-4o", **CALL).settle(
        usage=Usage(800, 100, cached_input_tokens=400, reasoning_tokens=60)
    )
    session.reserve("gpt-4o-mini", **CALL).settle_unknown()
    hold = session.reserve(tool="search")
    hold.settle(cost=hold.amount)
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$6")
    session.child_session("$1", name="sub").reserve(cost="$0.10").settle(cost="$0.10")
    clock.advance(34.2)
    report = json.loads(json.dumps(session.report()))
    events, children = report.pop("events"), report.pop("children")
    # 400 fresh at $2.50, 400 cached at $1.25, 100 out at $10 a million; mini: 800 at $0.15, 200 at $0.60.
    assert report == {
        "session_id": "sess",
        "kind": "session",
        "budget": 5.0,
        "total_spent": 0.15274,
        "reserved": 0.0,
        "remaining": 4.84726,
        "breakdown": {
            "llm": {
                "total": 0.00274,
                "calls": 2,
                "tokens": {
                    "input": 800, "output": 100, "cached_input": 400, "cache_write": 0,
                    "reasoning": 60, "audio_input": 0, "audio_output": 0,
                },
                "by_model": {"gpt-4o": 0.0025, "gpt-4o-mini": 0.00024},
            },
            "tools": {"total": 0.15, "calls": 2, "by_tool": {"search": 0.05, "unnamed": 0.10}},
        },
        "limits": [
            {"limit": "$5/session", "spent": 0.15274, "reserved": 0.0, "remaining": 4.84726, "resets_at": None}
        ],
        "overruns": {"count": 0, "total": 0.0},
        "refusals": 1,
        "would_refuse": 0,
        "contended": 0,
        "clamped": 0,
        "truncated": 0,
        "estimated": 1,
        "saved": 0.0,
        "duration_seconds": pytest.approx(34.2),
        "terminated_by": "budget_exhausted",
        "durability": "memory",
        "sessions": 1,
        "metadata": {"user": "alice"},
    }  # fmt: skip
    assert [event["event"] for event in events] == ["charge", "charge", "charge", "refusal"]
    assert [(child["session_id"], child["total_spent"]) for child in children] == [("sub", 0.10)]
    assert budget.report()["total_spent"] == report["total_spent"]


def test_events_are_bounded_and_totals_are_not() -> None:
    """The newest thousand events stay; every charge is in the sum."""
    session = Budget().session()
    for _ in range(1_100):
        session.reserve(cost="$0.001").settle(cost="$0.001")
    report = session.report()
    assert len(report["events"]) == 1_000 and report["total_spent"] == 1.1


def test_a_tiny_amount_prints_without_exponent() -> None:
    """Half a micro-dollar reads as such."""
    session = Budget().session()
    session.reserve(cost="0.0000005").settle(cost="0.0000005")
    assert str(session.spent) == f"{session.spent}" == "0.0000005"


def test_as_session_takes_what_integrations_are_given() -> None:
    """A session stays itself; a budget and a limit open one each."""
    session = Budget("$1").session()
    assert as_session(session) is session
    assert as_session(Budget("$2")).remaining == 2
    assert as_session("$3").remaining == as_session(3).remaining == as_session(Limit("$3")).remaining == 3


def test_budgets_share_a_store_by_name() -> None:
    """Another name is another balance; the same name with other limits says what to do."""
    store = MemoryStore()
    Budget("$1/total", store=store, name="a").session().reserve(cost="$1")
    Budget("$1/total", store=store, name="b").session().reserve(cost="$1")
    with pytest.raises(BudgetExceeded):
        Budget("$1/total", store=store, name="a").session().reserve(cost="$0.01")
    for limits in (("$2/total",), ("$1/total", "$5")):
        with pytest.raises(LimitConflict, match="another name"):
            Budget(*limits, store=store, name="a").session().reserve(cost="$0.01")


def test_a_child_budget_counts_above_and_has_the_limits_of_both() -> None:
    """A tenant's sessions keep to the tenant's limits and to the root's."""
    root = Budget("$1", "$1.50/total")
    alice, bob = root.child("alice", "$0.80"), root.child("bob", "$0.60/total")
    with pytest.raises(BudgetExceeded, match="0.80"):
        alice.session().reserve(cost="$0.81")
    alice.session().reserve(cost="$0.80").settle(cost="$0.80")
    bob.session().reserve(cost="$0.60").settle(cost="$0.60")
    with pytest.raises(BudgetExceeded, match="0.60/total"):
        bob.session().reserve(cost="$0.01")
    with pytest.raises(BudgetExceeded, match="1.50/total"):
        alice.session().reserve(cost="$0.11")
    assert (alice.spent, bob.spent, root.spent) == (Decimal("0.8"), Decimal("0.6"), Decimal("1.4"))
    assert repr(alice) == "<Budget 'alice': $0.80/session>"


def test_a_store_called_from_within_itself_refuses() -> None:
    """A finaliser that lands in the middle of a step gets an error, not a deadlock or a torn balance."""
    errors: list[Exception] = []

    class Meddling(ManualClock):
        def now(self) -> float:
            try:
                if errors == [] and threading.current_thread() is threading.main_thread():
                    errors.append(BursarError("once"))
                    session.reserve(cost="$0.01")
            except BursarError as error:
                errors.append(error)
            return 1_750_000_000.0

    errors.append(BursarError("not yet"))
    session: Session = Budget("$1", clock=Meddling()).session()
    errors.clear()
    session.reserve(cost="$0.02")
    assert len(errors) == 2 and "within" in str(errors[1])
    assert session.reserved == Decimal("0.02")


def test_async_session_is_session() -> None:
    """Another name for readers who expect it; the worst case of a call is bounded like any amount."""
    session = Budget("$1").async_session(id="a")
    assert repr(session) == "<Session 'a'>" and session.remaining == 1
    with pytest.raises(UnpriceableCall, match="smaller n="):
        session.reserve("gpt-4o", input_tokens=1, n=10**9)
