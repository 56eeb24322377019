"""Processes with threads that cross the marks of a limit at the same moment: `python -m tests.chaos.crossing`."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bursar import Alert, Budget, BudgetExceeded
from bursar.runtime import worker as worker_module

from .stores import open_by

CALLS = 5  # of each thread; the last calls of all reach the limit to the nano-dollar
COST = "0.0002"
FRACTIONS = (0.5, 0.8, 1.0)


def limit(workers: int) -> str:
    """What they spend together."""
    return f"{workers * CALLS * 0.0002:.4f}/total"


def cross(url: str, file: int, hook: str, threads: int, workers: int, together: Any) -> None:
    """One process."""

    def tell(alert: Alert) -> None:
        os.write(file, f"{alert.kind.value} {alert.fraction}\n".encode())

    budget = Budget(
        limit(workers),
        store=open_by(url),
        soft_limit=FRACTIONS,
        max_repeated_calls=None,
        on_alert=tell,
        webhook_url=hook,
        webhook_allow_private=True,
    )

    def spend(number: int) -> None:
        session = budget.session(id=f"{os.getpid()}-{number}")
        for _ in range(CALLS):
            together.wait()
            session.reserve(cost=COST).settle(cost=COST)
        together.wait()
        try:
            session.reserve(cost=COST)
        except BudgetExceeded:
            return
        raise AssertionError("a call above the limit")

    crew = [threading.Thread(target=spend, args=(number,)) for number in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    # The end of a process waits for two seconds at most, and a busy machine takes longer.
    while any(not worker.wait(0) for worker in tuple(worker_module._workers)):
        time.sleep(0.01)


def main(url: str, path: str, hook: str, processes: int, threads: int) -> int:
    """All of them; 0 when each ended well."""
    file = os.open(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    context, workers = multiprocessing.get_context("fork"), processes * threads
    together = context.Barrier(workers, timeout=60)
    born = [
        context.Process(target=cross, args=(url, file, hook, threads, workers, together))
        for _ in range(processes)
    ]
    for process in born:
        process.start()
    for process in born:
        process.join()
    return max(process.exitcode or 0 for process in born)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])))
