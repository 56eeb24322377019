"""Programs with fresh processes, run by test_between_processes.py: those import the main program anew."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from typing import Any

import wire

from bursar import Budget, BudgetExceeded, Call, Charge, Limit, Price, UnknownModel, Usage
from bursar.pricing.book import register_model, register_models
from bursar.pricing.overrides import registered
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock, ScriptedProvider


def pool(method: str) -> ProcessPoolExecutor:
    """One process that began with nothing of this one."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method))


def stays_here(method: str, *things: Any) -> None:
    """Neither as an argument nor as a part of one; the error is ours where the thing is money."""
    for thing in things:
        with pool(method) as process:
            try:
                process.submit(repr, [thing]).result()
            except TypeError as error:
                money = type(thing).__name__ not in ("ManualClock", "ScriptedProvider")
                assert not money or "open a Budget in the other process" in str(error), error
            else:
                raise AssertionError(f"a copy of {thing!r} left the process")


def spend_own(limit: str) -> Decimal:
    """All of a budget of this process."""
    session = Budget(limit).session()
    session.reserve(cost=limit).settle()
    return session.spent


def money(method: str) -> None:
    """It cannot be sent; the other process opens its own, and what that spends is not seen here."""
    budget = Budget("$1/total")
    session = budget.session()
    stays_here(method, budget, session)
    with pool(method) as process:
        assert process.submit(spend_own, "$1").result() == 1
    assert budget.spent == session.spent == 0


def hold(method: str) -> None:
    """It cannot be sent; what the call used can, and is settled here."""
    held = Budget("$1").session().reserve("gpt-4o", input_tokens=10, max_output_tokens=10)
    stays_here(method, held)
    with pool(method) as process:
        assert held.settle(usage=process.submit(Usage, 10, 10).result()).cost == Decimal("0.000125")


def memory_store(method: str) -> None:
    """It cannot be sent."""
    stays_here(method, MemoryStore())


def names() -> list[str]:
    """The models that were registered in this process."""
    return list(registered())


def registration(method: str) -> None:
    """A fresh process knows nothing of what was registered here, and registers for itself."""
    register_model("mine", 1, 2)
    with pool(method) as process:
        assert process.submit(names).result() == []
        process.submit(register_models, {"theirs": (3, 4)}).result()
        assert process.submit(names).result() == ["theirs"]
    assert names() == ["mine"]


def echo(value: object) -> object:
    """What came, sent back."""
    return value


def values(method: str) -> None:
    """They arrive, and come back, as they were."""
    charge = (
        Budget("$1").session().reserve("gpt-4o", input_tokens=10, max_output_tokens=5).settle(cost="$0.5")
    )
    sent = [
        Limit("$5", model="gpt-4o"),
        Price(1, 2),
        Usage(1, 2, requests={"web_search": 1}),
        charge,
        charge.call,
    ]
    with pool(method) as process:
        assert process.submit(echo, sent).result() == sent
    assert {type(charge), type(charge.call)} == {Charge, Call}


def refuse() -> None:
    """Be refused, in a process of its own."""
    Budget("$0.1").session().reserve("gpt-4o", input_tokens=10**6, max_output_tokens=1)


def guess() -> None:
    """Ask for a model that nobody knows."""
    Budget("$1").session().reserve("gpt-4o-minni", input_tokens=1, max_output_tokens=1)


def errors(method: str) -> None:
    """A refusal in another process arrives with all that it knows."""
    with pool(method) as process:
        refusal = process.submit(refuse).exception()
        unknown = process.submit(guess).exception()
    assert isinstance(refusal, BudgetExceeded) and isinstance(unknown, UnknownModel)
    assert (refusal.limit, refusal.remaining, refusal.model) == ("$0.10/session", Decimal("0.1"), "gpt-4o")
    assert unknown.near[0] == "gpt-4o-mini"
    again = pickle.loads(pickle.dumps(refusal))
    assert (str(again), again.asked) == (str(refusal), refusal.asked)


def manual_clock(method: str) -> None:
    """It cannot be sent; the time that it tells can."""
    clock = ManualClock(5)
    stays_here(method, clock)
    with pool(method) as process:
        assert process.submit(ManualClock, clock.now()).exception() is not None  # nor does it come back


def scripted_provider(method: str) -> None:
    """It cannot be sent; its URL can."""
    with ScriptedProvider() as provider, pool(method) as process:
        assert process.submit(wire.ask_models, provider.url).result() == 200
        stays_here(method, provider)


SCENARIOS: dict[str, Callable[[str], None]] = {
    "Budget": money,
    "Session": money,
    "Hold": hold,
    "MemoryStore": memory_store,
    "register_model": registration,
    "Limit": values,
    "BudgetExceeded": errors,
    "ManualClock": manual_clock,
    "ScriptedProvider": scripted_provider,
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[2]](sys.argv[1])
