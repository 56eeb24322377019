"""Processes that share a budget which holds few worst cases: all their calls are served, and none is held up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextvars import Context
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget

from ..files import file_url
from ..scale import scaled
from ..servers import Server, shared_url, until

CALLS = """
import sys, threading, time
from bursar import Budget
session = Budget("$1/total", store=sys.argv[1]).session()
waits = []
def call():
    began = time.monotonic()
    with session.reserve("gpt-5.2", input_tokens=100) as hold:
        waits.append(time.monotonic() - began)
        assert hold.max_output_tokens >= 8_192
        time.sleep(0.02)
        hold.settle(input_tokens=100, output_tokens=25)
threads = [threading.Thread(target=call) for _ in range(int(sys.argv[2]))]
print("ready", flush=True)
sys.stdin.readline()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(session.calls, session.reserved, f"{sum(waits) / len(waits):.1f} {max(waits):.1f}")
"""
AGENT = """
import sys
from bursar import Budget, BudgetExceeded
session = Budget("$1/total", store=sys.argv[1], wait=0.5).session()
with session.reserve(cost="$0.50") as hold:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        session.reserve(cost="$0.10").release()
        print("served")
    except BudgetExceeded as refusal:
        print("refused", "waited" in str(refusal))
    hold.release()
"""
URLS: dict[str, Callable[[], str]] = {
    "sqlite": lambda: file_url(synchronous="normal", timeout="30s"),
    "redis": lambda: shared_url(timeout="30s"),
}


def at_once(program: str, processes: int, *arguments: str) -> list[str]:
    """What so many processes say that begin when the last of them is ready."""
    command = [sys.executable, "-c", program, *arguments]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("begin\n")
        process.stdin.flush()
    return [process.communicate(timeout=300)[0] for process in running]


@pytest.mark.parametrize("store", URLS)
def test_the_calls_of_all_processes_are_served(store: str) -> None:
    """Without an output cap, at once: two processes of 20 here, eight of 100 in full; nothing stays reserved."""
    processes, calls = scaled((2, 20), (8, 100))
    url = URLS[store]()
    said = at_once(CALLS, processes, url, str(calls))
    sys.stdout.write(f"seconds that calls waited, mean and longest of each process: {said}\n")
    assert [line.split()[:2] for line in said] == [[str(calls), "0"]] * processes
    budget = Budget("$1/total", store=url)
    assert (budget.spent, budget.reserved) == (processes * calls * Decimal("0.000525"), 0)
    assert budget.report()["refusals"] == 0 and budget.audit() == ()


@pytest.mark.parametrize("store", URLS)
def test_two_processes_that_hold_half_each_and_want_more_end(store: str) -> None:
    """Neither can go on until the other gives up: one at least is refused, and nothing stays reserved."""
    url = URLS[store]()
    said = at_once(AGENT, 2, url)
    assert set(said) <= {"served\n", "refused True\n", "refused False\n"} and said != ["served\n"] * 2
    assert Budget("$1/total", store=url).reserved == 0


@pytest.mark.parametrize("store", URLS)
def test_a_waiter_of_a_killed_process_holds_nobody_up(store: str) -> None:
    """It waits at the head of its own queue, and is killed there; another process goes on."""
    url = URLS[store]()
    budget = Budget("$1/total", store=url)
    hold = budget.session().reserve(cost="$0.90")
    waits = "import sys; from bursar import Budget; s = Budget('$1/total', store=sys.argv[1]).session(); print(1, flush=True); s.reserve(cost='$0.50')"
    process = subprocess.Popen([sys.executable, "-c", waits, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "1\n"
    process.kill()
    process.communicate()
    hold.release()
    budget.session().reserve(cost="$0.90").release()
    assert budget.reserved == 0 and budget.audit() == ()


@pytest.mark.parametrize("kind", URLS)
def test_a_process_that_waits_asks_at_most_twenty_times_a_second(kind: str) -> None:
    """However many of its calls wait: commands at a server of Redis, transactions of SQLite; and it does ask."""
    server = Server() if kind == "redis" else None
    budget = Budget("$1/total", store=server.url() if server else URLS[kind]())
    hold = Context().run(budget.session().reserve, cost="$0.95")
    session, statements = budget.session(), list[str]()
    store: Any = budget._ledger.store

    def asked() -> int:
        if server is None:
            return sum(statement.startswith("BEGIN") for statement in statements)
        with server.client() as client:
            return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

    def waiting() -> int:
        return sum(len(line.waiters) for line in tuple(session._ledger.queue(session._path)._lines.values()))

    if server is None:
        store._file._connection.set_trace_callback(statements.append)
    threads = [threading.Thread(target=lambda: session.reserve(cost="$0.10").release()) for _ in range(20)]
    for thread in threads:
        thread.start()
    until(lambda: waiting() == len(threads))
    began, first = time.monotonic(), asked()
    until(lambda: asked() >= first + 8)
    asks, seconds = asked() - first, time.monotonic() - began
    hold.release()
    for thread in threads:
        thread.join()
    assert asks <= 20 * seconds + 1
    assert budget.reserved == 0 and budget.report()["refusals"] == 0
    if server is not None:
        server.close()
