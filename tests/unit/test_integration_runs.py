"""A refusal is told once: to the caller of the outermost run, or at the end of its session."""

from __future__ import annotations

import threading

import pytest

from bursar import Budget, BudgetExceeded, Session
from bursar.integration import Runs, runs
from bursar.ledger.swallowed import current_run

pytestmark = pytest.mark.usefixtures("_nobody_pays")


def refuse(session: Session) -> None:
    with pytest.raises(BudgetExceeded) as refused:
        session.reserve(cost="$2")
    session.surface(refused.value)


@pytest.mark.parametrize("error", [None, OSError()])
def test_the_outermost_run_tells_what_was_swallowed(error: OSError | None) -> None:
    """If it ends well; one that ends by an error has told its caller. Those inside are the same run."""
    session, seen = Budget("$1").session(), Runs()

    def agent() -> None:
        with session:
            assert seen.start("flow") == "flow"
            assert seen.start("step", "flow") == "flow"
            assert seen.start("call", "step") == "flow"
            refuse(session)
            seen.end("call", OSError())
            seen.end("step")
            seen.end("flow", error)
            seen.end("flow")

    if error is None:
        with pytest.raises(BudgetExceeded):
            agent()
    else:
        agent()
    assert current_run() is None


def test_a_thread_that_was_started_bare_is_in_the_run_too() -> None:
    """What begins there is in no context of the run; its parent says where it belongs."""
    session, seen = Budget("$1").session(), Runs()

    def step() -> None:
        seen.start("step", "flow")
        refuse(session)
        seen.end("step")

    with pytest.raises(BudgetExceeded), session:
        seen.start("flow")
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
        seen.end("flow")


def test_a_run_whose_parent_nobody_knows_is_outermost() -> None:
    """Its start was not heard, as the adapter came later."""
    seen = Runs()
    assert seen.start("step", "unheard") == "step"
    assert current_run() is not None
    seen.end("step")
    assert current_run() is None


def test_runs_whose_end_nobody_tells_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten; what it started is a run of its own from then on."""
    monkeypatch.setattr(runs, "_KEPT", 2)
    seen = Runs()
    for key in "abc":
        seen.start(key)
    assert seen.start("d", "a") == "d"
    assert seen.start("e", "d") == "d"
    assert (len(seen._outermost), len(seen._open)) == (2, 1)
    for key in "ed":
        seen.end(key)
