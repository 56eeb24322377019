"""Many processes, many threads, many forks: all get their turn, and none leaves anything open."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bursar import Budget, StoreUnavailable
from bursar.store.sqlite import file as file_module
from bursar.store.sqlite.file import File

from ...files import file_url
from .test_refusals import store_of

PROGRAM = """
import json, sys, time
from bursar import Budget
url, seconds = sys.argv[1], float(sys.argv[2])
budget = Budget("$100/total", store=url, max_repeated_calls=None)
session = budget.session("$50")
session.reserve(cost="0.000001").settle(cost="0.000001")
print("ready", flush=True)
sys.stdin.readline()
file, times, steps = budget._ledger.store._file, [], []
end = time.perf_counter() + seconds
while (began := time.perf_counter()) < end:
    hold = session.reserve(cost="0.000001")
    middle = time.perf_counter()
    steps.append(file.seen.seq)
    hold.settle(cost="0.000001")
    steps.append(file.seen.seq)
    times += [middle - began, time.perf_counter() - middle]
gaps = [after - before for before, after in zip(steps, steps[1:])]
print(json.dumps([len(times) // 2, max(times), max(gaps)]), flush=True)
"""


@pytest.mark.alone
def test_none_of_eight_processes_starves(tmp_path: Path) -> None:
    """They spend without a pause: none gets less than half of what another gets, and all others go by once or twice.

    Without turns, of SQLite's own waiting, two of eight were measured to get one call in four seconds.
    """
    url = file_url(tmp_path / "budget.db", timeout="20s")
    command = [sys.executable, "-c", PROGRAM, url, "2"]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    counts = sorted(count for count, _, _ in told)
    longest, most = (max(numbers) for numbers in list(zip(*told, strict=True))[1:])
    sys.stderr.write(
        f"calls of each process {counts}; longest verb {1000 * longest:.0f} ms;"
        f" at most {most} steps of all from one of a process to its next\n"
    )
    budget = Budget("$100/total", store=url, max_repeated_calls=None)
    assert counts[0] > counts[-1] / 2 and most <= 32, (counts, most)
    assert round(float(budget.spent) * 10**6) == sum(counts) + 8
    assert budget.audit() == () and budget.reserved == 0


def open_files() -> int:
    """How many files this process has open."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_a_thousand_short_threads_leave_nothing_open(tmp_path: Path) -> None:
    """Each makes one call of its own; all get their turn, and the number of open files stays."""
    budget = Budget("$1/total", store=file_url(tmp_path / "budget.db", synchronous="normal", timeout="20s"))
    session = budget.session("$1")
    session.reserve(cost="0.0001").settle(cost="0.0001")
    before, failures = open_files(), []

    def spend() -> None:
        try:
            session.reserve(cost="0.0001").settle(cost="0.0001")
        except Exception as error:
            failures.append(error)

    for _ in range(20):
        threads = [threading.Thread(target=spend) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == [] and float(budget.spent) == 0.1001 and budget.audit() == ()
    assert open_files() <= before + 1


def test_forks_in_the_middle_of_everything(tmp_path: Path) -> None:
    """A parent with busy threads forks again and again: parent and children spend from one purse, and it adds up."""
    program = f"""
import os, signal, threading
from bursar import Budget
budget = Budget("$1/total", store={file_url(tmp_path / "budget.db", timeout="20s")!r}, max_repeated_calls=None)
session, enough, made = budget.session("$1", id="s"), threading.Event(), []
def spend():
    while not enough.is_set():
        session.reserve(cost="0.0001").settle(cost="0.0001")
        made.append(1)
threads = [threading.Thread(target=spend) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(12):
    child = os.fork()
    if not child:
        signal.alarm(30)
        code = 1
        try:
            for _ in range(3):
                budget.session("$1", id="c").reserve(cost="0.0001").settle(cost="0.0001")
            code = 0
        finally:
            os._exit(code)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
enough.set()
for thread in threads:
    thread.join()
assert codes == [0] * 12, codes
assert round(float(budget.spent) * 10_000) == len(made) + 36, (budget.spent, len(made))
assert budget.audit() == ()
assert len(made) > 3, len(made)
"""
    done = subprocess.run(
        [sys.executable, "-Wignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_of_a_step_touches_nothing(tmp_path: Path) -> None:
    """Forked off by a clock that a step asks, it is told to start anew; its parent does not notice."""
    program = f"""
import os, signal
from bursar import Budget, StoreUnavailable
from bursar.testing import ManualClock
class Forking(ManualClock):
    child = 0
    def now(self):
        if self.child == 1:
            self.child = os.fork()
        return super().now()
clock = Forking(1_750_000_000)
budget = Budget("$1/total", store={file_url(tmp_path / "budget.db")!r}, clock=clock)
session = budget.session("$1")
session.reserve(cost="$0.10").settle(cost="$0.10")
clock.child = 1
try:
    session.reserve(cost="$0.10").settle(cost="$0.10")
except StoreUnavailable as error:
    os._exit(7 if "forked" in str(error) else 8)
assert clock.child > 1, clock.child
assert os.waitstatus_to_exitcode(os.waitpid(clock.child, 0)[1]) == 7
session.reserve(cost="$0.10").settle(cost="$0.10")
assert round(float(budget.spent), 9) == 0.3 and budget.audit() == ()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["s", "t"])
def test_a_session_goes_on_in_another_process(tmp_path: Path, name: str) -> None:
    """What one process spent in it counts in the next; a session of another name has its own limit."""
    url = file_url(tmp_path / "budget.db")
    budget = Budget("$1", store=url)
    with budget.session(id="s") as session:
        session.reserve(cost="$0.70").settle(cost="$0.70")
    program = f"""
from bursar import Budget, BudgetExceeded
budget = Budget("$1", store={url!r})
try:
    budget.session(id={name!r}).reserve(cost="$0.40").settle(cost="$0.40")
except BudgetExceeded as error:
    print(error.spent, error.remaining)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ("0.7 0.3\n" if name == "s" else "")
    assert float(budget.spent) == (0.7 if name == "s" else 1.1)


def test_a_fork_is_seen_from_inside(tmp_path: Path) -> None:
    """What is open is closed before it; a child has threads and an outbox of its own, and may be told to touch nothing."""
    budget = Budget("$1/total", store=file_url(tmp_path / "budget.db"))
    session = budget.session("$1")
    session.reserve(cost="$0.10").settle(cost="$0.10")
    store = store_of(budget)
    file = store._file
    asyncio.run(session.acheck("gpt-4o", 1, 1))
    assert file._connection is not None and store._worker is not None
    file_module._each(File.before_fork)()
    assert file._connection is None
    file_module._each(File.in_parent)()
    session.reserve(cost="$0.10").settle(cost="$0.10")
    file.before_fork()
    file.in_child()
    store._forks -= 1
    session.reserve(cost="$0.10").settle(cost="$0.10")
    assert store._worker is None and float(budget.spent) == pytest.approx(0.3)

    def within() -> None:
        file.before_fork()  # somebody is in a step, and does not end it
        file.in_parent()
        file.in_child()

    file._turnstile.take(time.monotonic() + 1, within)
    assert file._stranded
    with pytest.raises(StoreUnavailable, match="forked off in the middle"):
        session.reserve(cost="$0.10")
    file._stranded = False
    file._connection.close()
