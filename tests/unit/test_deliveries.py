"""Alerts that are due in a store reach the webhooks of every budget on it, whichever process caused them."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, StoreUnavailable
from bursar.runtime import worker
from bursar.store import MemoryStore, Store
from bursar.testing import ManualClock
from bursar.webhooks import lookout
from bursar.webhooks import webhook as hooks

from ..contract.test_store_promises import BareStore
from ..files import file_url
from .hooked import OK, Receiver, answer, receiver, until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery is given up soon, and looks come one after the other."""
    monkeypatch.setattr(hooks, "_IN_ALL_S", 0.5)
    monkeypatch.setattr(hooks, "_FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr(lookout, "_PAUSE_S", (0.01, 0.02))


def budget(store: Store | str | None, *urls: str, **settings: Any) -> Budget:
    """A dollar, perhaps with webhooks on this machine."""
    hooked: dict[str, Any] = {"webhook_url": list(urls), "webhook_allow_private": True} if urls else {}
    return Budget("$1/total", store=store, **hooked, **settings)


def reach(of: Budget) -> None:
    """Cause an alert."""
    of.session(id="run").reserve(cost="$0.95").settle(cost="$0.95")


def due(store: Any) -> list[bool]:
    """Of each alert of the tree, whether it is due."""
    return [alert.due for alert in store.alerts("default").alerts]


def told(here: Receiver) -> list[dict[str, Any]]:
    """What a receiver has got."""
    return [json.loads(request.body) for request in here.received]


def test_a_delivered_alert_is_due_no_more() -> None:
    """Once every webhook has taken it, or has refused it for good."""
    store = MemoryStore()
    with receiver() as one, receiver(answer(404)) as other:
        reach(budget(store, one.url, other.url))
        one.wait()
        other.wait()
        until(lambda: due(store) == [False])
        (alert,) = store.alerts("default").alerts
        assert told(one)[0]["id"] == told(other)[0]["id"] == alert.id


def test_what_nobody_delivered_is_delivered_by_another_budget() -> None:
    """After 30 seconds of the store, with the id, the message and the report that it has; once."""
    clock = ManualClock(1_767_222_000)
    store = MemoryStore(clock)
    heard: list[Any] = []
    of = budget(store, alerts="inline", on_alert=heard.append)
    reach(of)
    with pytest.raises(BudgetExceeded):
        of.session(id="run").reserve(cost="$0.50")
    with receiver() as here:
        other = budget(store, here.url)
        clock.advance(29)
        time.sleep(0.1)
        assert here.received == [] and due(store) == [True, True]
        clock.advance(1)
        here.wait(2)
        until(lambda: due(store) == [False, False])
        clock.advance(60)
        time.sleep(0.05)
    assert [one["id"] for one in told(here)] == [alert.id for alert in heard]
    for got, alert in zip(told(here), heard, strict=True):
        assert {name: got[name] for name in alert.facts()} == alert.facts()
        assert got["report"]["alert"] == alert.facts() and got["report"]["total_spent"] == 0.95
    assert other.spent == of.spent


def test_what_a_webhook_could_not_deliver_is_tried_again() -> None:
    """By its own process, also when the receiver is back only after a while; the one that took it is left alone."""
    clock = ManualClock(1_767_222_000)
    store = MemoryStore(clock)
    with receiver() as up, receiver(answer(503)) as down:
        of = budget(store, up.url, down.url)
        reach(of)
        up.wait()
        down.wait()
        assert due(store) == [True]
        down.answers[:] = [OK]

        def delivered_by_now() -> bool:
            clock.advance(30)
            return due(store) == [False]

        until(delivered_by_now)
        assert len(up.received) == 1
        assert {one["id"] for one in told(down)} == {told(up)[0]["id"]}


def test_what_may_not_be_posted_stays_due(caplog: pytest.LogCaptureFixture) -> None:
    """For a process that may: the log says so once, however often it is tried."""
    clock = ManualClock(1_767_222_000)
    store = MemoryStore(clock)
    with receiver() as here:
        barred = Budget("$1/total", store=store, webhook_url=here.url)
        reach(barred)
        until(lambda: "a private address" in caplog.text)
        for _ in range(3):
            clock.advance(30)
            time.sleep(0.05)
        assert due(store) == [True] and here.connections == 0
        assert caplog.text.count("a private address") == 1
        del barred
        gc.collect()
        other = budget(store, here.url)

        def delivered_by_now() -> bool:
            clock.advance(30)
            return due(store) == [False]

        until(delivered_by_now)
        assert len(here.received) == 1 and other.spent
        assert caplog.text.count("a private address") == 1


def test_a_delivery_that_fails_oddly_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of an error that nobody expects: the alert stays due, and is tried again."""
    clock = ManualClock(1_767_222_000)
    store = MemoryStore(clock)
    sound = hooks.Webhook._attempt
    failed = threading.Event()

    def fail(self: hooks.Webhook, *given: Any) -> str | None:
        if not failed.is_set():
            failed.set()
            raise UnicodeError("label too long")
        return sound(self, *given)

    monkeypatch.setattr(hooks.Webhook, "_attempt", fail)
    with receiver() as here:
        of = budget(store, here.url)
        reach(of)
        assert failed.wait(30)
        until(lambda: "bursar-webhook failed: UnicodeError" in caplog.text)
        clock.advance(30)
        here.wait()
        until(lambda: due(store) == [False])


def test_trouble_with_the_store_is_not_due() -> None:
    """It is posted, and the store is not asked about it."""
    store = MemoryStore()
    with receiver() as here:
        of = budget(store, here.url)
        of._ledger.alerts.lost(3, "https://example.com", 0.0)  # type: ignore[attr-defined]
        here.wait()
    assert told(here)[0]["kind"] == "store_trouble" and due(store) == []


class Failing(MemoryStore):
    """Cannot be asked for alerts."""

    def claim(self, root: str, idle_ms: int, limit: int = 200) -> Any:
        raise StoreUnavailable("gone")

    delivered = claim  # type: ignore[assignment]


@pytest.mark.parametrize("make", [BareStore, Failing])
def test_a_store_that_keeps_no_alerts_harms_nobody(make: type[MemoryStore]) -> None:
    """They are posted all the same, and the thread that looks goes on."""
    with receiver() as here:
        of = budget(make(), here.url)
        reach(of)
        here.wait()
        time.sleep(0.05)
        other = budget(MemoryStore(), here.url)
        reach(other)
        here.wait()
        until(lambda: due(other._ledger.store) == [False])


def test_the_thread_ends_with_the_last_budget() -> None:
    """Nobody is kept alive by it."""

    def looking() -> bool:
        return any(thread.name == "bursar-due" for thread in threading.enumerate())

    of = budget(None, "http://127.0.0.1:1/")
    assert looking()
    del of

    def ended() -> bool:
        gc.collect()
        return not looking()

    until(ended)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_of_multiprocessing_ends_after_its_deliveries() -> None:
    """It ends without `atexit`; the receiver is slower than the process."""
    program = """
        import multiprocessing, sys
        from bursar import Budget

        def work():
            budget = Budget("$1", webhook_url=sys.argv[1], webhook_allow_private=True)
            budget.session().reserve(cost="$0.95").settle(cost="$0.95")

        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join()
    """

    def later(connection: Any) -> None:
        time.sleep(0.3)
        connection.sendall(OK)

    with receiver() as here:
        here.slowly = later
        subprocess.run([sys.executable, "-c", textwrap.dedent(program), here.url], timeout=30, check=True)
        assert len(here.received) == 1


@pytest.mark.parametrize("used", [True, False])
def test_multiprocessing_is_asked_to_flush_where_it_is_used(
    used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in a process; it is not imported for that."""
    import multiprocessing.util

    asked: list[object] = []
    monkeypatch.setattr(
        multiprocessing.util, "Finalize", lambda *given, **named: asked.append(given) or object()
    )
    monkeypatch.setattr(worker, "_finalizers", [])
    if not used:
        monkeypatch.delitem(sys.modules, "multiprocessing.util")
    for _ in range(2):
        one = worker.Worker("test", lambda item: None)
        assert one.put(1) and one.wait(30)
    assert asked == [(None, worker.flush)] * used


def test_a_child_looks_for_its_own_alone() -> None:
    """It begins without a thread and without what is on its way in the parent."""
    of = budget(None, "http://127.0.0.1:1/")
    parent = lookout.lookout._thread
    lookout.lookout.renew()
    assert parent is not None and lookout.lookout._thread is None
    reach(of)  # this one adds itself again
    until(lambda: lookout.lookout._thread is not None)


def test_a_budget_that_is_made_while_the_interpreter_ends_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread can be started any more; nobody looks."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(lookout.lookout, "_thread", None)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    budget(None, "http://127.0.0.1:1/")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_delivers_its_own() -> None:
    """What is on its way in the parent is the parent's; in the child a thread looks from the first alert on."""
    program = """
        import os, sys, threading, time
        from bursar import Budget
        budget = Budget("$1", store=sys.argv[1], webhook_url=sys.argv[2], webhook_allow_private=True)
        if os.fork() == 0:
            assert not any(thread.name == "bursar-due" for thread in threading.enumerate())
            budget.session().reserve(cost="$0.95").settle(cost="$0.95")
            until_s = time.monotonic() + 20  # another thread starts it
            while not any(thread.name == "bursar-due" for thread in threading.enumerate()):
                assert time.monotonic() < until_s
                time.sleep(0.01)
        else:
            sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    url = file_url()
    with receiver() as here:
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), url, here.url], timeout=30, check=True
        )
        assert len(here.wait()) == 1
    assert due(Budget(store=url)._ledger.store) == [False]
