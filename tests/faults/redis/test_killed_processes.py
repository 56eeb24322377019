"""Processes that are killed at any moment never spend more than the limit: counted by their bills, not by the ledger."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from bursar import Budget
from bursar.store.redis import open_redis

from ...servers import Server
from . import worker
from .test_refusals import until

KILLS_IN_A_HOLD = 5


def _billed(bill: Path, pid: int) -> bool:
    return f"{pid} " in bill.read_text()


def test_the_true_bill_stays_below_the_limit(
    server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """SIGKILL to processes with three threads each, and to the server, until enough of them died in a call."""
    server.kill()
    server.start(appendonly="yes", appendfsync="always")
    url, bill, dice = server.url(timeout="10s"), tmp_path / "bill", random.Random(11)
    budget = Budget(worker.LIMIT, store=url, lease="2s", max_repeated_calls=None)
    budget.reset("the account exists")
    bill.touch()
    store = open_redis(url)
    limit = 100_000_000
    kills, hit, rounds = 0, 0, 0

    def start() -> subprocess.Popen[bytes]:
        nonlocal rounds
        rounds += 1
        return subprocess.Popen([sys.executable, worker.__file__, url, str(bill), str(rounds)])

    running = [start() for _ in range(3)]
    request.addfinalizer(lambda: [(process.kill(), process.wait()) for process in running])
    deadline = time.monotonic() + 60
    while hit < KILLS_IN_A_HOLD and time.monotonic() < deadline:
        victim = running.pop(0)
        until(partial(_billed, bill, victim.pid))
        time.sleep(dice.uniform(0, 0.1))
        assert victim.poll() is None, "the money must not end before the test does"
        victim.kill()
        victim.wait()
        kills += 1
        lines = [
            line.split()[1] for line in bill.read_text().splitlines() if line.startswith(f"{victim.pid} ")
        ]
        hit += len(lines) > 2 * lines.count("settled")  # a call was billed, and is not settled
        if kills == 2:
            server.kill()
            server.start()
        running.append(start())
        view = store.read("default").accounts["default"]
        assert view.spent.usd + view.reserved.usd <= limit and store.audit("default") == ()
    for process in running:
        process.wait(240)
    time.sleep(2.1)
    view = store.read("default").accounts["default"]
    costs = [int(line.split()[1]) for line in bill.read_text().splitlines() if not line.endswith("settled")]
    true = sum(costs)
    told = f"{kills} kills, {hit} in a hold, {len(costs)} calls, true {true}, ledger {view.spent.usd}"
    assert store.audit("default") == () and view.reserved.usd == 0, told
    assert 0.5 * limit < true <= view.spent.usd <= limit and hit >= KILLS_IN_A_HOLD, told
    assert server.process is not None and server.process.poll() is None
    sys.stderr.write(f"{told}\n")
