"""Refusals that a framework swallowed come up at the end of ``with session:``."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Session


@contextmanager
def entered(session: Session, how: str) -> Iterator[None]:
    """``with session:``, or what ``async with session:`` does."""
    if how == "with":
        with session:
            yield
        return
    asyncio.run(session.__aenter__())
    try:
        yield
    except BaseException as error:
        asyncio.run(session.__aexit__(type(error), error, None))
        raise
    else:
        asyncio.run(session.__aexit__(None, None, None))


def swallow(session: Session, cost: object = 2) -> BudgetExceeded:
    """A call inside a framework that hides what goes wrong."""
    try:
        session.reserve(cost=cost)  # type: ignore[arg-type]
    except BudgetExceeded as refusal:
        session.surface(refusal)
        return refusal
    raise AssertionError("it was admitted")


def session_of_a_dollar(**options: Any) -> Session:
    """A session that refuses two."""
    return Budget("$1", finalization_reserve=0.1).session(**options)


@pytest.mark.parametrize("how", ["with", "async with"])
def test_a_swallowed_refusal_is_raised_at_the_end(how: str) -> None:
    """The very one, once; a session without any ends quietly."""
    session = session_of_a_dollar()
    with pytest.raises(BudgetExceeded) as raised, entered(session, how):
        refusal = swallow(session)
    assert raised.value is refusal
    with entered(session, how):
        pass
    with entered(session_of_a_dollar(), how):
        pass


def test_the_last_of_several_is_raised() -> None:
    """It says how things stand at the end."""
    session = session_of_a_dollar()
    with pytest.raises(BudgetExceeded) as raised, session:
        swallow(session, 3)
        last = swallow(session, 2)
    assert raised.value is last


@pytest.mark.parametrize("how", ["with", "async with"])
def test_nested_entries_wait_for_the_outermost(how: str) -> None:
    """Inside, nothing is raised yet."""
    session, reached = session_of_a_dollar(), []
    with pytest.raises(BudgetExceeded), entered(session, how):
        with entered(session, how):
            with entered(session, how):
                swallow(session)
            reached.append("middle")
        reached.append("outer")
    assert reached == ["middle", "outer"]


class Wrapped(Exception):
    """What a framework makes of our error."""


def caused(refusal: BudgetExceeded) -> BaseException:
    """An error of a framework, raised from ours."""
    try:
        raise Wrapped("step failed") from refusal
    except Wrapped as error:
        return error


def during(refusal: BudgetExceeded) -> BaseException:
    """An error of a framework, raised while it handled ours."""
    try:
        try:
            raise refusal
        except BudgetExceeded:
            raise Wrapped("step failed")  # noqa: B904 - as careless frameworks do
    except Wrapped as error:
        return error


@pytest.mark.parametrize(
    "made",
    [
        lambda refusal: refusal,
        copy.copy,
        copy.deepcopy,
        lambda refusal: pickle.loads(pickle.dumps(refusal)),
        caused,
        during,
    ],
    ids=["itself", "copy", "deepcopy", "pickle", "caused", "during"],
)
def test_a_handled_refusal_is_done_with(made: Callable[[BudgetExceeded], BaseException]) -> None:
    """Also by a copy of it, or by an error that a framework raised from it; another one is not meant."""
    session = session_of_a_dollar()
    with session:
        session.handled(made(swallow(session)))
    other = swallow(session_of_a_dollar(), 3)
    for wrong in (other, Wrapped("something else")):
        with pytest.raises(BudgetExceeded), session:
            refusal = swallow(session)
            session.handled(wrong)
    session.handled(refusal)  # nothing is left of it


def test_errors_that_cause_each_other_end() -> None:
    """A circle of causes is walked once."""
    one, other = Wrapped("one"), Wrapped("other")
    one.__cause__, other.__cause__ = other, one
    session = session_of_a_dollar()
    with pytest.raises(BudgetExceeded), session:
        swallow(session)
        session.handled(one)


def test_a_later_call_makes_up_for_it() -> None:
    """The agent went on within its budget; a refusal after that is raised again."""
    session = session_of_a_dollar()
    with session:
        swallow(session)
        session.reserve(cost="$0.10").settle(cost="$0.10")
    with pytest.raises(BudgetExceeded), session:
        swallow(session)
        session.reserve(cost="$0.10").settle(cost="$0.10")
        swallow(session)


def test_a_charge_after_the_fact_does_not_make_up_for_it() -> None:
    """Nothing was admitted."""
    session = session_of_a_dollar()
    with pytest.raises(BudgetExceeded), session:
        swallow(session)
        session.track("done", "$0.10")


def test_finalize_makes_up_for_it() -> None:
    """The caller has taken note, and ends in his own way."""
    session = session_of_a_dollar()
    with session:
        swallow(session)
        with session.finalize():
            pass
    with pytest.raises(BudgetExceeded), session:
        with session.finalize():
            pass
        swallow(session)


@pytest.mark.parametrize("nested", [False, True])
def test_a_session_that_swallows_raises_nothing(nested: bool) -> None:
    """`swallow=True`, for it and those below it; the call is refused all the same."""
    session = session_of_a_dollar(swallow=True)
    session = session.child_session() if nested else session
    with session:
        swallow(session)
    assert session.spent == 0 and session.terminated_by == "budget_exhausted"


@pytest.mark.parametrize("how", ["with", "async with"])
def test_an_exception_inside_wins(how: str) -> None:
    """It is not replaced; and what was swallowed before it is not raised by a later entry."""
    session = session_of_a_dollar()
    with pytest.raises(Wrapped), entered(session, how):
        swallow(session)
        raise Wrapped
    with entered(session, how):
        pass


def test_an_exception_inside_a_nested_entry_is_not_the_end() -> None:
    """The outermost entry ends normally, and raises."""
    session = session_of_a_dollar()
    with pytest.raises(BudgetExceeded), session:
        try:
            with session:
                swallow(session)
                raise Wrapped
        except Wrapped:
            pass


@pytest.mark.parametrize("how", ["with", "async with"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda session: session.reserve(cost=2),
        lambda session: session.check("gpt-4o", 1_000_000, 0),
        lambda session: session.track("result", 2),
        lambda session: session.record("gpt-4o", 1_000_000, 0),
        lambda session: session.wrap(
            {"model": "gpt-4o", "usage": {"prompt_tokens": 10**6, "completion_tokens": 1}}
        ),
        lambda session: session.track_tool(cost=2)(print)(),
        lambda session: asyncio.run(session.arecord("gpt-4o", 1_000_000, 0)),
    ],
    ids=["reserve", "check", "track", "record", "wrap", "track_tool", "arecord"],
)
def test_the_callers_own_refusals_are_his(how: str, ask: Callable[[Session], object]) -> None:
    """He has seen them; they are never raised again."""
    session = session_of_a_dollar()
    with entered(session, how), pytest.raises(BudgetExceeded):
        ask(session)
    with pytest.raises(BudgetExceeded), entered(session, how):
        swallow(session)
        with pytest.raises(BudgetExceeded):
            ask(session)
