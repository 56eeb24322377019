"""What becomes of a call between the hooks before and after it: every end, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bursar import BursarError, Usage
from bursar.integration import TOKENS_PER_ANSWER, OpenCall, Result
from bursar.store.memory import MemoryStore

from .toy_hooks import ASKED, Hooks, Plugin

pytestmark = pytest.mark.usefixtures("_nobody_pays")

USAGE = Usage(10, 5)
COST = Decimal("0.000075")


def blocking(call: OpenCall, verb: str, *args: Any) -> None:
    getattr(call, verb)(*args)


def awaited(call: OpenCall, verb: str, *args: Any) -> None:
    asyncio.run(getattr(call, f"a{verb}")(*args))


both = pytest.mark.parametrize("do", [blocking, awaited])
Do = Callable[..., None]


def opened(hooks: Hooks, **settings: Any) -> OpenCall:
    call = OpenCall("run", **settings)
    hooks.admit(call)
    return call


@both
@pytest.mark.parametrize(
    ("result", "hidden", "output", "state", "estimated"),
    [
        (Result(USAGE, finished=True), True, 5, "settled", False),
        (Result(USAGE), True, 5, "settled", False),
        (Result(finished=True, text_tokens=7), False, 7, "settled", True),
        (Result(finished=True, text_tokens=999), False, 50, "settled", True),
        (Result(finished=True), False, TOKENS_PER_ANSWER, "settled", True),
        (Result(finished=True, text_tokens=7), True, None, "settled", True),
        (Result(text_tokens=7), False, None, "in_doubt", True),
        (Result(), False, None, "in_doubt", True),
    ],
)
def test_an_answer_is_booked_by_the_best_that_is_known(
    result: Result, hidden: bool, output: int | None, state: str, estimated: bool, do: Do
) -> None:
    """The provider's count, else the visible text, else the whole hold; in doubt if it may have broken."""
    hooks = Hooks("$1")
    call = opened(hooks, hidden=hidden)
    assert call.hold is not None
    worst, sent = call.hold.amount, call.hold.call.input_tokens
    do(call, "settle", result)
    charge = call.hold.charge
    assert charge is not None and (call.hold.state, charge.estimated) == (state, estimated)
    by_text = None if output is None else (sent * 25 + output * 100) * Decimal("0.0000001")
    assert charge.cost == (COST if result.usage else worst if by_text is None else by_text)


@both
def test_a_cached_answer_gives_the_hold_back(do: Do) -> None:
    """Nothing was sent; what it would have cost counts as saved."""
    hooks = Hooks("$1")
    call = opened(hooks)
    do(call, "settle", Result(USAGE, cached=True))
    assert (hooks.session.spent, hooks.session.reserved) == (0, 0)
    assert hooks.session.report()["saved"] == float(COST)


@both
@pytest.mark.parametrize("state", ["settled", "in_doubt"])
def test_what_a_client_below_has_booked_is_left_alone(state: str, do: Do) -> None:
    """It knows more: it has seen the retries, and the true end of the stream."""
    hooks = Hooks("$1")
    call = opened(hooks)
    assert call.hold is not None and call.is_open
    call.hold.settle(usage=Usage(1, 1)) if state == "settled" else call.hold.settle_unknown()
    before = hooks.session.spent
    do(call, "settle", Result(USAGE, finished=True))
    do(call, "fail", OSError())
    assert not call.is_open and (call.hold.state, hooks.session.spent) == (state, before)


@both
def test_a_late_end_corrects_what_was_lost(do: Do) -> None:
    """Booked at the worst when it seemed lost, exactly when its end came."""
    hooks = Hooks("$1")
    call = opened(hooks)
    call.lose()
    assert call.hold is not None
    assert (hooks.session.spent, call.is_open, call.given) == (call.hold.amount, True, None)
    do(call, "settle", Result(USAGE))
    assert hooks.session.spent == COST


@both
@pytest.mark.parametrize(
    ("error", "result", "state", "cost"),
    [
        (ConnectionRefusedError(), Result(), "released", Decimal(0)),
        (TimeoutError(), Result(), "in_doubt", None),
        (TimeoutError(), Result(text_tokens=3), "in_doubt", None),
        (ConnectionRefusedError(), Result(Usage(1, 1)), "in_doubt", None),
        (TimeoutError(), Result(USAGE, finished=True), "settled", COST),
    ],
)
def test_a_failure_is_booked_by_what_it_proves(
    error: Exception, result: Result, state: str, cost: Decimal | None, do: Do
) -> None:
    """Never sent: free. An answer that was whole: exact. Else in doubt, at the worst case."""
    hooks = Hooks("$1")
    call = opened(hooks)
    do(call, "fail", error, result)
    assert call.hold is not None and call.hold.state == state
    assert hooks.session.spent == (call.hold.amount if cost is None else cost)


@both
@pytest.mark.parametrize("verb", ["fail", "lose"])
def test_a_call_that_is_left_touches_no_store(verb: str, do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector may end a generator within the store; it is booked before the next step."""
    hooks = Hooks("$1")
    call = opened(hooks)
    assert call.hold is not None

    def busy(*_: object) -> None:
        raise AssertionError("the store was touched")

    with monkeypatch.context() as patch:
        for name in ("doubt", "settle", "release"):
            patch.setattr(MemoryStore, name, busy)
        if verb == "lose":
            call.lose(GeneratorExit())
        else:
            do(call, "fail", GeneratorExit(), Result(text_tokens=1))
    assert call.hold.state == "reserved"
    hooks.session.reserve(cost=0).release()
    assert call.hold.state == "in_doubt" and hooks.session.spent == call.hold.amount


@both
def test_a_promised_call_that_is_left_touches_no_store(do: Do, covered: Plugin) -> None:
    """What arrived of it, if anything, is booked before the ledger's next step, as nobody claimed it."""
    hooks = Hooks("$1")
    for seen, cost in ((Result(), Decimal(0)), (Result(USAGE), COST)):
        call = OpenCall("run")
        hooks.admit(call, sdk="openai")
        do(call, "fail", GeneratorExit(), seen)
        assert hooks.session._ledger._late or not cost
        hooks.session.reserve(cost=0).release()
        assert hooks.session.spent == cost


@both
def test_a_failure_of_a_promised_call_books_what_came_around(do: Do, covered: Plugin) -> None:
    """Nothing, where nothing arrived; what arrived, where nobody else has seen it."""
    hooks, call = Hooks("$1"), OpenCall("run")
    hooks.admit(call, sdk="openai")
    do(call, "fail", TimeoutError())
    assert hooks.session.spent == 0
    do(call, "fail", TimeoutError(), Result(USAGE))
    do(call, "settle", Result(USAGE))
    assert hooks.session.spent == COST


def test_a_promised_call_that_is_lost_or_withdrawn_is_the_sdks(covered: Plugin) -> None:
    """The SDK holds and books it; here nothing is paid, and the promise ends."""
    hooks = Hooks("$1")
    for end in (OpenCall.lose, OpenCall.withdraw):
        call = OpenCall("run")
        hooks.admit(call, sdk="openai")
        call.hold = hooks.session.reserve("gpt-4o", input_tokens=1, max_output_tokens=1)
        end(call)
        assert call.promise is not None and not call.promise.active
        assert call.hold.state == "reserved"
        call.hold.release()


@both
def test_the_run_of_a_tool_costs_what_was_held(do: Do) -> None:
    """At its end, or when it is lost: it has run."""
    hooks = Hooks("$1")
    for end in ("pay", "lose"):
        call = OpenCall("tool", is_tool=True)
        hooks.admit(call, {"tool": "search", "cost": "0.10"})
        call.lose() if end == "lose" else do(call, "pay")
        do(call, "pay")  # a late end
    assert hooks.session.spent == Decimal("0.20")


@both
def test_a_call_that_nobody_pays_for(do: Do) -> None:
    """One that was not admitted cannot be booked, and has nothing to give back."""
    call = OpenCall("run")
    call.lose()
    call.withdraw()
    do(call, "pay")
    with pytest.raises(BursarError, match="'run' was not admitted"):
        do(call, "settle", Result(USAGE))


@both
def test_the_call_of_a_session_beside_has_no_hold_before_it_is_sent(do: Do, covered: Plugin) -> None:
    """A refusal on the promise ends it without a cost."""
    hooks, call = Hooks("$1"), OpenCall("run")
    call.account = hooks.session
    do(call, "settle", Result(USAGE))
    do(call, "fail", OSError())
    assert hooks.session.spent == 0


def test_calls_are_told_apart_by_what_their_hooks_were_given() -> None:
    """The very same objects: one call. Others, or more, or none any more: another one."""
    one, two = object(), object()
    call = OpenCall("run", (one, two))
    assert call.is_call_of(OpenCall("run", (one, two)))
    for other in (("run", (one, one)), ("run", (one,)), ("run", None), ("stop", (one, two))):
        assert not call.is_call_of(OpenCall(*other))
    assert OpenCall("run", ()).is_call_of(OpenCall("run", ())) and not OpenCall("run").is_call_of(call)
    assert not OpenCall("run").is_call_of(OpenCall("run"))
    assert OpenCall("run").number < OpenCall("run").number


def test_withdrawing_leaves_what_is_booked() -> None:
    """A call that was sent in spite of all is not free."""
    hooks = Hooks("$1")
    call = opened(hooks)
    assert call.hold is not None
    call.hold.settle(usage=USAGE)
    call.withdraw()
    assert hooks.session.spent == COST
    assert ASKED["model"] == call.hold.call.model
