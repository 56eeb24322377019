"""By default a thread of its own tells the listeners: no call waits for one, whatever it does."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
import threading

import pytest

from bursar import Alert, Budget, BudgetExceeded
from bursar.runtime import worker as worker_module
from bursar.runtime.worker import Worker

from .hooked import until


def reach(budget: Budget) -> None:
    """Reach the soft limit of a dollar."""
    budget.session().reserve(cost="$0.95").settle(cost="$0.95")


def test_a_call_does_not_wait_for_a_listener_that_hangs() -> None:
    """The settle returns while the listener is still inside; with `inline` the listener has ended before."""
    entered, release, done = threading.Event(), threading.Event(), threading.Event()

    def hang(alert: Alert) -> None:
        entered.set()
        assert release.wait(30)
        done.set()

    reach(Budget("$1", on_alert=hang))
    assert entered.wait(30) and not done.is_set()
    release.set()
    assert done.wait(30)
    reach(Budget("$1", on_alert=hang, alerts="inline"))
    assert done.is_set()


def test_alerts_are_told_in_their_order() -> None:
    """One thread tells them, whichever thread caused them."""
    told: list[float | None] = []
    last = threading.Event()

    def listen(alert: Alert) -> None:
        told.append(alert.threshold)
        if alert.threshold == 1.0:
            last.set()

    session = Budget("$1", soft_limit=(0.25, 0.5, 0.75, 1.0), on_alert=listen).session()
    for _ in range(4):
        session.reserve(cost="$0.25").settle(cost="$0.25")
    assert last.wait(30)
    assert told == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("delivery", ["thread", "inline"])
def test_an_async_listener_runs_in_the_loop_of_the_call(
    delivery: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there is one; else in a loop of its own. What it raises is logged once."""
    loops: list[asyncio.AbstractEventLoop] = []
    heard = threading.Event()

    async def listen(alert: Alert) -> None:
        loops.append(asyncio.get_running_loop())
        heard.set()
        raise ValueError("sk-secret")

    budget = Budget("$1/total", on_alert=listen, alerts=delivery)  # type: ignore[arg-type]

    async def main() -> None:
        hold = await budget.session().areserve(cost="$0.95")
        await hold.asettle(cost="$0.95")
        await asyncio.to_thread(heard.wait, 30)
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())
    heard.clear()
    with pytest.raises(BudgetExceeded):
        budget.session().reserve(cost=1)
    assert heard.wait(30)
    assert len(loops) == 2 and loops[0] is not loops[1]
    until(lambda: caplog.text.count("ValueError") == 2)
    failures = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert all("ValueError" in one.getMessage() for one in failures)
    assert "sk-secret" not in caplog.text


def test_what_a_worker_cannot_take_is_told() -> None:
    """A queue is bounded: who puts in too much is told so, and never waits."""
    release, done = threading.Event(), list[int]()

    def work(item: int) -> None:
        assert release.wait(30)
        done.append(item)
        if item == 2:
            raise ValueError(item)

    worker = Worker("test", work, most=2)
    taken = [worker.put(item) for item in range(1, 6)]
    assert taken[:2] == [True, True] and not all(taken)
    assert not worker.wait(0)
    release.set()
    assert worker.wait(30)
    assert done == [item for item, fits in zip(range(1, 6), taken, strict=True) if fits]


def test_a_worker_begins_anew_in_a_child() -> None:
    """What waits is the parent's to do; the child's queue is empty."""
    release, done = threading.Event(), list[int]()
    worker = Worker("test", lambda item: (release.wait(30), done.append(item)))
    assert worker.put(1) and worker.put(2)
    until(lambda: len(worker) == 1)
    worker_module.renew_all()
    assert len(worker) == 0 and worker.wait(0)
    release.set()
    assert worker.put(3)
    until(lambda: sorted(done) == [1, 3])


def test_a_worker_that_gets_no_thread_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the interpreter ends, nobody can tell a listener; the call is none the worse."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    told: list[Alert] = []
    reach(Budget("$1", on_alert=told.append))
    assert told == [] and "an alert was dropped" in caplog.text


def test_an_exit_waits_for_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for what one hands on to another, and no longer than it may."""
    release, done = threading.Event(), list[int]()
    second = Worker("second", done.append)
    first = Worker("first", lambda item: (release.wait(0.2), second.put(item)))
    assert first.put(1)
    worker_module.flush()
    assert done == [1]
    monkeypatch.setattr(worker_module, "_FLUSH_S", 0.01)
    endless = Worker("endless", lambda item: release.wait(30))
    assert endless.put(1)
    worker_module.flush()
    assert not endless.wait(0)
    release.set()


def test_an_async_listener_outlives_the_loop_of_the_call() -> None:
    """A loop that has ended by the time of the alert is replaced by one of its own."""
    entered, release, heard = threading.Event(), threading.Event(), threading.Event()

    def hang(report: object) -> None:
        entered.set()
        assert release.wait(30)

    async def listen(alert: Alert) -> None:
        heard.set()

    async def main() -> None:
        hold = await Budget("$1", on_soft_limit=hang, on_alert=listen).session().areserve(cost="$0.95")
        await hold.asettle(cost="$0.95")

    asyncio.run(main())
    assert entered.wait(30)
    release.set()
    assert heard.wait(30)


@pytest.mark.parametrize(("seconds", "told"), [(0.2, "told\n"), (60, "")])
def test_an_exit_waits_two_seconds_for_listeners(seconds: float, told: str) -> None:
    """One that needs less is heard to its end, one that hangs does not keep the process."""
    program = f"""
        import time
        from bursar import Budget

        def listen(alert):
            time.sleep({seconds})
            print("told")

        Budget("$1", on_alert=listen).session().reserve(cost="$0.95").settle(cost="$0.95")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == told
