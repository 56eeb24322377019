"""Programs that fork, run by test_after_fork.py: a test runner has threads, and is better not forked itself."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import wire

from bursar import Budget, BudgetExceeded, Hold, HoldClosed, StoreUnavailable, register_model
from bursar.integration import covered_hold
from bursar.pricing import overrides as registry
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock, ScriptedProvider

STUCK_S = 20


def in_child(work: Callable[[], None]) -> None:
    """Fork, and do this in the child, which must end well and soon."""
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(STUCK_S)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "the child failed, or got stuck"


@contextmanager
def held_by_a_thread(lock: Any) -> Any:
    """Another thread has the lock, and would open it if it were still there."""
    taken, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            enough.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    yield
    enough.set()
    thread.join()


def refused(work: Callable[[], object]) -> None:
    """Not in this process; the error says what to do."""
    try:
        work()
    except StoreUnavailable as error:
        assert "open a Budget in the child" in str(error)
    else:
        raise AssertionError("the child got at the money of its parent")


def budget() -> None:
    """The child can neither spend nor read what its parent has, and gets an answer at once; its own budget works."""
    parents, store = Budget("$1/total"), MemoryStore()
    busy = Budget("$1/total", store=store)
    session = parents.session()
    session.reserve(cost="$0.4").settle()
    late = session.reserve(cost="$0.1")
    late.abandon()

    def child() -> None:
        for money in (parents, busy):
            refused(partial(money.session().reserve, cost="$0.1"))
            refused(partial(getattr, money, "spent"))
            refused(money.report)
            refused(partial(money.trip, "no"))
        own = Budget("$1/total")
        own.session().reserve(cost="$0.7").settle()
        assert own.spent == Decimal("0.7")

    with held_by_a_thread(store._lock):
        in_child(child)
    parents.session().reserve(cost="$0.5").settle()
    assert parents.spent == 1


def session() -> None:
    """The child cannot reserve in a session of its parent, at every size; the parent goes on, and so does its child's child."""
    parents = Budget("$1").session()

    def child() -> None:
        refused(lambda: parents.reserve("gpt-4o", input_tokens=10, max_output_tokens=10))
        refused(lambda: parents.child_session().reserve(cost=0))
        own = Budget("$1").session()
        in_child(lambda: refused(lambda: own.reserve(cost="$0.1")))
        own.reserve(cost="$0.1").settle()
        assert own.spent == Decimal("0.1")

    in_child(child)
    parents.reserve(cost="$1").settle()
    assert parents.spent == 1


def hold() -> None:
    """In the middle of a call the child drops the hold, without an error on its way out; the parent settles, once."""
    parents = Budget("$1").session()

    def child(held: Hold) -> None:
        for step in (lambda: held.settle(cost="$0.1"), held.release, held.settle_unknown, held.extend):
            try:
                step()
            except HoldClosed as error:
                assert "its parent settles it" in str(error)
            else:
                raise AssertionError("the child closed the hold of its parent")
        held.abandon()
        held.resolve(ConnectionRefusedError())
        assert held.state == "reserved"

    with parents.reserve(cost="$0.5") as held:
        in_child(lambda: child(held))
        held.settle(cost="$0.2")
    assert (parents.spent, parents.reserved) == (Decimal("0.2"), 0)

    # A child that leaves the block, whole or by an exception, leaves it with what it was about to say.
    with parents.reserve(cost="$0.5") as left:
        child_id = os.fork()
        if child_id == 0:
            signal.alarm(STUCK_S)
    if child_id == 0:
        os._exit(0)
    assert os.waitpid(child_id, 0)[1] == 0 and left.state == "in_doubt"
    try:
        with parents.reserve(cost="$0.1") as left:
            child_id = os.fork()
            if child_id == 0:
                signal.alarm(STUCK_S)
                raise KeyError("of the child")
            left.settle()
    except KeyError:
        os._exit(0)
    assert os.waitpid(child_id, 0)[1] == 0
    assert (parents.spent, parents.reserved) == (Decimal("0.8"), 0)


def with_hold() -> None:
    """What the child sends is not paid for by the hold of its parent, but by one of its own."""
    with Budget("$1").session().reserve(cost="$0.5") as held:

        def child() -> None:
            assert covered_hold() is None
            with Budget("$1").session().reserve(cost="$0.5") as own:
                assert covered_hold() is own
                own.settle()
            assert covered_hold() is None

        in_child(child)
        assert covered_hold() is held
        held.settle()


def memory_store() -> None:
    """No verb of an inherited store answers, though another thread had its lock; a new store does."""
    store = MemoryStore()
    busy = Budget("$1", name="busy", store=store)
    busy.session().reserve(cost="$0.1").settle()

    def child() -> None:
        refused(lambda: store.read("busy"))
        refused(lambda: store.audit("busy"))
        assert MemoryStore().read("busy").accounts == {}

    with held_by_a_thread(store._lock):
        in_child(child)
    assert store.audit("busy") == ()


def registration() -> None:
    """The child knows what was registered before, and registers for itself though a thread had the lock."""
    register_model("mine", 1, 2)

    def child() -> None:
        register_model("the-childs", 3, 4)
        own = Budget("$1").session()
        assert own.reserve("mine", input_tokens=10**6, max_output_tokens=0).amount == 1
        own = Budget("$3").session()
        assert own.reserve("the-childs", input_tokens=10**6, max_output_tokens=0).amount == 3

    with held_by_a_thread(registry._lock):
        in_child(child)
    assert set(registry.registered()) == {"mine"}


def manual_clock() -> None:
    """The child's clock goes its own way from the moment of the fork."""
    clock = ManualClock(5)

    def child() -> None:
        assert clock.now() == 5
        clock.advance(10)

    in_child(child)
    assert clock.now() == 5


def scripted_provider() -> None:
    """The child asks it by its URL; that it stops ends nothing of its parent's."""
    with ScriptedProvider() as provider:

        def child() -> None:
            assert wire.ask_models(provider.url) == 200
            provider.stop()

        assert wire.ask_models(provider.url) == 200
        in_child(child)
        assert wire.ask_models(provider.url) == 200


SCENARIOS = {
    "Budget": budget,
    "Session": session,
    "Hold": hold,
    "with hold:": with_hold,
    "MemoryStore": memory_store,
    "register_model": registration,
    "ManualClock": manual_clock,
    "ScriptedProvider": scripted_provider,
}


if __name__ == "__main__":
    try:
        SCENARIOS[sys.argv[1]]()
    except BudgetExceeded as refusal:
        sys.exit(f"refused: {refusal}")
