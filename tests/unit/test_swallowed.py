"""Refusals that a framework swallowed come up at the end of ``with session:``."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Session
from bursar.integration import Run
from bursar.ledger.swallowed import current_run


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
    """A run of a framework that hides what goes wrong, and ends normally."""
    run = Run()
    refusal = raise_inside(session, cost)
    run.close()
    return refusal


def raise_inside(session: Session, cost: object = 2) -> BudgetExceeded:
    """A call inside a framework is refused."""
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


def test_a_later_call_of_the_run_makes_up_for_it() -> None:
    """The framework went on within the budget; a refusal after that, or a call after the run, does not help."""
    session = session_of_a_dollar()
    with session:
        run = Run()
        raise_inside(session)
        session.reserve(cost="$0.10").settle(cost="$0.10")
        run.close()
    with pytest.raises(BudgetExceeded), session:
        run = Run()
        session.reserve(cost="$0.10").settle(cost="$0.10")
        raise_inside(session)
        run.close()
    with pytest.raises(BudgetExceeded), session:
        swallow(session)
        session.reserve(cost="$0.10").settle(cost="$0.10")


def test_a_run_that_ends_by_an_exception_has_told_its_caller(caplog: pytest.LogCaptureFixture) -> None:
    """Caught or not, the refusal is never raised again, and no warning is logged."""
    session = session_of_a_dollar()
    with session:
        run = Run()
        refusal = raise_inside(session)
        run.close(refusal)
    assert "the last call" not in caplog.text and session.last_refusal is refusal


def test_a_refusal_outside_of_runs_is_the_callers() -> None:
    """Whoever called the SDK has got it."""
    session = session_of_a_dollar()
    with session:
        raise_inside(session)
    assert session.report()["refusals"] == 1


def test_a_nested_run_hands_on_to_the_run_around_it() -> None:
    """What the inner framework swallowed, the outer one may make up for, or tell its caller."""
    for makes_up, error in ((True, None), (False, Wrapped("told")), (False, None)):
        session = session_of_a_dollar()
        expected = pytest.raises(BudgetExceeded) if not makes_up and error is None else nullcontext()
        with expected, session:
            outer = Run()
            swallow(session)
            if makes_up:
                session.reserve(cost="$0.10").settle(cost="$0.10")
            outer.close(error)


def test_a_run_may_end_in_another_context() -> None:
    """End hooks often run in a copy of the context; what comes after the run is not inside it."""
    session = session_of_a_dollar()
    with session:
        outer, inner = Run(), Run()
        copy_context().run(inner.close)
        assert current_run() is outer
        copy_context().run(outer.close)
        outer.close()
        assert current_run() is None
        raise_inside(session)


def test_the_refusal_says_why_it_comes_at_the_end() -> None:
    """A note on it names the way to turn that off; on Python 3.10 it is in the message."""
    session = session_of_a_dollar()
    with pytest.raises(BudgetExceeded) as raised, session:
        swallow(session)
    told = "\n".join((str(raised.value), *getattr(raised.value, "__notes__", ())))
    assert "session.handled(refusal)" in told and "swallow=True" in told


def test_a_refusal_that_was_the_last_call_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Once, at a normal exit, where the caller got it outside of any run; not after a later call or `handled`."""
    session = session_of_a_dollar()
    with session, pytest.raises(BudgetExceeded):
        session.reserve(cost=2)
    last = [record for record in caplog.records if record.msg.startswith("the last call")]
    assert [record.levelname for record in last] == ["WARNING"]
    assert "sess_" not in last[0].msg
    caplog.clear()
    with session:
        pass
    with session:
        with pytest.raises(BudgetExceeded):
            session.reserve(cost=2)
        session.reserve(cost="$0.10").settle(cost="$0.10")
    with session:
        with pytest.raises(BudgetExceeded) as refused:
            session.reserve(cost=2)
        session.handled(refused.value)
    assert "the last call" not in caplog.text


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
