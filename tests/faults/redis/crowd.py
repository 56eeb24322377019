"""Many workers in one of several processes: each task prints what they saw, as one line of JSON."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from bursar import Alert, Budget, BudgetExceeded, Tripped

Say = Callable[..., None]


def say(**what: Any) -> None:
    """One line for the test."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def crowd(workers: int, work: Callable[[int], None]) -> None:
    """All at once, when the test says so."""
    gate = threading.Barrier(workers + 1)

    def begin(number: int) -> None:
        gate.wait()
        work(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    say(ready=True)
    sys.stdin.readline()
    gate.wait()
    for thread in threads:
        thread.join()


def alerts(url: str, workers: int) -> None:
    """Spend until the limit is reached, and count what is told."""
    heard: Counter[str] = Counter()

    def listen(alert: Alert) -> None:
        if alert.account == "default":
            heard[f"{alert.kind.value} {alert.fraction and round(alert.fraction, 1)}"] += 1

    budget = Budget("$1/total", store=url, soft_limit=(0.5, 0.9), max_repeated_calls=None, on_alert=listen)

    def spend(_: int) -> None:
        session = budget.session()
        while True:
            try:
                session.reserve(cost="$0.01").settle(cost="$0.01")
            except BudgetExceeded:
                return

    crowd(workers, spend)
    say(heard=heard)


def tenants(url: str, workers: int) -> None:
    """Every worker meets the same new tenants, who have a limit by default."""
    budget = Budget(store=url, child_limits=("$0.05/total",), max_repeated_calls=None)
    admitted: Counter[str] = Counter()
    lock = threading.Lock()

    def meet(_: int) -> None:
        for number in range(5):
            try:
                budget.child(f"tenant{number}").session().reserve(cost="$0.01").settle(cost="$0.01")
            except BudgetExceeded:
                continue
            with lock:
                admitted[f"tenant{number}"] += 1

    crowd(workers, meet)
    say(admitted=admitted)


def until_stopped(url: str, workers: int) -> None:
    """Spend until somebody trips the kill switch, and say when each noticed."""
    budget = Budget(store=url, max_repeated_calls=None)
    noticed: list[float] = []

    def spend(_: int) -> None:
        session = budget.child("tenant").session()
        while True:
            try:
                session.reserve(cost="$0.000001").settle(cost="$0.000001")
            except Tripped:
                noticed.append(time.time())
                return

    crowd(workers, spend)
    say(noticed=noticed)


def one_by_one(url: str, workers: int) -> None:
    """A reserve for each line that is read: whether it was admitted."""
    session = Budget("$1/total", store=url, max_repeated_calls=None).session()
    say(ready=True)
    for _ in sys.stdin:
        try:
            session.reserve(cost="$0.10").release()
        except BudgetExceeded as error:
            say(admitted=False, limit=str(error.limit))
        else:
            say(admitted=True)


if __name__ == "__main__":
    {"alerts": alerts, "tenants": tenants, "until_stopped": until_stopped, "one_by_one": one_by_one}[
        sys.argv[1]
    ](sys.argv[2], int(sys.argv[3]))
