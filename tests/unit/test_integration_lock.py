"""A lock that may be entered again, and that a forked child finds open."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from bursar.integration import Lock


def test_it_may_be_entered_again_by_its_thread_and_by_no_other() -> None:
    """The collector may call back into an adapter on the same thread; other threads wait."""
    lock, order = Lock(), []

    def other() -> None:
        with lock:
            order.append("other")

    thread = threading.Thread(target=other)
    with lock, lock:
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_finds_it_open() -> None:
    """Another thread of the parent holds it, and is not there in the child."""
    lock, entered, leave = Lock(), threading.Event(), threading.Event()

    def holds() -> None:
        with lock:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=holds)
    thread.start()
    entered.wait()
    child = os.fork()
    if not child:
        os._exit(0 if lock._lock.acquire(timeout=5) else 1)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_renewed_locks_are_all_open() -> None:
    """What runs in the child, run here: each lock that there is gets another one below."""
    from bursar.integration import lock as module

    lock = Lock()
    before = lock._lock
    module._renew()
    assert lock._lock is not before
