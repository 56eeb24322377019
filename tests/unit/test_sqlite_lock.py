"""The lock between processes: in the order in which they came, bounded in time, and open when it is not wanted."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bursar.store.sqlite import lock as lock_module
from bursar.store.sqlite.lock import Lock
from bursar.store.sqlite.queue import Queue

from .test_sqlite_turns import soon, started, until

WAITER = """
import sys, time
from bursar.store.sqlite import lock as lock_module
from bursar.store.sqlite.lock import Lock
path, name, order, patience_s = sys.argv[1:]
lock_module._PATIENCE_S = float(patience_s)
lock = Lock(path)
print("ready", flush=True)
sys.stdin.readline()
assert lock.take(time.monotonic() + 30)
with open(order, "a") as file:
    file.write(name)
lock.leave()
"""


class Waiter:
    """A process that writes its name when it has the lock."""

    def __init__(self, path: Path, name: str, patience_s: float) -> None:
        command = [sys.executable, "-c", WAITER, str(path), name, f"{path}-order", str(patience_s)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None and self._process.stdout.readline() == "ready\n"

    def go(self, path: Path, number: int) -> None:
        """Let it come, and see it take a number."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        until(lambda: next_number(path) == number)

    def signal(self, what: signal.Signals) -> None:
        """Send it one; a process that is stopped may still get the lock until it has really stopped."""
        self._process.send_signal(what)
        if what is signal.SIGSTOP:
            os.waitpid(self._process.pid, os.WUNTRACED)

    def end(self) -> int:
        """Wait for its end."""
        self._process.communicate(timeout=60)
        return self._process.returncode


def next_number(path: Path) -> int:
    """Of the queue."""
    queue = Path(f"{path}-queue")
    return int.from_bytes(queue.read_bytes(), "little") if queue.exists() else 0


def workers(lock: Lock) -> list[threading.Thread]:
    """The threads that wait for it."""
    threads = (thread for thread in threading.enumerate() if thread.name == "bursar-sqlite-lock")
    return [
        thread for thread in threads if getattr(getattr(thread, "_target", None), "__self__", None) is lock
    ]


def test_processes_get_it_in_the_order_in_which_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before its owner, who wants it again at once; nobody passes the one in front, however slow."""
    monkeypatch.setattr(lock_module, "_PATIENCE_S", 60)
    path = tmp_path / "budget.db"
    lock, waiters = Lock(str(path)), [Waiter(path, name, 60) for name in "abcdef"]
    assert lock.take(soon())
    for number, waiter in enumerate(waiters, 1):
        waiter.go(path, number)
    lock.leave()
    assert lock.take(soon())
    assert Path(f"{path}-order").read_text() == "abcdef"
    lock.leave()
    assert [waiter.end() for waiter in waiters] == [0] * 6


STANDING = """
import sys
from bursar.store.sqlite.queue import Queue
queue = Queue(sys.argv[1])
number = queue.stand()
print(number, flush=True)
sys.stdin.readline()
queue.leave(number)
"""


def test_nobody_is_at_the_head_before_the_one_in_front_has_left(tmp_path: Path) -> None:
    """Whether the lock behind it is free or not; a third one sees that somebody stands there."""
    path = tmp_path / "queue"
    command = [sys.executable, "-c", STANDING, str(path)]
    standing = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    first, second = (process.stdout for process in standing)
    assert first is not None and second is not None
    until(lambda: path.exists() and int.from_bytes(path.read_bytes(), "little") == 2)
    head, *behind = select.select([first, second], [], [], 30)[0]
    assert not behind and not select.select({first, second} - {head}, [], [], 0.3)[0]
    queue = Queue(str(path))
    assert not queue.empty() and head.readline() == "0\n"
    standing[[first, second].index(head)].communicate("leave\n", timeout=30)
    (last,) = {first, second} - {head}
    assert last.readline() == "1\n" and not queue.empty()
    standing[[first, second].index(last)].communicate("leave\n", timeout=30)
    assert queue.empty()
    queue.close()


def test_two_of_a_process_do_not_open_each_others_places(tmp_path: Path) -> None:
    """Neither does one that looks, nor one that is closed; and the second waits for the first."""
    first, second, third = (Queue(str(tmp_path / "queue")) for _ in range(3))
    number, passed = first.stand(), threading.Event()
    assert not second.empty()
    third.close()
    assert not second.empty()
    behind = started(lambda: (second.leave(second.stand()), passed.set()))
    assert not passed.wait(0.3)
    first.leave(number)
    behind.join()
    assert first.empty()
    first.close()
    second.close()


@pytest.mark.parametrize("what", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_process_that_stays_in_the_queue_does_not_stop_the_others(
    tmp_path: Path, what: signal.Signals
) -> None:
    """They wait for it for a while, where it lives, and then go by."""
    path = tmp_path / "budget.db"
    lock, waiters = Lock(str(path)), [Waiter(path, name, 0.5) for name in "abc"]
    assert lock.take(soon())
    waiters[0].go(path, 1)
    waiters[0].signal(what)
    for number, waiter in enumerate(waiters[1:], 2):
        waiter.go(path, number)
    lock.leave()
    began = time.monotonic()
    assert [waiter.end() for waiter in waiters[1:]] == [0, 0]
    assert time.monotonic() - began < 20, "they went by when their time was up"
    assert lock.take(soon())
    lock.leave()
    waiters[0].signal(signal.SIGCONT)
    assert waiters[0].end() == (0 if what is signal.SIGSTOP else -what)
    assert sorted(Path(f"{path}-order").read_text()) == list("abc" if what is signal.SIGSTOP else "bc")


def test_what_came_too_late_is_given_back(tmp_path: Path) -> None:
    """Another process has it for too long; later it is free for everybody, and one worker was enough."""
    path = tmp_path / "budget.db"
    lock = Lock(str(path))
    with Path(f"{path}-lock").open("w+b") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        for _ in range(2):
            assert not lock.take(soon(0.1))
            lock.leave()
        assert len(workers(lock)) == 1
        fcntl.flock(theirs, fcntl.LOCK_UN)
        until(lambda: not lock._standing)
        fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        got: list[bool] = []
        waiter = started(lambda: got.append(lock.take(soon())))
        until(lambda: lock._standing)
        assert got == []
        fcntl.flock(theirs, fcntl.LOCK_UN)
        waiter.join()
        assert got == [True]
        with pytest.raises(BlockingIOError):
            fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.leave()
        fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_nothing_stays_when_it_is_not_used_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread, and no open file."""
    monkeypatch.setattr(lock_module, "_IDLE_S", 0.01)
    path = tmp_path / "budget.db"
    before = set(Path("/proc/self/fd").iterdir())
    lock = Lock(str(path))
    with Path(f"{path}-lock").open("w+b") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert not lock.take(soon(0.05))
    lock.leave()
    until(lambda lock=lock: not workers(lock))
    assert lock.take(soon())
    lock.leave()
    del lock
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) <= before


@pytest.mark.parametrize("content", [b"", b"\x01", b"\xff" * 8, b"\xff" * 7, b"not a number at all"])
def test_a_damaged_queue_costs_the_order_alone(tmp_path: Path, content: bytes) -> None:
    """Whatever its file has, one after the other gets the lock."""
    path = tmp_path / "budget.db"
    Path(f"{path}-queue").write_bytes(content)
    locks = [Lock(str(path)) for _ in range(3)]
    assert locks[0].take(soon())
    threads = [started(lambda lock=lock: (lock.take(soon()), lock.leave())) for lock in locks[1:]]  # type: ignore[misc]
    until(lambda: all(lock._standing for lock in locks[1:]))
    locks[0].leave()
    for thread in threads:
        thread.join()
    assert locks[0].take(soon())
    locks[0].leave()


def test_a_queue_that_cannot_be_used_is_not_waited_in(tmp_path: Path) -> None:
    """It says that somebody stands there, and lets everybody by."""
    queue = Queue(str(tmp_path / "queue"))
    assert queue.empty()
    os.close(queue._file)
    queue._file = os.open(tmp_path / "queue", os.O_RDONLY)
    assert not queue.empty()
    queue.leave(queue.stand())
    queue.close()
    queue.leave(1)


def test_no_thread_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the end of the interpreter: it looks again and again, and no longer than it may."""
    path = tmp_path / "budget.db"
    lock = Lock(str(path))

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with Path(f"{path}-lock").open("w+b") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        got: list[bool] = []
        waiter = threading.Thread(target=lambda: got.append(lock.take(soon())))
        with monkeypatch.context() as patched:
            start = threading.Thread.start
            patched.setattr(threading.Thread, "start", refuse)
            assert not lock.take(soon(0.1))
            lock.leave()
            start(waiter)
            until(lambda: lock._wanted)
            fcntl.flock(theirs, fcntl.LOCK_UN)
            waiter.join()
        assert got == [True]
    lock.leave()
    assert lock.take(soon())
    lock.leave()


def test_a_worker_whose_start_was_interrupted_is_not_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread runs and nobody knows it: it ends by itself, and another one does the work."""
    path = tmp_path / "budget.db"
    lock, start = Lock(str(path)), threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        start(self)
        raise KeyboardInterrupt

    with Path(f"{path}-lock").open("w+b") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            lock.take(soon())
        lock.leave()
        monkeypatch.undo()
        until(lambda: not workers(lock))
        assert not lock.take(soon(0.05))
        lock.leave()
    assert lock.take(soon())
    lock.leave()


def test_a_fork_takes_no_lock_with_it(tmp_path: Path) -> None:
    """Seen from inside, as a child would: nothing is open that its parent has, and it starts anew."""
    lock: Lock = Lock(str(tmp_path / "budget.db"))
    assert lock.take(soon())
    file = lock._file
    lock.renew()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(file)
    lock.leave()
    assert lock.take(soon()) and lock.take(soon())
    lock.leave()


def test_a_queue_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    """However often it is tried; and all is well when it can be."""
    path = tmp_path / "budget.db"
    Path(f"{path}-queue").mkdir()
    before = set(Path("/proc/self/fd").iterdir())
    lock = Lock(str(path))
    for _ in range(5):
        with pytest.raises(IsADirectoryError):
            lock.take(soon())
        lock.leave()
    Path(f"{path}-queue").rmdir()
    assert lock.take(soon())
    lock.leave()
    del lock
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) <= before
