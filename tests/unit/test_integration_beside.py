"""What is counted beside a session, and not within it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bursar import Budget, BudgetExceeded, Session
from bursar.integration import beside
from bursar.store import MemoryStore

Make = Callable[[Budget], Session]
MADE: list[Make] = [
    lambda budget: budget.session(id="run-7"),
    lambda budget: budget.child("alice").session(id="run-7"),
    lambda budget: budget.session(id="run-7").child_session(name="inner"),
]


@pytest.mark.parametrize("make", MADE)
def test_twin_has_a_balance_of_its_own_in_the_same_store(make: Make) -> None:
    """What it spends counts in neither the session nor its budget; who has the session finds it again."""
    store = MemoryStore()

    def twin() -> tuple[Session, Session]:
        session = make(Budget("$1", name="crew", store=store))
        return session, beside(session, "tasks").part("write", "$0.50")

    session, task = twin()
    task.reserve(cost="$0.40").settle(cost="$0.40")
    session.reserve(cost="$0.90").release()
    again, same = twin()
    assert same.spent == task.spent and again.spent == 0
    with pytest.raises(BudgetExceeded) as refused:
        same.reserve(cost="$0.20")
    assert (refused.value.account or "").startswith("tasks of crew/")


def test_twins_of_two_sessions_and_of_two_kinds_are_apart() -> None:
    """Another id, or another word, is another balance."""
    budget = Budget("$1")
    one, two = budget.session(id="one"), budget.session(id="two")
    twins = [beside(one, "tasks"), beside(two, "tasks"), beside(one, "crews")]
    twins[0].reserve(cost="$0.10").settle(cost="$0.10")
    assert [float(twin.spent) for twin in twins] == [0.1, 0, 0]


def test_twin_of_a_session_that_only_warns_only_warns() -> None:
    """A budget in shadow mode refuses nothing, beside its sessions either."""
    session = Budget("$1", hard_stop=False).session()
    beside(session, "tasks").part("write", "$0.10").reserve(cost="$0.20").release()
