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


def test_a_run_whose_parent_nobody_knows_is_none_of_ours() -> None:
    """Nobody would tell of the end of what is around it, as the adapter came later."""
    seen = Runs()
    assert seen.start("step", "unheard") == "unheard"
    assert current_run() is None
    seen.end("step")


def test_a_run_that_names_no_parent_is_in_the_run_of_its_context() -> None:
    """Also where another adapter opened its own in between; the end of all of it is told once."""
    over: list[object] = []
    seen, other = Runs(over.append), Runs()
    seen.start("flow")
    other.start("flow")
    assert seen.start("fallback") == "flow" and other.start("fallback") == "flow"
    seen.end("fallback", OSError())
    assert over == []
    for adapter in (seen, other):
        adapter.end("flow")
        adapter.end("flow")
    assert over == ["flow"] and current_run() is None
    assert seen.start("next") == "next"
    seen.end("next")


def test_calls_that_are_made_together_are_one_run() -> None:
    """The first error ends them all; a later call of the context is another run, even where no end was told."""
    over: list[object] = []
    seen, together = Runs(over.append), object()
    assert seen.start("a", None, together) == seen.start("b", None, together) == "a"
    seen.end("b")
    assert over == []
    seen.start("c", None, together)
    seen.end("c", OSError())
    assert over == ["a"] and current_run() is None
    assert seen.start("lost", None, object()) == "lost"
    assert seen.start("next", None, object()) == "next"
    assert over == ["a", "lost"]
    seen.end("next")


def test_the_end_of_a_run_that_did_not_begin_is_not_told() -> None:
    """It is over for the context all the same."""
    over: list[object] = []
    seen = Runs(over.append)
    seen.start("run")
    seen.end("run", OSError(), began=False)
    assert over == [] and current_run() is None


def test_runs_whose_end_nobody_tells_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten; what it started is none of ours from then on."""
    monkeypatch.setattr(runs, "_KEPT", 2)
    seen = Runs()
    for key in "abc":
        threading.Thread(target=seen.start, args=(key,)).start()  # each in a context of its own
    assert seen.start("d", "a") == "a"
    assert seen.start("e") == "e"
    assert seen.start("f", "e") == "e"
    assert (len(seen._outermost), len(seen._open)) == (2, 1)
    for key in "fe":
        seen.end(key)
