"""Workers in several processes: who is told, who is created, who is stopped, and who hears of a new limit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget

from ...servers import Server
from . import crowd
from .test_refusals import until

PROCESSES, WORKERS = 4, 16  # 64 workers in all
CALL = Decimal("0.000001")


class Crowd:
    """Processes that do a task when they are let go."""

    def __init__(self, task: str, url: str, processes: int = PROCESSES) -> None:
        command = [sys.executable, crowd.__file__, task, url, str(WORKERS)]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        assert all(said == {"ready": True} for said in self.hear())

    def go(self) -> None:
        """Let them."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def hear(self) -> list[dict[str, Any]]:
        """A line of each."""
        lines = []
        for process in self.processes:
            assert process.stdout is not None
            lines.append(json.loads(process.stdout.readline()))
        return lines

    def close(self) -> None:
        """End them."""
        for process in self.processes:
            process.kill()
            process.communicate()


@contextmanager
def crowded(task: str, url: str, processes: int = PROCESSES) -> Iterator[Crowd]:
    """A crowd for a while."""
    workers = Crowd(task, url, processes)
    try:
        yield workers
    finally:
        workers.close()


def test_each_alert_is_told_once_among_64_workers(server: Server) -> None:
    """Two fractions and the limit itself, whichever process got there first; the provider is asked 100 times."""
    url = server.url(timeout="10s")
    with crowded("alerts", url) as workers:
        workers.go()
        heard: Counter[str] = Counter()
        for said in workers.hear():
            heard += Counter(said["heard"])
    budget = Budget("$1/total", store=url)
    assert (budget.spent, budget.audit()) == (1, ())
    kinds = Counter(name.split()[0] for name in heard.elements())
    assert kinds == {"soft_limit": 2, "hard_limit": 1} and set(heard.values()) == {1}, heard


def test_a_tenant_who_is_met_by_all_at_once_has_his_limit(server: Server) -> None:
    """Created inside the step of the first reserve: five calls each, however many workers met him first."""
    url = server.url(timeout="10s")
    with crowded("tenants", url) as workers:
        workers.go()
        admitted: Counter[str] = Counter()
        for said in workers.hear():
            admitted += Counter(said["admitted"])
    assert admitted == {f"tenant{number}": 5 for number in range(5)}
    assert float(Budget(store=url).spent) == 0.25


def test_the_kill_switch_stops_every_process_within_a_second(server: Server) -> None:
    """Each of the 64 workers is refused at its next reserve, and nobody is admitted afterwards."""
    url = server.url(timeout="10s")
    budget = Budget(store=url)
    with crowded("until_stopped", url) as workers:
        workers.go()
        tenant = budget.child("tenant")
        until(lambda: tenant.spent > 100 * CALL)
        tenant.trip("enough")
        tripped, spent = time.time(), tenant.spent
        noticed = [moment for said in workers.hear() for moment in said["noticed"]]
    assert len(noticed) == PROCESSES * WORKERS and max(noticed) - tripped < 1
    assert tenant.spent - spent <= PROCESSES * WORKERS * CALL, "who was admitted before may settle after"
    assert budget.audit() == ()


@pytest.mark.parametrize("processes", [3])
def test_a_new_limit_holds_at_the_next_reserve_of_every_process(server: Server, processes: int) -> None:
    """Lower, higher, and dropped."""
    url = server.url(timeout="10s")
    budget = Budget("$1/total", store=url)
    with crowded("one_by_one", url, processes) as workers:

        def admitted() -> set[bool]:
            workers.go()
            return {said["admitted"] for said in workers.hear()}

        assert admitted() == {True}
        budget.set_limit("$0.09/total")
        assert admitted() == {False}
        budget.set_limit("$0.30/total")
        budget.set_limit("0 calls/1h")
        assert admitted() == {True}, "a call of no model is none of these"
        budget.set_limit("$0/1h")
        assert admitted() == {False}
        budget.drop_limit("$0/1h")
        assert admitted() == {True}
