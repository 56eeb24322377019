"""Processes that share a budget which holds one worst case: all their calls are served, and none is held up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal

import pytest

from bursar import Budget

from ..files import file_url
from ..servers import shared_url

PROCESSES, CALLS = 2, 20
PROGRAM = f"""
import sys, threading, time
from bursar import Budget
session = Budget("$1/total", store=sys.argv[1]).session()
def call():
    with session.reserve("gpt-5.2", input_tokens=100) as hold:
        assert hold.max_output_tokens >= 8_192
        time.sleep(0.02)
        hold.settle(input_tokens=100, output_tokens=25)
threads = [threading.Thread(target=call) for _ in range({CALLS})]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(session.calls, session.reserved)
"""
URLS: dict[str, Callable[[], str]] = {
    "sqlite": lambda: file_url(synchronous="normal", timeout="30s"),
    "redis": lambda: shared_url(timeout="30s"),
}


@pytest.mark.parametrize("store", URLS)
def test_the_calls_of_all_processes_are_served(store: str) -> None:
    """Without an output cap, at once; nothing stays reserved."""
    url = URLS[store]()
    running = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, url], stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    said = [process.communicate(timeout=100)[0] for process in running]
    assert said == [f"{CALLS} 0\n"] * PROCESSES
    budget = Budget("$1/total", store=url)
    assert (budget.spent, budget.reserved) == (PROCESSES * CALLS * Decimal("0.000525"), 0)
    assert budget.report()["refusals"] == 0 and budget.audit() == ()


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
