"""Read a budget with 100,000 sessions in a loop while others spend: `python -m tests.bounds [memory] [sqlite] [redis]`.

What is read are reports, trees, histories and alerts, and, where another process can open the store, by `top`, `who` and `serve`.
Prints the longest step of each store and what those who spend wait for, beside a loop over ten sessions, and ends
with 1 where a bound is passed.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from bursar import Budget, BudgetExceeded, StoreUnavailable
from bursar.store import MemoryStore, Store
from bursar.store.engine.verbs import Verbs
from bursar.store.sqlite.step import Step
from bursar.store.urls import open_store

from ..servers import Server
from .crowd import fill, readings
from .looks import looks

Acts: TypeAlias = "list[tuple[str, Callable[[], object]]]"

SESSIONS = int(os.environ.get("BURSAR_TEST_SESSIONS", "100000"))
TENANTS, THREADS, SECONDS = 50, 8, 10
MOST_MS = {"memory": 20, "sqlite": 50, "redis": 20}  # of one step
SLOWER = 2  # times, of the 99th in a hundred


def read_on(acts: Acts, until_s: float) -> int:
    """Read everything again and again; how often the store was not available, each told with its moment."""
    refused = 0
    while time.monotonic() < until_s:
        for name, act in acts:
            began_s = time.monotonic()
            try:
                with suppress(BudgetExceeded):
                    act()
            except StoreUnavailable as error:
                refused += 1
                took_s = time.monotonic() - began_s
                print(
                    f"{name}, {took_s:.1f} s, {until_s - began_s:.1f} s before the end: {error}",
                    file=sys.stderr,
                )
    return refused


def timed(verbs: type, names: tuple[str, ...], took: list[float]) -> None:
    """Note how long the processor works for each of these verbs, which nobody else can use meanwhile."""
    for name in names:
        sound = getattr(verbs, name)

        def verb(*arguments: Any, sound: Callable[..., Any] = sound) -> Any:
            began_s = time.thread_time()
            try:
                return sound(*arguments)
            finally:
                took.append(time.thread_time() - began_s)

        setattr(verbs, name, verb)


def spend(store: Store) -> tuple[list[float], int]:
    """What each pair of an unrelated budget took, in milliseconds, by eight threads; and how many were refused."""
    budget, took, refused = Budget(name="unrelated", store=store), [], [0]
    until_s = time.monotonic() + SECONDS

    def work() -> None:
        session = budget.session()
        while time.monotonic() < until_s:
            began_s = time.perf_counter()
            try:
                session.reserve(cost="$0.01").settle(cost="$0.01")
            except StoreUnavailable as error:
                refused[0] += 1
                print(f"a pair, {until_s - time.monotonic():.1f} s before the end: {error}", file=sys.stderr)
            took.append(1000 * (time.perf_counter() - began_s))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(took), refused[0]


def beside(store: Store, url: str) -> tuple[float, int, float]:
    """The 99th in a hundred of those who spend beside a reader, refusals of both, and the reader's longest step."""
    if url:
        command = [sys.executable, "-m", "tests.bounds", "--read", url]
        reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        took, refused = spend(store)
        also, longest_ms = map(float, reader.communicate()[0].split())
        refused += int(also)
    else:
        longest: list[float] = []
        timed(Verbs, ("read", "sessions", "holds", "history", "book"), longest)
        gc.disable()  # a pass of Python's collector looks through all objects of the process, in the midst of a step
        thread = threading.Thread(target=read_on, args=(list(readings(store)), time.monotonic() + SECONDS))
        thread.start()
        took, refused = spend(store)
        thread.join()
        gc.enable()
        longest_ms = 1000 * max(longest)
    return took[int(0.99 * len(took))], refused, longest_ms


def reader(url: str) -> None:
    """Another process that reads; prints how often it was refused, and its longest transaction in milliseconds."""
    longest = [0.0]
    timed(Step, ("__call__", "read"), longest)
    store = open_store(url, None)
    assert store is not None
    acts = [*readings(store), *looks(store)]
    gc.freeze()  # what was imported is no garbage, and no step looks through it
    print(read_on(acts, time.monotonic() + SECONDS), 1000 * max(longest))


@contextmanager
def opened(where: str) -> Any:
    """A store, its URL, and its server."""
    with TemporaryDirectory(prefix="bursar-scale-") as folder:
        if where == "memory":
            yield MemoryStore(), "", None
        elif where == "sqlite":
            url = f"sqlite:///{Path(folder, 'ledger.db')}?synchronous=normal"
            yield open_store(url, None), url, None
        else:
            server = Server(slowlog_log_slower_than=MOST_MS[where] * 1000)
            url = server.url()
            yield open_store(url, None), url, server
            server.close()


def run(where: str) -> bool:
    """Measure one store; False where a bound is passed."""
    figures = []
    for sessions in (10, SESSIONS):
        with opened(where) as (store, url, server):
            began_s = time.monotonic()
            fill(store, sessions, tenants=TENANTS)
            print(f"{where}: {sessions} sessions in {time.monotonic() - began_s:.0f} s", flush=True)
            gc.collect()  # 100,000 sessions of the memory store that was closed stop all threads for 2.6 s
            if server is not None:
                server.ask("SLOWLOG", "RESET")
            p99_ms, refused, longest_ms = beside(store, url)
            slow = server.ask("SLOWLOG", "GET", 10) if server is not None else []
            figures.append((p99_ms, refused, longest_ms, [line[2] / 1000 for line in slow]))
            print(
                f"  p99 {p99_ms:.2f} ms, refused {refused}, longest step {longest_ms:.1f} ms, slow {figures[-1][3]}"
            )
    few, many = figures
    too_long = bool(many[3]) if where == "redis" else many[2] > MOST_MS[where]
    return not too_long and many[1] == 0 and many[0] <= SLOWER * few[0]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        reader(sys.argv[2])
    else:
        stores = sys.argv[1:] or list(MOST_MS)
        passed = [where for where in stores if not run(where)]
        sys.exit(f"passed a bound: {', '.join(passed)}" if passed else 0)
