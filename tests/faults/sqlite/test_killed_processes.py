"""Processes that are killed at any moment never spend more than the limit: counted by their bills, not by the ledger."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bursar import Budget
from bursar.store.sqlite import open_sqlite

from ...files import file_url
from ..redis import worker
from .test_refusals import until

KILLS, KILLS_IN_A_HOLD = 10, 5
WORST = 200_000  # nano-dollars a call: five hundred fit into the limit at the least


def _billed(bill: Path, pid: int) -> bool:
    return f"{pid} " in bill.read_text()


def test_the_true_bill_stays_below_the_limit(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """SIGKILL to processes with three threads each, also inside transactions, until enough of them died in a call."""
    path, bill, dice = tmp_path / "budget.db", tmp_path / "bill", random.Random(11)
    url = file_url(path, timeout="20s")
    budget = Budget(worker.LIMIT, store=url, lease="2s", max_repeated_calls=None)
    budget.reset("the account exists")
    bill.touch()
    store = open_sqlite(url)
    limit = 100_000_000
    kills, hit, rounds, inside = 0, 0, 0, 0

    def start() -> subprocess.Popen[bytes]:
        nonlocal rounds
        rounds += 1
        return subprocess.Popen([sys.executable, worker.__file__, url, str(bill), str(rounds), str(WORST)])

    running = [start() for _ in range(3)]
    request.addfinalizer(lambda: [(process.kill(), process.wait()) for process in running])
    deadline = time.monotonic() + 90
    while (hit < KILLS_IN_A_HOLD or kills < KILLS) and time.monotonic() < deadline:
        victim = running.pop(0)
        until(partial(_billed, bill, victim.pid))
        time.sleep(dice.uniform(0, 0.1))
        assert victim.poll() is None, "the money must not end before the test does"
        inside += _is_writing(path, victim.pid)
        victim.kill()
        victim.wait()
        kills += 1
        lines = [
            line.split()[1] for line in bill.read_text().splitlines() if line.startswith(f"{victim.pid} ")
        ]
        hit += len(lines) > 2 * lines.count("settled")  # a call was billed, and is not settled
        running.append(start())
        view = store.read("default").accounts["default"]
        assert view.spent.usd + view.reserved.usd <= limit and store.audit("default") == ()
    for process in running:
        process.wait(60)
    time.sleep(2.1)
    view = store.read("default").accounts["default"]
    costs = [int(line.split()[1]) for line in bill.read_text().splitlines() if not line.endswith("settled")]
    true = sum(costs)
    told = f"{kills} kills, {hit} in a hold, {inside} with the turn, {len(costs)} calls, true {true}, ledger {view.spent.usd}"
    assert store.audit("default") == () and view.reserved.usd == 0, told
    assert 0.5 * limit < true <= view.spent.usd <= limit and hit >= KILLS_IN_A_HOLD, told
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    sys.stderr.write(f"{told}\n")


def _is_writing(path: Path, pid: int) -> bool:
    """True when the process has the turn at this moment, as the system says."""
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return False
    inode = Path(f"{path}-lock").stat().st_ino
    return any("FLOCK" in line and f" {pid} " in line and f":{inode} " in line for line in lines)


def test_a_process_that_dies_within_a_transaction_leaves_none_of_it(tmp_path: Path) -> None:
    """Killed between its writes and its commit, at each of seven writes: the next one goes on at once, with clean books."""
    path = tmp_path / "budget.db"
    budget = Budget("$1/total", store=file_url(path), max_repeated_calls=None)
    budget.session("$1", id="s").reserve(cost="$0.10").settle(cost="$0.10")
    program = f"""
import os, signal, sys
from bursar import Budget
from bursar.store.sqlite import save
write, left = save.write, int(sys.argv[1])
def dying(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(*arguments)
save.write = dying
Budget("$1/total", store={file_url(path)!r}).session("$1", id="s").reserve(cost="$0.10").settle(cost="$0.10")
"""
    store, seen = budget._ledger.store, set()
    for writes in range(16):
        before = float(budget.spent)
        done = subprocess.run([sys.executable, "-c", program, str(writes)], check=False, timeout=60)
        verb = "reserve" if writes < 7 else "settle" if writes < 14 else None
        assert done.returncode == (-9 if verb else 0)
        left = (float(budget.spent) - before, float(budget.reserved))
        assert left == pytest.approx({"reserve": (0, 0), "settle": (0, 0.10), None: (0.10, 0)}[verb])
        assert budget.audit() == ()
        for id in _open_holds(path):
            store.release(id, budget._path, {})
        seen.add(verb)
    assert seen == {"reserve", "settle", None}
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _open_holds(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as other:
        return [id for (id,) in other.execute("SELECT id FROM records WHERE state = 'reserved'")]
