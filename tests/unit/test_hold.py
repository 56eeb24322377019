"""Holds: what every outcome of a call books."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Hold, HoldClosed, Session, Usage
from bursar.integration import covered_hold
from bursar.testing import ManualClock

# gpt-4o: $2.50 in, $1.25 cached, $10 out a million. The hold is $0.004.
HELD = Decimal("0.004")


def reserve(session: Session) -> Hold:
    """The call that all tests here make."""
    return session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200)


@pytest.fixture
def session() -> Session:
    """A session with money enough."""
    return Budget("$1").session()


CHAT = {"model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 800, "completion_tokens": 100}}


@pytest.mark.parametrize(
    ("settle", "cost", "estimated"),
    [
        ({"input_tokens": 800, "output_tokens": 100}, "0.003", False),
        ({"usage": Usage(800, 100, cached_input_tokens=800)}, "0.002", False),
        ({"cost": "$0.0017"}, "0.0017", False),
        ({"cost": 0}, "0", False),
        ({"response": CHAT}, "0.003", False),
        ({"response": CHAT | {"model": "gpt-4o-mini"}}, "0.00018", False),
        ({"response": CHAT | {"model": "router/unheard-of"}}, "0.003", False),
        ({"response": CHAT, "estimated": True}, "0.003", True),
        ({"input_tokens": 800, "output_tokens": 100, "model": "gpt-4o-mini"}, "0.00018", False),
        ({"response": {}}, HELD, True),
        ({"response": None}, HELD, True),
        ({"response": {"usage": None}}, HELD, True),
        ({"response": {"usage": {}}}, HELD, True),
        ({"response": {"usage": {"prompt_tokens": None, "completion_tokens": None}}}, HELD, True),
        ({"response": {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}}, HELD, True),
        ({"response": {"usage": {"prompt_tokens": "many", "completion_tokens": 3}}}, HELD, True),
        ({"response": {"usage": {"prompt_tokens": -5, "completion_tokens": 3}}}, HELD, True),
        ({"response": {"usage": {"prompt_tokens": float("nan"), "completion_tokens": 3}}}, HELD, True),
        ({"input_tokens": 2**63, "output_tokens": 1}, HELD, True),
        ({"usage": Usage(10, 5, cached_input_tokens=11)}, HELD, True),
        ({"usage": Usage(10**10, 10**10)}, "125000", False),
    ],
)
def test_settle_books_what_is_known(
    session: Session, settle: dict[str, Any], cost: str, estimated: bool
) -> None:
    """Usable numbers are priced by the model that answered; none or nonsense is booked at the hold, never $0."""
    charge = reserve(session).settle(**settle)
    assert (charge.cost, charge.estimated) == (Decimal(cost), estimated)
    assert (session.spent, session.reserved, session.calls) == (Decimal(cost), 0, 1)


def test_an_answer_without_usage_counts_the_tokens_of_its_hold(session: Session) -> None:
    """A token limit cannot be slipped by an answer that says nothing."""
    reserve(session).settle({"usage": None})
    assert session.tokens_spent == 1_000


def test_settle_needs_something_to_settle_with(session: Session) -> None:
    """An empty settle is a mistake of the caller, and the hold stays open."""
    hold = reserve(session)
    with pytest.raises(TypeError, match="response"):
        hold.settle()
    assert hold.state == "reserved" and session.reserved == HELD


def test_settle_is_final(session: Session) -> None:
    """The same again answers the same; another amount, or a release, is an error."""
    hold = reserve(session)
    first = hold.settle(input_tokens=800, output_tokens=100)
    assert hold.settle(input_tokens=800, output_tokens=100).cost == first.cost
    with pytest.raises(HoldClosed):
        hold.settle(input_tokens=800, output_tokens=101)
    with pytest.raises(HoldClosed):
        hold.release()
    assert session.spent == Decimal("0.003") and hold.charge is not None


def test_an_overrun_is_booked_and_blocks(session: Session) -> None:
    """A bill above the hold is booked whole, named in the charge, and the next call is refused."""
    charge = reserve(session).settle(cost="$1.5")
    assert (charge.cost, charge.overrun) == (Decimal("1.5"), Decimal("1.496"))
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$0.01")


@pytest.mark.parametrize(
    ("policy", "observed", "cost"),
    [
        ("worst", None, "0.004"),
        ("worst", Usage(800, 50), "0.004"),
        ("worst", "$0.005", "0.005"),
        ("observed", None, "0.002"),
        ("observed", Usage(800, 50), "0.0025"),
        ("observed", Usage(10, 0), "0.002"),
        ("observed", Usage(-1, 0), "0.002"),
        ("release", None, "0"),
        ("release", Usage(800, 50), "0.0025"),
    ],
)
def test_an_unknown_outcome_is_booked_as_the_budget_says(policy: Any, observed: Any, cost: str) -> None:
    """The hold, what was seen but at least the input, or only what was seen; a late settle corrects each."""
    session = Budget("$1", unknown_outcome=policy).session()
    hold = reserve(session)
    charge = hold.settle_unknown(observed)
    assert (charge.cost, charge.estimated, hold.state) == (Decimal(cost), True, "in_doubt")
    assert (session.spent, session.reserved) == (Decimal(cost), 0)
    hold.settle(input_tokens=800, output_tokens=100)
    assert session.spent == Decimal("0.003")
    assert hold.settle_unknown().cost == Decimal("0.003")


class Refused(Exception):
    """A complete error answer, in the shape that the SDKs raise."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "spent"),
    [
        (Refused(429), 0),
        (Refused(400), 0),
        (Refused(500), 0),
        (Refused(529), 0),
        (ConnectionRefusedError(), 0),
        (Refused(408), HELD),
        (Refused(504), HELD),
        (TimeoutError(), HELD),
        (ConnectionResetError(), HELD),
        (KeyboardInterrupt(), HELD),
        (asyncio.CancelledError(), HELD),
        (RuntimeError("a bug of the caller's"), HELD),
        (None, HELD),
    ],
)
@pytest.mark.parametrize("how", ["sync", "async"])
def test_leaving_a_with_applies_the_outcome_rules(
    error: BaseException | None, spent: Decimal, how: str
) -> None:
    """What was provably not billed is given back; all else, also a forgotten settle, is booked."""
    session = Budget("$1").session()

    async def leave() -> None:
        async with session.areserve("gpt-4o", input_tokens=800, max_output_tokens=200):
            if error is not None:
                raise error

    try:
        if how == "async":
            asyncio.run(leave())
        else:
            with reserve(session):
                if error is not None:
                    raise error
    except BaseException as raised:
        assert (
            raised is error or type(raised) is type(error) is asyncio.CancelledError
        )  # a new one before 3.11
    assert (session.spent, session.reserved) == (spent, 0)


def test_the_error_of_a_refused_settle_does_not_hide(session: Session) -> None:
    """Inside `with` a settled hold is left alone, whatever happens afterwards."""
    with pytest.raises(ZeroDivisionError), reserve(session) as hold:
        hold.settle(cost="$0.001")
        raise ZeroDivisionError
    assert session.spent == Decimal("0.001")


def test_release_gives_back_and_counts_what_a_cache_saved(session: Session) -> None:
    """Nothing is spent; the report shows what the same call would have cost."""
    hold = reserve(session)
    hold.release(saved=Usage(800, 100))
    hold.release()
    assert (session.spent, session.reserved, hold.state) == (0, 0, "released")
    assert session.report()["saved"] == 0.003 and session.calls == 0


def test_a_lease_ends_in_the_worst_case_and_can_be_extended() -> None:
    """A hold that nobody closes is booked; one that is extended is not yet."""
    clock = ManualClock(1_750_000_000)
    session = Budget("$1", lease="10s", clock=clock).session()
    lost, kept, longest = reserve(session), reserve(session), reserve(session)
    clock.advance(9)
    kept.extend()
    longest.extend("30s")
    clock.advance(9)
    assert (session.spent, session.reserved) == (HELD, 2 * HELD)
    clock.advance(2)
    assert (session.spent, session.reserved) == (2 * HELD, HELD)
    lost.settle(input_tokens=800, output_tokens=100)
    assert session.spent == HELD + Decimal("0.003")


def test_a_finaliser_leaves_its_outcome_for_the_next_step(session: Session) -> None:
    """An abandoned generator books its hold without touching the store from within the collector."""

    def stream() -> Iterator[int]:
        with reserve(session):
            yield 1
            yield 2

    chunks = stream()
    assert next(chunks) == 1
    del chunks
    gc.collect()
    assert (session.spent, session.reserved) == (HELD, 0)


def test_abandon_of_a_closed_hold_does_nothing(session: Session) -> None:
    """A finaliser may come long after the settle."""
    hold = reserve(session)
    hold.settle(cost="$0.001")
    hold.abandon()
    assert session.spent == Decimal("0.001")


def test_resolve_closes_by_the_error(session: Session) -> None:
    """A refusal of the server gives back; a break in the middle books; afterwards nothing more happens."""
    hold = reserve(session)
    hold.resolve(Refused(429))
    assert hold.state == "released"
    cut = reserve(session)
    cut.resolve(Refused(429), observed=Usage(800, 5))
    assert cut.state == "in_doubt" and session.spent == HELD
    cut.resolve(Refused(429))
    assert session.spent == HELD


def test_a_hold_covers_what_is_sent_inside(session: Session) -> None:
    """Layers below find it in the context, inside `with` and inside `cover()`, and not afterwards."""
    assert covered_hold() is None
    with reserve(session) as hold:
        assert covered_hold() is hold
    assert covered_hold() is None
    hold = reserve(session)
    with hold.cover() as same:
        assert covered_hold() is same is hold
    assert covered_hold() is None


def test_async_twins_do_what_the_sync_methods_do(session: Session) -> None:
    """Each returns what its sync twin returns, awaited or entered."""

    async def work() -> None:
        hold = await session.areserve("gpt-4o", input_tokens=800, max_output_tokens=200)
        await hold.aextend("1h")
        assert (await hold.asettle_unknown()).cost == HELD
        assert (await hold.asettle(CHAT)).cost == Decimal("0.003")
        await (await session.areserve(cost="$0.10")).arelease()
        await (await session.areserve(cost="$0.10")).aresolve(Refused(429))
        async with session as same, session.areserve(cost="$0.25") as entered:
            assert same is session and covered_hold() is entered
            await entered.asettle(cost="$0.25")
        with pytest.raises(BudgetExceeded):
            await session.areserve(cost="$1")
        assert (await session.abalance()).spent == Decimal("0.253")
        assert (await session.areport())["total_spent"] == 0.253
        await session.atrip("enough")
        await session.aclose()

    asyncio.run(work())
    assert session.spent == Decimal("0.253")


def test_a_double_cancellation_cannot_lose_a_settle(session: Session) -> None:
    """A settle in `finally` is carried out although the task is cancelled twice."""

    async def agent() -> None:
        hold = await session.areserve("gpt-4o", input_tokens=800, max_output_tokens=200)
        try:
            await asyncio.sleep(60)
        finally:
            await hold.asettle_unknown()

    async def main() -> None:
        task = asyncio.create_task(agent())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (session.spent, session.reserved) == (HELD, 0)


def test_a_hold_shows_itself(session: Session) -> None:
    """Its id, state and amount; nothing of the request."""
    hold = reserve(session)
    assert repr(hold) == f"<Hold {hold.id} reserved $0.004>" and hold.call.input_tokens == 800
    assert session.reserve(cost=1 - Decimal("0.5")).max_output_tokens is None


def test_a_tool_settles_at_its_price_without_arguments() -> None:
    """Where the cost was known from the start nothing needs to be said; an async step drains what was abandoned."""
    session = Budget("$1", tool_prices={"search": "$0.01"}).session()
    session.reserve(cost="$0.02").abandon()

    async def work() -> None:
        await (await session.areserve(tool="search")).asettle()

    asyncio.run(work())
    assert session.spent == Decimal("0.03")


def test_an_abandoned_call_that_cannot_be_booked_disturbs_nobody(session: Session) -> None:
    """The next step goes on although what a finaliser left behind fails; twice abandoned is booked once."""
    hold = reserve(session)
    hold.abandon()
    session._ledger.store.release(hold.id, session._path, {})
    assert session.reserve(cost="$0.5").keep().state == "reserved"
    again = reserve(session)
    again.abandon()
    again.abandon()
    assert session.spent == HELD


def test_a_token_class_without_a_price_is_booked_at_the_hold() -> None:
    """Audio from a model that has no price for it is not free: the hold is what is known."""
    session = Budget("$1", prices={"mine": (2.5, 10)}).session()
    hold = session.reserve("mine", input_tokens=800, max_output_tokens=200)
    charge = hold.settle(usage=Usage(800, 100, audio_input_tokens=10))
    assert (charge.cost, charge.estimated) == (HELD, True)


def test_a_model_that_is_free_by_policy_answers_under_any_name() -> None:
    """Neither the model asked for nor the one that answers has a price: the policy has."""
    session = Budget("$0", unknown_model="free").session()
    hold = session.reserve("local/llama", input_tokens=800, max_output_tokens=200)
    assert hold.settle(CHAT | {"model": "llama.gguf"}).cost == 0 and session.calls == 1


def test_a_cost_that_was_given_is_corrected_by_the_answer() -> None:
    """A call held at the caller's own figure is charged by the usage that it tells; a tool has no price a token."""
    session = Budget("$1").session()
    answer = {"model": "gpt-4o", "usage": {"prompt_tokens": 1_000, "completion_tokens": 100}}
    assert session.reserve("gpt-4o", cost="$0.50").settle(answer).cost * 10**9 == 1_000 * 2_500 + 100 * 10_000
    charge = session.reserve(tool="search", cost="$0.01").settle(usage=Usage(1, 1))
    assert charge.cost * 100 == 1 and charge.estimated


@pytest.mark.parametrize(
    ("cap", "limit", "binding"),
    [(100, "$1", 100), (None, "$1", None), (50_000, "$2", None), (None, "$0.01", 900), (0, "$1", None)],
)
def test_a_cap_binds_where_the_models_own_is_higher(cap: int | None, limit: str, binding: int | None) -> None:
    """Only then does the request need to carry it: asked for, or clamped to what is left."""
    hold = Budget(limit).session().reserve("gpt-4o", input_tokens=400, max_output_tokens=cap)
    assert hold.binding_cap == binding


@pytest.mark.parametrize("kept", [False, True], ids=["dropped", "kept"])
def test_a_hold_that_is_dropped_is_booked_as_unknown(
    kept: bool, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """With one warning, before the next step; `keep` leaves it to its lease."""
    hold = reserve(session)
    if kept:
        assert hold.keep() is hold
    del hold
    gc.collect()
    dropped = Decimal(0) if kept else HELD
    assert (session.spent, session.reserved) == (dropped, HELD - dropped)
    assert [record.levelname for record in caplog.records if "keep()" in record.message] == ["WARNING"] * (
        not kept
    )
    assert session.report()["estimated"] == int(not kept)


def test_only_the_first_hold_of_a_key_is_booked_when_it_is_dropped(session: Session) -> None:
    """A repeated one is another view of the same money."""
    first = session.reserve(cost="$0.50", key="a")
    assert session.reserve(cost="$0.50", key="a").repeated
    gc.collect()
    assert session.reserved == Decimal("0.50") and first.state == "reserved"
    first.release()


def test_a_hold_that_was_covered_is_not_booked_when_it_is_dropped(session: Session) -> None:
    """Whoever sends on it says what came of it."""
    with contextlib.closing(reserve(session).cover()):
        pass
    gc.collect()
    assert (session.spent, session.reserved) == (0, HELD)
