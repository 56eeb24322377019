"""Turns: in the order in which threads came, bounded in time, and never left behind closed."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bursar import StoreUnavailable
from bursar.store.sqlite import lock
from bursar.store.sqlite.turnstile import Turnstile


def soon(seconds: float = 10) -> float:
    """A deadline."""
    return time.monotonic() + seconds


def until(true: Callable[[], object]) -> None:
    """Wait for something that another thread does."""
    end = soon()
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


def started(work: Callable[[], object]) -> threading.Thread:
    """A thread that does this."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.alone
@pytest.mark.parametrize("processes", [True, False])
def test_threads_get_their_turn_in_order(
    tmp_path: Path, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever came first goes first; also where the system has no lock between processes."""
    if not processes:
        monkeypatch.setattr(lock, "fcntl", None)
    line, go, order = Turnstile(str(tmp_path / "budget.db")), threading.Event(), []
    threads = [started(lambda: line.take(soon(), go.wait))]
    until(lambda: line._lock.acquire(blocking=False) is False or line._lock.release())
    for number in range(5):
        threads.append(started(lambda number=number: line.take(soon(), lambda: order.append(number))))  # type: ignore[misc]
        until(lambda number=number: len(line._line) > number)  # type: ignore[misc]
    go.set()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4] and not line._line
    assert (tmp_path / "budget.db-lock").exists() is processes


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_thread_waits_no_longer_than_it_may(tmp_path: Path, place: str) -> None:
    """Nor does one that is not even the first in line; those behind it are not kept from theirs."""
    line, go = Turnstile(str(tmp_path / "budget.db")), threading.Event()
    holder = started(lambda: line.take(soon(), go.wait))
    until((tmp_path / "budget.db-lock").exists)
    others = []
    if place == "second":
        others.append(started(lambda: line.take(soon(), bool)))
        until(lambda: len(line._line) == 1)
    with pytest.raises(StoreUnavailable, match="other threads"):
        line.take(soon(0.12), bool)
    go.set()
    for thread in (holder, *others):
        thread.join()
    assert line.take(soon(), lambda: 7) == 7


def test_a_turn_within_a_turn_is_refused(tmp_path: Path) -> None:
    """It would wait for itself; afterwards all goes on."""
    line = Turnstile(str(tmp_path / "budget.db"))
    with pytest.raises(StoreUnavailable, match="from within"):
        line.take(soon(), lambda: line.take(soon(), bool))
    assert line.take(soon(), lambda: 7) == 7


def test_an_error_within_a_turn_ends_it(tmp_path: Path) -> None:
    """For other threads and other processes."""
    line, other = Turnstile(str(tmp_path / "budget.db")), Turnstile(str(tmp_path / "budget.db"))
    with pytest.raises(ZeroDivisionError):
        line.take(soon(), lambda: 1 // 0)
    assert other.take(soon(0.1), lambda: 7) == 7
    worker = started(lambda: line.take(soon(), bool))
    worker.join()


def test_a_waiter_who_went_astray_holds_nobody_up(tmp_path: Path) -> None:
    """An interrupt took it out of the line without a trace: those behind it find the lock free."""
    line = Turnstile(str(tmp_path / "budget.db"))
    line._line.append(threading.Event())
    assert line.take(soon(), lambda: 7) == 7


def test_an_interrupt_between_two_locks_opens_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one moment in which the lock is taken and nothing else is."""
    line = Turnstile(str(tmp_path / "budget.db"))
    real = line._stand_in_line

    def interrupted(deadline: float) -> bool:
        real(deadline)
        raise KeyboardInterrupt

    monkeypatch.setattr(line, "_stand_in_line", interrupted)
    with pytest.raises(KeyboardInterrupt):
        line.take(soon(), bool)
    monkeypatch.undo()
    worker = started(lambda: line.take(soon(), bool))
    worker.join()
    assert line.take(soon(), lambda: 7) == 7


def test_another_process_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """A thread gives up in time, and those behind it get their turn when the lock is open again."""
    path = tmp_path / "budget.db"
    line = Turnstile(str(path))
    with Path(f"{path}-lock").open("w+b") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable, match="another process"):
            line.take(soon(0.1), bool)
    assert line.take(soon(), lambda: 7) == 7


def test_a_fork_inherits_no_place_in_a_line(tmp_path: Path) -> None:
    """Seen from inside, as a child would; nobody can keep others away from within a turn."""
    line = Turnstile(str(tmp_path / "budget.db"))
    assert line.alone(soon())
    line._line.append(threading.Event())
    line.renew()
    assert not line._line and line.take(soon(), lambda: 7) == 7
    assert line.take(soon(), lambda: line.alone(soon(0.01))) is False
