"""The lines of those who wait: who stands in which, who is woken, and who never stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import pytest
import trio

from bursar import Budget, BudgetExceeded, BursarError, Hold, Limit, Session
from bursar.ledger import queue
from bursar.ledger.own import own_holds
from bursar.ledger.queue import queue_of
from bursar.store import MemoryStore

from .waits import held_elsewhere, join, reserving, start, until, waiting


@pytest.fixture
def _nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait hear of changes, or of nothing."""
    monkeypatch.setattr(queue, "LOOK_S", (1e6, 1e6))


def call(session: Session, cost: str, holds: list[Hold]) -> Callable[[], None]:
    """What a thread does: one reserve."""
    return lambda: holds.append(session.reserve(cost=cost))


@pytest.mark.usefixtures("_nobody_looks")
def test_who_waits_in_an_event_loop_that_was_closed_is_passed_over() -> None:
    """The next one in line is served; and what is left of the other harms nobody."""
    budget, holds = Budget("$1/total"), list[Hold]()
    hold = held_elsewhere(budget, "$0.95")
    loop = asyncio.new_event_loop()
    abandoned = reserving(budget.session())
    task = loop.create_task(abandoned)
    while not waiting(budget.session()):
        loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    threads = start(call(budget.session(), "$0.90", holds))
    until(lambda: waiting(budget.session()) == 2)
    hold.release()
    join(threads)
    assert [one.amount for one in holds] == [Decimal("0.9")] and waiting(budget.session()) == 0
    abandoned.close()
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # which is what this test is about


@pytest.mark.usefixtures("_nobody_looks")
def test_a_call_goes_on_to_wait_for_the_account_that_still_has_no_room() -> None:
    """First its session has none, then only the budget: it is served when that has."""
    budget = Budget("$1", "$2/total")
    session, holds = budget.session(), list[Hold]()
    own, *others = [held_elsewhere(session, "$0.40"), *(held_elsewhere(budget, "$0.80") for _ in range(2))]
    threads = start(call(session, "$0.70", holds))
    lines = budget._ledger.queue(budget._path)._lines
    until(lambda: list(lines) == [session._path[-1].key])
    own.release()
    until(lambda: list(lines) == [budget._path[-1].key])
    assert not holds
    others[0].release()
    join(threads)
    assert len(holds) == 1 and not lines


@pytest.mark.usefixtures("_nobody_looks")
def test_the_end_of_a_session_ends_its_own_waits_alone() -> None:
    """A call of another session in the same line goes on waiting, and is served."""
    budget, holds, errors = Budget("$1/total"), list[Hold](), list[BursarError]()
    hold = held_elsewhere(budget, "$0.95")
    ending, other = budget.session(), budget.session()

    def refused() -> None:
        with pytest.raises(BursarError, match="closed") as refusal:
            ending.reserve(cost="$0.10")
        errors.append(refusal.value)

    first = start(refused)
    until(lambda: waiting(ending) == 1)
    second = start(call(other, "$0.10", holds))
    until(lambda: waiting(ending) == 2)
    ending.close()
    join(first)
    assert len(errors) == 1 and waiting(other) == 1 and not holds
    hold.release()
    join(second)
    assert len(holds) == 1


@pytest.mark.usefixtures("_nobody_looks")
def test_a_call_behind_one_that_has_just_left_asks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It saw a line, and nobody stands in it when it comes there: there is nobody who would wake it."""
    monkeypatch.setattr(queue.Queue, "line_for", lambda self, path: path[0].key)
    session = Budget("$1/total").session()
    assert session.reserve(cost="$0.90").amount == Decimal("0.9")


class Late(MemoryStore):
    """Gives room between an answer and the sleep of whoever got it."""

    holds_room: Hold | None = None

    def reserve(self, *arguments: Any) -> Any:  # type: ignore[override]
        """The last look of somebody who then sleeps."""
        answer = super().reserve(*arguments)
        room, self.holds_room = self.holds_room, None
        if room is not None:
            room.release()
        return answer


@pytest.mark.usefixtures("_nobody_looks")
@pytest.mark.parametrize("how", ["blocking", "awaited"])
def test_room_that_comes_before_the_sleep_is_not_missed(how: str) -> None:
    """Nobody would wake it a second time."""
    store = Late()
    budget = Budget("$1/total", store=store)
    store.holds_room = held_elsewhere(budget, "$0.95")
    session = budget.session()
    hold = session.reserve(cost="$0.90") if how == "blocking" else asyncio.run(reserving(session))
    assert hold.amount == Decimal("0.9") and store.holds_room is None


@pytest.mark.usefixtures("_nobody_looks")
def test_a_hold_of_ones_own_under_another_limit_keeps_nobody_from_waiting() -> None:
    """A thread that holds for one model waits for others' holds for another one."""
    budget = Budget(Limit("$1", model="gpt-4o"), Limit("$1", model="gpt-5.2"))
    session, holds = budget.session(), list[Hold]()
    ask: dict[str, Any] = {"model": "gpt-5.2", "cost": "$0.60"}
    join(start(lambda: holds.append(session.reserve(**ask).keep())))

    def both() -> None:
        session.reserve("gpt-4o", cost="$0.60").keep()
        holds.append(session.reserve(**ask))

    threads = start(both)
    until(lambda: waiting(session))
    holds[0].release()
    join(threads)
    assert len(holds) == 2


@pytest.mark.usefixtures("_nobody_looks")
@pytest.mark.parametrize(("cost", "fits"), [("$0.10", True), ("$0.30", False)])
def test_a_wait_ends_where_only_ones_own_hold_is_left_in_the_way(cost: str, fits: bool) -> None:
    """Others have settled, for more than leaves room beside what the caller holds itself, or for less."""
    session, ended = Budget("$1").session(), list[str]()
    others = held_elsewhere(session, "$0.60")

    def both() -> None:
        session.reserve(cost="$0.30").keep()
        try:
            session.reserve(cost="$0.50")
            ended.append("")
        except BudgetExceeded as refusal:
            ended.append(str(refusal))

    threads = start(both)
    until(lambda: waiting(session))
    others.settle(cost=cost)
    join(threads)
    assert ended == [""] if fits else "this thread or task holds too much of it itself" in ended[0]


@pytest.mark.parametrize("how", ["blocking", "awaited"])
@pytest.mark.parametrize(("cost", "fits"), [("$0.05", True), ("$0.10", False)])
def test_in_another_event_loop_than_that_of_asyncio_nobody_waits(how: str, cost: str, fits: bool) -> None:
    """The loop of trio never stands still: what does not fit is refused at once, and what fits is reserved."""
    budget = Budget("$1/total")
    held_elsewhere(budget, "$0.95")
    session = budget.session()

    async def reserve() -> Hold:
        return session.reserve(cost=cost) if how == "blocking" else await session.areserve(cost=cost)

    if fits:
        assert trio.run(reserve).amount == Decimal("0.05")
    else:
        with pytest.raises(BudgetExceeded, match="cannot wait in a running event loop"):
            trio.run(reserve)
    assert waiting(session) == 0


def test_renewed_queues_know_nobody_who_waited() -> None:
    """As in a forked child, in which none of the threads of its parent goes on."""
    store = MemoryStore()
    before = queue_of(store, "default")
    assert queue_of(store, "default") is before
    with queue._guard:  # another thread of the parent may have it
        queue._renew()
    assert queue_of(store, "default") is not before


def test_open_hold_of_a_budget_that_is_gone_is_none_of_the_next_budget() -> None:
    """The next store does not come to the address of the one before it, which tells whose hold that is."""

    def leave() -> None:
        gone = Budget("$1", store=MemoryStore())
        hold = gone.session().reserve(cost="$0.90").keep()
        assert own_holds(queue_of(hold._ledger.store, "default"))

    def look() -> None:
        for _ in range(50):
            leave()
        stores = [MemoryStore() for _ in range(1_000)]
        assert not any(own_holds(queue_of(store, "default")) for store in stores)

    copy_context().run(look)
