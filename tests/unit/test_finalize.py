"""The finalization reserve: what is kept for the last words of a session."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Limit, Session


def fits(session: Session, cost: str | Decimal) -> bool:
    """Whether a call is admitted; it is given back at once."""
    try:
        session.reserve(cost=cost).release()
    except BudgetExceeded:
        return False
    return True


@pytest.mark.parametrize(
    ("reserve", "before"),
    [
        (0, "1"),
        (0.05, "0.95"),
        (Decimal("0.25"), "0.75"),
        ("$0.30", "0.7"),
        (0.999999, "0.000001"),
        ("$1", "0"),
        ("$2", None),
    ],
)
def test_the_reserve_may_be_spent_at_the_end_only(reserve: Any, before: str | None) -> None:
    """To the nano-dollar: before it the limit without the reserve, inside it all, after it as before."""
    session = Budget("$1", finalization_reserve=reserve).session()

    def normal() -> None:
        if before is None:  # more is kept than there is
            assert not fits(session, "0")
            return
        assert fits(session, before)
        assert not fits(session, Decimal(before) + Decimal("1E-9"))

    normal()
    with session.finalize() as same:
        assert same is session
        assert fits(session, "1") and not fits(session, "1.000000001")
    normal()
    assert session.remaining == 1


def test_it_is_what_the_session_really_spends() -> None:
    """A run to the end of the normal budget, then a last call: the limit is spent, and not passed."""
    session = Budget("$0.10", finalization_reserve=0.25).session()
    calls = 0
    while fits(session, "$0.02"):
        session.track("step", "$0.02")
        calls += 1
    assert (calls, session.spent, session.remaining) == (3, Decimal("0.06"), Decimal("0.04"))
    with session.finalize():
        session.reserve(cost="$0.04").settle(cost="$0.04")
        assert not fits(session, "0.000000001")
    assert (session.spent, session.remaining) == (Decimal("0.1"), 0)


def test_a_refusal_says_what_is_kept() -> None:
    """`remaining` includes it, so that the message has to explain it."""
    session = Budget("$1", finalization_reserve="$0.30").session()
    session.track("done", "$0.50")
    with pytest.raises(BudgetExceeded) as refusal:
        session.reserve(cost="$0.21")
    assert refusal.value.remaining == Decimal("0.5")
    assert "$0.50 of the $1/session limit is left, $0.30 of it kept for finalize()" in str(refusal.value)
    session.reserve(cost="$0.20")


def test_questions_answer_as_a_reserve_made_at_that_place() -> None:
    """Inside and outside."""
    session = Budget("$1", finalization_reserve=0.5).session()

    def asked() -> tuple[bool, bool, bool]:
        try:
            session.check("gpt-4o", 240_000, 0)  # $0.60
        except BudgetExceeded:
            return session.can_spend("$0.60"), session.would_exceed("$0.60"), False
        return session.can_spend("$0.60"), session.would_exceed("$0.60"), True

    assert asked() == (False, True, False)
    with session.finalize():
        assert asked() == (True, False, True)
    assert asked() == (False, True, False)


def test_only_sessions_keep_a_reserve() -> None:
    """Of their own limit in USD: not of the budget's total, of tokens, or of one model."""
    budget = Budget("$1/total", "100 tokens", Limit("$1", model="gpt-4o"), finalization_reserve=0.5)
    session = budget.session()
    assert fits(session, "1")
    session.reserve("gpt-4o", input_tokens=100, max_output_tokens=0, cost="$1")
    limited = Budget("$1", "$0.70/total", finalization_reserve=0.5).session()
    assert fits(limited, "0.5") and not fits(limited, "0.51")
    with limited.finalize():
        assert fits(limited, "0.7") and not fits(limited, "0.71")


def test_a_nested_session_keeps_its_own_and_its_parents() -> None:
    """Finalizing the inner one leaves the outer reserve alone; finalizing the outer one frees both."""
    outer = Budget("$1", finalization_reserve=0.5).session()
    inner = outer.child_session("$0.80")
    assert fits(inner, "0.4") and not fits(inner, "0.41")
    with inner.finalize():
        assert fits(inner, "0.8") and not fits(inner, "0.81")
        assert not fits(outer, "0.51")
    with outer.finalize():
        assert fits(inner, "0.8") and fits(outer, "1")
        with inner.finalize():
            assert fits(inner, "0.8")
        assert fits(inner, "0.8")


def test_it_holds_for_this_thread_and_task() -> None:
    """Others go on without the reserve; a copy of the context takes it along."""
    session = Budget("$1", finalization_reserve=0.5).session()
    seen: list[bool] = []

    def ask() -> None:
        seen.append(fits(session, "$0.60"))

    def in_thread(target: Callable[[], Any]) -> None:
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()

    with session.finalize():
        context = contextvars.copy_context()
        in_thread(ask)
        in_thread(lambda: context.run(ask))
    assert seen == [False, True]

    async def last_words(entered: asyncio.Event, asked: asyncio.Event) -> bool:
        with session.finalize():
            entered.set()
            await asked.wait()
            return fits(session, "$0.60")

    async def main() -> list[bool]:
        entered, asked = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(last_words(entered, asked))
        await entered.wait()
        outside = fits(session, "$0.60")
        asked.set()
        return [outside, await task]

    assert asyncio.run(main()) == [False, True]


def test_another_session_of_the_same_name_is_not_meant() -> None:
    """Not in another store; another view of the same session is."""
    budget, other = (Budget("$1", finalization_reserve=0.5) for _ in range(2))
    with budget.session(id="run").finalize():
        assert not fits(other.session(id="run"), "$0.60")
        assert not fits(budget.session(id="other"), "$0.60")
        assert fits(budget.session(id="run"), "$0.60")


def test_an_exception_ends_it() -> None:
    """What is raised inside leaves it, and the reserve is kept again."""
    session = Budget("$1", finalization_reserve=0.5).session()
    with pytest.raises(KeyError), session.finalize():
        raise KeyError
    assert not fits(session, "$0.60")
