"""What each run of a framework cost, with all that it started in turn."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bursar import Budget, Hold, Usage
from bursar.integration import Costs, costs

SESSION = Budget().session()


def held() -> Hold:
    return SESSION.reserve("gpt-4o", input_tokens=10, max_output_tokens=5)


def test_a_call_counts_in_all_runs_around_it() -> None:
    """The report has the outermost ones, oldest first."""
    runs = Costs()
    outer = runs.open("run", None, "crew")
    inner = runs.open("task", "run", "task")
    other = runs.open("other", "nobody", "chat")
    hold = held()
    inner.pays(hold)
    other.pays(SESSION.reserve(cost="0.5"))
    hold.settle(usage=Usage(10, 5))
    assert (outer.cost, inner.cost, inner.outer) == (Decimal("0.000075"), Decimal("0.000075"), outer)
    assert [(run["name"], run["total_spent"], run["calls"]) for run in runs.report()] == [
        ("crew", 0.000075, 1),
        ("chat", 0.0, 0),
    ]


def test_a_cost_follows_what_becomes_of_the_call() -> None:
    """Nothing while it runs, the worst case in doubt, exact when it is corrected, nothing if released."""
    tally = Costs().open("run", None, "chat")
    doubtful, released = held(), held()
    tally.pays(doubtful)
    tally.pays(released)
    assert tally.cost == 0
    doubtful.settle_unknown()
    released.release()
    assert tally.cost == doubtful.amount
    doubtful.settle(usage=Usage(10, 1))
    assert tally.cost == tally.cost == Decimal("0.000035")


def test_a_run_that_is_over_is_known_no_more() -> None:
    """What names it afterwards is a run of its own; closing twice does nothing."""
    runs = Costs()
    tally = runs.open("run", None, "chat")
    assert runs.close("run") is tally and runs.close("run") is None
    assert runs.open("late", "run", "x" * 300).outer is None
    assert [len(run["name"]) for run in runs.report()] == [4, 200]


def test_runs_whose_end_nobody_tells_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten."""
    monkeypatch.setattr(costs, "_OPEN_KEPT", 2)
    runs = Costs()
    for key in "abc":
        runs.open(key, None, key)
    assert runs.close("a") is None and runs.close("b") is not None
