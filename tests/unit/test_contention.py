"""Calls that only others in flight keep out: they wait, are served in turn, and never wait for themselves."""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from bursar import Alert, Budget, BudgetExceeded, BursarError, Hold, Tripped
from bursar.ledger import queue
from bursar.store import MemoryStore

from .waits import auntil, held_elsewhere, in_a_loop, join, reserving, start, until, waiting

MODEL = "gpt-5.2"  # writes up to 128,000 tokens for $1.79
INPUT, OUTPUT = 100, 25


@pytest.fixture
def _nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait hear of changes, or of nothing."""
    monkeypatch.setattr(queue, "LOOK_S", (1e6, 1e6))


# -- all are served ---------------------------------------------------------------------------


def test_fifty_threads_are_all_served_on_a_budget_that_holds_one_worst_case() -> None:
    """Each with the cap that is worth waiting for, or more; nothing stays reserved."""
    session, caps, ready = Budget("$1").session(), [], threading.Barrier(50)

    def call() -> None:
        ready.wait(30)
        with session.reserve(MODEL, input_tokens=INPUT) as hold:
            caps.append(hold.max_output_tokens)
            time.sleep(0.05)
            hold.settle(input_tokens=INPUT, output_tokens=OUTPUT)

    join(start(*[call] * 50))
    assert session.calls == len(caps) == 50 and min(caps) == 8_192
    assert session.spent == 50 * Decimal("0.000525") and session.reserved == 0
    assert session.report()["refusals"] == 0 and session.report()["contended"] > 0


@in_a_loop
async def test_fifty_tasks_are_all_served() -> None:
    """The same without a thread."""
    session = Budget("$1").session()

    async def call() -> None:
        async with session.areserve(MODEL, input_tokens=INPUT) as hold:
            await asyncio.sleep(0.01)
            await hold.asettle(input_tokens=INPUT, output_tokens=OUTPUT)

    await asyncio.gather(*(call() for _ in range(50)))
    assert session.calls == 50 and session.reserved == 0 and session.report()["refusals"] == 0


@pytest.mark.parametrize(("callers", "most"), [(1, 36_000), (3, 9_000)])
def test_a_call_that_others_wait_behind_leaves_them_their_share(callers: int, most: int) -> None:
    """When all has been given back at once, the first in line takes a half of it only where it is alone."""
    session, caps = Budget("$1").session(), list[int]()
    hold = contextvars.Context().run(session.reserve, cost="$1")

    def call() -> None:
        caps.append(session.reserve(MODEL, input_tokens=INPUT).keep().max_output_tokens or 0)

    threads = start(*[call] * callers)
    until(lambda: waiting(session) == callers)
    hold.release()
    join(threads)
    assert len(caps) == callers and most * 3 // 4 < max(caps) <= most


def test_calls_that_write_all_they_may_never_pass_the_limit() -> None:
    """Each refusal is a real one: what is left in the end is less than the smallest call costs."""
    session, bill, refused = Budget("$1").session(), [], []

    def call() -> None:
        try:
            with session.reserve(MODEL, input_tokens=INPUT) as hold:
                output = hold.max_output_tokens or 0
                bill.append(Decimal(INPUT * 175 + output * 1_400) / 10**8)
                hold.settle(input_tokens=INPUT, output_tokens=output)
        except BudgetExceeded as refusal:
            refused.append(refusal)

    join(start(*[call] * 50))
    smallest = Decimal(INPUT * 175 + 16 * 1_400) / 10**8
    assert sum(bill) == session.spent <= 1 and session.reserved == 0
    assert 1 - sum(bill) < smallest and len(bill) + len(refused) == 50
    assert not any("in flight" in str(refusal) and "waited" in str(refusal) for refusal in refused)


def test_a_lone_agent_gets_whole_answers() -> None:
    """Of ten answers of 20,000 tokens at least seven are whole, as without a share at most three more are."""
    for model, price, limit in (
        ("gpt-5.2", "14", "$3"),
        ("claude-opus-4-5", "25", "$5"),
        ("claude-haiku-4-5", "5", "$1"),
    ):
        whole = {}
        for share in (0.125, 1):
            session, answers = Budget(limit, max_share=share).session(), 0
            for _ in range(14):
                with suppress(BudgetExceeded), session.reserve(model, input_tokens=10) as hold:
                    wrote = min(20_000, hold.max_output_tokens or 0)
                    answers += wrote == 20_000
                    hold.settle(input_tokens=10, output_tokens=wrote)
            whole[share] = answers
        assert whole[0.125] >= min(7, whole[1] - 3), (model, price, whole)


def test_a_small_budget_lowers_no_cap_before_it_has_to() -> None:
    """On five cents a call of gpt-4o is not cut below 2,000 tokens until less than that is left."""
    session = Budget("$0.05").session()
    for _ in range(20):
        before = session.remaining
        with session.reserve("gpt-4o", input_tokens=10) as hold:
            assert (hold.max_output_tokens or 0) >= 2_000 or before < Decimal("0.0201")
            hold.settle(input_tokens=10, output_tokens=200)


# -- what ends a wait -------------------------------------------------------------------------


class Watched(MemoryStore):
    """Tells when a call was asked for again."""

    def __init__(self) -> None:
        super().__init__()
        self.asks = 0

    def reserve(self, *arguments: Any) -> Any:  # type: ignore[override]
        """Counted."""
        answer = super().reserve(*arguments)
        self.asks += 1
        return answer


@pytest.mark.usefixtures("_nobody_looks")
@pytest.mark.parametrize(
    "act",
    [
        lambda budget, session, hold: hold.settle(cost="$0.10"),
        lambda budget, session, hold: hold.release(),
        lambda budget, session, hold: hold.settle_unknown(),
        lambda budget, session, hold: budget.set_limit("$9/total"),
        lambda budget, session, hold: budget.reset("anew"),
        lambda budget, session, hold: session.untrip("looked into"),
        lambda budget, session, hold: budget.correct("-$0.01", "the bill says so"),
        lambda budget, session, hold: hold.abandon(),
    ],
    ids=["settle", "release", "doubt", "set_limit", "reset", "untrip", "correct", "finaliser"],
)
def test_whatever_may_make_room_has_the_first_in_line_ask_again(act: Callable[..., object]) -> None:
    """With nobody looking by himself; so each of these tells it."""
    store = Watched()
    budget = Budget("$1/total", store=store)
    session, other = budget.session(), budget.session()
    hold = session.reserve(cost="$0.90")
    results: list[object] = []

    def call() -> None:
        try:
            results.append(other.reserve(cost="$0.20"))
        except BudgetExceeded as refusal:
            results.append(refusal)

    threads = start(call)
    until(lambda: waiting(other))
    until(lambda: store.asks >= 2)
    asks = store.asks
    act(budget, session, hold)
    until(lambda: store.asks > asks, 10)
    session.trip("the end")
    budget.trip("the end")
    join(threads)
    assert len(results) == 1


@pytest.mark.usefixtures("_nobody_looks")
def test_the_end_of_a_lease_ends_a_wait() -> None:
    """What is held is booked then, so that the call is refused; nobody had to look."""
    budget, ended = Budget("$1/total"), list[str]()
    hold = held_elsewhere(budget, "$0.90")
    hold.extend(0.3)

    def call() -> None:
        with pytest.raises(BudgetExceeded, match="raise the limit"):
            budget.session().reserve(cost="$0.20")
        ended.append("refused")

    start(call)
    until(lambda: ended, 10)


@pytest.mark.usefixtures("_nobody_looks")
def test_those_who_wait_are_served_in_the_order_of_their_coming() -> None:
    """Each release lets the first one in, and nobody passes by."""
    budget = Budget("$1/total")
    holds, served = [budget.session().reserve(cost="$0.90")], []

    def call(number: int) -> None:
        holds.append(budget.session().reserve(cost="$0.90"))
        served.append(number)

    threads = []
    for number in range(12):
        threads += start(lambda number=number: call(number))  # type: ignore[misc]
        until(lambda number=number: waiting(budget.session()) == number + 1)
    for count in range(12):
        holds[count].release()
        until(lambda count=count: len(served) == count + 1)
    join(threads)
    assert served == list(range(12))


@pytest.mark.usefixtures("_nobody_looks")
@in_a_loop
async def test_a_thousand_waiters_all_end_whatever_becomes_of_them() -> None:
    """Settled, released, cancelled while they wait or hold: no wait is left over, and each is in its turn."""
    dice, session = random.Random(7), Budget("$1").session()
    many = 1_000 if isinstance(session._ledger.store, MemoryStore) else 100
    served: list[int] = []
    before = held_elsewhere(session, "$0.90")

    async def call(number: int) -> None:
        hold = await session.areserve(cost="$0.30")
        served.append(number)
        await asyncio.sleep(0)
        end = dice.choice((hold.arelease, lambda: hold.asettle(cost="$0.0002"), hold.arelease))
        await end()

    tasks = [asyncio.create_task(call(0))]
    await auntil(lambda: waiting(session))
    tasks += [asyncio.create_task(call(number)) for number in range(1, many)]
    await auntil(lambda: waiting(session) == many)
    before.release()
    doomed = dice.sample(tasks, many // 4)
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0.001)
        for task in (doomed.pop() for _ in range(min(2, len(doomed)))):
            task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ended} <= {type(None), asyncio.CancelledError}
    assert served == sorted(served) and len(served) > many // 2
    assert waiting(session) == 0
    for hold in session._ledger.store.holds("default").holds:  # those that were cancelled before they ended
        session._ledger.store.release(hold.id, session._path, {})
    assert session.reserved == 0


def test_a_wait_ends_without_progress_and_takes_what_is_there() -> None:
    """Down to the smallest useful cap; a call that needs more is refused, and says what is held."""
    budget = Budget("$1/total", wait=0.05, alerts="inline")
    hold = held_elsewhere(budget, "$0.95")
    session, alerts = budget.session(), list[Alert]()
    budget.on_alert(alerts.append)
    lowered = session.reserve(MODEL, input_tokens=INPUT)
    assert lowered.clamped and (lowered.max_output_tokens or 0) < 8_192
    lowered.release()
    with pytest.raises(
        BudgetExceeded, match=r"\$0\.95 of it is held by calls in flight; waited 0\.\d+ s"
    ) as refusal:
        session.reserve(cost="$0.10")
    assert refusal.value.retry_after is None and refusal.value.status_code == 402
    assert not alerts and session.terminated_by == "budget_exhausted"
    hold.settle(cost="$0.95")
    with pytest.raises(BudgetExceeded, match="raise the limit"):
        session.reserve(cost="$0.10")
    assert [alert.kind for alert in alerts] == ["soft_limit", "hard_limit"]


def test_fifty_contended_calls_tell_nobody_that_the_limit_is_reached() -> None:
    """All are refused since the money is held, and no alert is sent or due; when it is spent, one."""
    budget = Budget("$1/total", wait=0.05, soft_limit=None, alerts="inline")
    hold = held_elsewhere(budget, "$0.95")
    alerts, refused = list[Alert](), list[BudgetExceeded]()
    budget.on_alert(alerts.append)

    def call() -> None:
        with pytest.raises(BudgetExceeded) as refusal:
            budget.session().reserve(cost="$0.10")
        refused.append(refusal.value)

    join(start(*[call] * 50))
    store: Any = budget._ledger.store
    assert len(refused) == 50 and all("held by calls in flight" in str(error) for error in refused)
    assert alerts == [] and store.alerts("default").alerts == ()
    hold.settle(cost="$0.95")
    join(start(*[call] * 50))
    assert len(refused) == 100 and [alert.kind for alert in alerts] == ["hard_limit"]
    assert [alert.id for alert in store.alerts("default").alerts] == [alerts[0].id]


def test_progress_starts_the_wait_anew() -> None:
    """Three calls that end one after the other, each within the wait, keep a fourth waiting longer than that."""
    budget = Budget("$1/total", wait="2s")
    holds = [held_elsewhere(budget, "$0.30") for _ in range(3)]
    session, done = budget.session(), list[Hold]()
    began = time.monotonic()
    threads = start(lambda: done.append(session.reserve(cost="$0.95")))
    for hold in holds:
        time.sleep(1)
        assert not done
        hold.release()
    join(threads)
    assert len(done) == 1 and time.monotonic() - began > 2


def test_no_wait_asks_once() -> None:
    """``wait=0`` refuses at once what is only held, and counts nothing as contended."""
    budget = Budget("$1/total", wait=0)
    held_elsewhere(budget, "$0.95")
    with pytest.raises(BudgetExceeded, match="in flight; let them end first"):
        budget.session().reserve(cost="$0.10")
    assert budget.report()["contended"] == 0 and budget.report()["refusals"] == 1


@pytest.mark.parametrize("order", ["trip", "close"])
def test_a_trip_or_the_end_of_its_session_ends_a_wait(order: str) -> None:
    """At once, with the error that a reserve there would raise."""
    budget = Budget("$1/total")
    held_elsewhere(budget, "$0.95")
    session, errors = budget.session(), list[BaseException]()

    def call() -> None:
        try:
            session.reserve(cost="$0.10")
        except BursarError as error:
            errors.append(error)

    threads = start(call)
    until(lambda: waiting(session))
    session.trip("stop") if order == "trip" else session.close()
    join(threads)
    (error,) = errors
    assert isinstance(error, Tripped) if order == "trip" else "closed" in str(error)
    assert waiting(session) == 0


@in_a_loop
async def test_a_cancelled_wait_passes_its_turn_on() -> None:
    """Nothing is reserved for it, and the next one in line is served."""
    budget = Budget("$1/total")
    hold = held_elsewhere(budget, "$0.95")
    first = asyncio.create_task(reserving(budget.session()))
    await auntil(lambda: waiting(budget.session()))
    second = asyncio.create_task(reserving(budget.session()))
    await auntil(lambda: waiting(budget.session()) == 2)
    await hold.arelease()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await (await first).arelease()
    assert (await second).amount == Decimal("0.9")
    await (await second).arelease()
    await auntil(lambda: budget.report()["reserved"] == 0)


@in_a_loop
async def test_a_running_loop_is_never_blocked() -> None:
    """A synchronous reserve in it is refused at once and says what helps; one that is awaited waits."""
    budget = Budget("$1/total")
    hold = held_elsewhere(budget, "$0.95")
    session = budget.session()
    with pytest.raises(BudgetExceeded, match=r"await areserve\(\)"):
        session.reserve(cost="$0.10")
    waits = asyncio.create_task(reserving(session))
    await auntil(lambda: waiting(session))
    hold.release()
    assert (await waits).amount == Decimal("0.9")


def test_a_process_that_waits_looks_at_most_twenty_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of its calls wait; and it does look, for what other processes have done."""
    budget, asks = Budget("$1/total"), [0]
    hold, store = held_elsewhere(budget, "$0.95"), budget._ledger.store
    reserve = store.reserve

    def counted(*arguments: Any) -> Any:
        asks[0] += 1
        return reserve(*arguments)

    monkeypatch.setattr(store, "reserve", counted)
    session, began = budget.session(), time.monotonic()
    threads = start(*[lambda: session.reserve(cost="$0.10").release()] * 20)
    until(lambda: waiting(session) == 20)
    first = asks[0]
    until(lambda: asks[0] >= first + 3)
    assert asks[0] - 20 <= 20 * (time.monotonic() - began) + 1
    hold.release()
    join(threads)


# -- never for oneself ------------------------------------------------------------------------


def test_two_holds_in_a_row_do_not_wait_for_each_other() -> None:
    """The second one of a thread is refused at once, and says who holds what it needs."""
    session = Budget("$1", wait="15s").session()
    session.reserve(cost="$0.60").keep()
    with pytest.raises(BudgetExceeded, match="this thread or task holds too much of it itself"):
        session.reserve(cost="$0.60")
    assert session.reserve(MODEL, input_tokens=INPUT).max_output_tokens


@in_a_loop
async def test_two_holds_of_a_task_do_not_wait_for_each_other() -> None:
    """Nor do they where a child session asks, or a task that was started with the first one open."""
    session = Budget("$1").session()
    (await session.areserve(cost="$0.60")).keep()
    for asks in (session, session.child_session()):
        with pytest.raises(BudgetExceeded, match="itself"):
            await asks.areserve(cost="$0.60")
    with pytest.raises(BudgetExceeded, match="itself"):
        await asyncio.create_task(reserving(session))


def test_a_tool_that_calls_is_not_behind_those_who_wait_for_it() -> None:
    """What is called within its hold goes before a call that needs the whole limit."""
    session = Budget("$1/total").session()
    ended: list[str] = []

    def greedy() -> None:
        with suppress(BudgetExceeded):  # what the tools cost is missing in the end
            session.reserve(cost="$1")
        ended.append("greedy")

    @session.track_tool(cost="$0.10", tool_name="inner")
    def inner() -> None:
        ended.append("inner")

    @session.track_tool(cost="$0.10", tool_name="outer")
    def outer() -> list[threading.Thread]:
        threads = start(greedy)
        until(lambda: waiting(session))
        inner()
        return threads

    join(outer())
    assert ended == ["inner", "greedy"] and session.spent == Decimal("0.20")


@in_a_loop
async def test_a_task_in_a_tool_is_not_behind_those_who_wait_for_it() -> None:
    """The same without a thread, and through a call that is lowered."""
    session = Budget("$1/total").session()

    async with session.areserve(tool="outer", cost="$0.10") as hold:
        greedy = contextvars.Context().run(asyncio.ensure_future, reserving(session, "$1"))
        await auntil(lambda: waiting(session))
        async with session.areserve(MODEL, input_tokens=INPUT) as call:
            await call.arelease()
        await hold.arelease()
    assert (await greedy).amount == 1


def test_two_agents_that_hold_half_each_and_want_more_end() -> None:
    """Neither can go on; both are refused within the wait, and nothing stays reserved."""
    session = Budget("$1", wait=0.2).session()
    both, ended = threading.Barrier(2), list[str]()

    def agent() -> None:
        try:
            with session.reserve(cost="$0.50") as hold:
                both.wait()
                try:
                    session.reserve(cost="$0.10").release()
                    ended.append("served")
                finally:
                    hold.release()
        except BudgetExceeded:
            ended.append("refused")

    join(start(agent, agent))
    assert len(ended) == 2 and "refused" in ended and session.reserved == 0
