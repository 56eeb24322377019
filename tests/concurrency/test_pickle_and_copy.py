"""What `pickle` and `copy` make of the public objects. The rows are those of docs/concurrency.md."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from decimal import Decimal

import pytest

from bursar import Budget, BudgetExceeded, Limit, Price, Tripped, UnknownModel, Usage
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock, ScriptedProvider


def cannot_leave(thing: object) -> None:
    """No pickle, at any protocol, also as a part of something; a copy of it is the thing itself."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for whole in (thing, {"part": [thing]}):
            with pytest.raises(TypeError, match=f"a {type(thing).__name__} cannot be pickled.*open a Budget"):
                pickle.dumps(whole, protocol)
    assert copy.copy(thing) is thing
    assert copy.deepcopy({"part": [thing]}) == {"part": [thing]}


def budget() -> None:
    """A copy of a budget is the budget, with the same money."""
    whole = Budget("$1/total")
    cannot_leave(whole)
    copy.deepcopy(whole).session().reserve(cost="$0.4").settle()
    assert whole.spent == Decimal("0.4")


def session() -> None:
    """A copy of a session is the session, with the same money."""
    whole = Budget("$1").session()
    cannot_leave(whole)
    copy.copy(whole).reserve(cost="$0.4").settle()
    assert whole.spent == Decimal("0.4")


def hold() -> None:
    """A copy of a hold is the hold: settled once, it is settled."""
    held = Budget("$1").session().reserve(cost="$0.4")
    cannot_leave(held)
    copy.deepcopy(held).settle()
    assert held.state == "settled"


def memory_store() -> None:
    """A copy of the store is the store."""
    cannot_leave(MemoryStore())


def values() -> None:
    """A value comes out of a pickle, a copy and a deep copy as it was, and as the same kind of number."""
    charge = (
        Budget("$1")
        .session()
        .reserve("gpt-4o", input_tokens=9, max_output_tokens=5)
        .settle(cost="$0.0000005")
    )
    for value in (
        Limit("$5", model="gpt-4o"),
        Price("0.15", 2),
        Usage(1, 2, requests={"a": 1}),
        charge,
        charge.call,
    ):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(value, protocol)) == value
        assert copy.copy(value) == copy.deepcopy(value) == value
    assert str(pickle.loads(pickle.dumps(charge)).cost) == "0.0000005"


def errors() -> None:
    """An error keeps its class, its message and what it knows."""
    errors = (
        BudgetExceeded("no", limit="$5/session", remaining=Decimal("0.5")),
        Tripped("no", reason="enough"),
        UnknownModel("no", near=("gpt-4o",)),
    )
    for error in errors:
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert (type(again), again.args, vars(again)) == (type(error), error.args, vars(error))


def manual_clock() -> None:
    """A clock is not pickled."""
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(ManualClock())


def scripted_provider() -> None:
    """A provider is not pickled."""
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(ScriptedProvider())


SCENARIOS: dict[str, Callable[[], None]] = {
    "Budget": budget,
    "Session": session,
    "Hold": hold,
    "MemoryStore": memory_store,
    "Limit": values,
    "BudgetExceeded": errors,
    "ManualClock": manual_clock,
    "ScriptedProvider": scripted_provider,
}


@pytest.mark.parametrize("row", SCENARIOS)
def test_pickle_and_copy(row: str) -> None:
    """What the table says of pickles and copies, row by row."""
    SCENARIOS[row]()
