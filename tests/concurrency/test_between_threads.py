"""What several threads may share. The rows are those of docs/concurrency.md."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Call, Charge, HoldClosed, Limit, Price, Session, Usage
from bursar.integration import covered_hold
from bursar.pricing import overrides as registry
from bursar.pricing.book import PriceBook, register_model
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock, ScriptedProvider

from .wire import ask_models


def at_once(work: Callable[[int], object], threads: int = 8) -> list[Any]:
    """Results of the same work in so many threads that start together."""
    start = threading.Barrier(threads)

    def one(number: int) -> object:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def pay(session: Session) -> int:
    """Pay cents until it is refused; the number of cents."""
    paid = 0
    try:
        while True:
            session.reserve(cost="$0.01").settle()
            paid += 1
    except BudgetExceeded:
        return paid


def budget() -> None:
    """Eight threads with a session each spend no more than what is left for all."""
    shared = Budget("$1/total")
    assert sum(at_once(lambda _: pay(shared.session()))) == 100


def session() -> None:
    """Eight threads on one session spend what one could."""
    shared = Budget("$1").session()
    assert sum(at_once(lambda _: pay(shared))) == 100
    assert shared.spent == 1 and shared.calls == 0 and shared.reserved == 0


def hold() -> None:
    """Of eight threads that settle alike one books; another amount is refused, whoever is later."""
    session = Budget("$1").session()
    held = session.reserve(cost="$0.5")
    charges = at_once(lambda _: held.settle(cost="$0.2"))
    assert {charge.cost for charge in charges} == {session.spent}
    with pytest.raises(HoldClosed):
        held.settle(cost="$0.3")
    contested = session.reserve(cost="$0.5")

    def settle(number: int) -> bool:
        try:
            contested.settle(cost=f"$0.{number + 1}")
        except HoldClosed:
            return False
        return True

    assert sum(at_once(settle, 4)) == 1


def with_hold() -> None:
    """A thread that is started inside does not see it, unless it runs in a copy of the context."""
    with Budget("$1").session().reserve(cost="$0.5") as held, ThreadPoolExecutor(1) as pool:
        assert covered_hold() is held
        assert pool.submit(covered_hold).result() is None
        assert pool.submit(contextvars.copy_context().run, covered_hold).result() is held
        held.settle(cost="$0.5")


def memory_store() -> None:
    """Two budgets of one name on one store, in eight threads, share what is left."""
    store = MemoryStore()
    budgets = [Budget("$1/total", store=store) for _ in range(2)]
    assert sum(at_once(lambda number: pay(budgets[number % 2].session()))) == 100
    assert store.audit("default") == ()


def registration() -> None:
    """Models that eight threads register are all known afterwards, to books made before."""
    before, book = registry._registered, PriceBook()
    try:
        at_once(lambda number: [register_model(f"mine-{number}-{step}", 1, 2) for step in range(50)])
        assert all(book.rates(f"mine-{number}-{step}") for number in range(8) for step in range(50))
    finally:
        registry._registered = before


def values() -> None:
    """None of them can be changed."""
    charge = Budget("$1").session().reserve(cost="$0.5").settle()
    for value in (Limit("$5"), Price(1, 2), Usage(1, 2), charge, charge.call):
        assert is_dataclass(value)
        for field in fields(value):
            with pytest.raises(FrozenInstanceError):
                setattr(value, field.name, None)
    assert {type(charge), type(charge.call)} == {Charge, Call}


def manual_clock() -> None:
    """No step of eight threads that move it is lost."""
    clock = ManualClock(0)
    at_once(lambda _: [clock.advance(1) for _ in range(1_000)])
    assert clock.now() == 8_000


def scripted_provider() -> None:
    """One server answers eight threads, and counts none of them twice."""
    with ScriptedProvider() as provider:
        assert at_once(lambda _: ask_models(provider.url)) == [200] * 8


SCENARIOS = {
    "Budget": budget,
    "Session": session,
    "Hold": hold,
    "with hold:": with_hold,
    "MemoryStore": memory_store,
    "register_model": registration,
    "Limit": values,
    "ManualClock": manual_clock,
    "ScriptedProvider": scripted_provider,
}


@pytest.mark.parametrize("row", SCENARIOS)
def test_between_threads(row: str) -> None:
    """What the table says of threads, row by row."""
    SCENARIOS[row]()
