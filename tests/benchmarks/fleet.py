"""How much one root in one Redis carries: more and more processes that reserve and settle without a pause."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from time import monotonic, perf_counter
from typing import Any

import redis
from reserving import COST, MODEL, RICH, numbers
from tests.servers import Server
from timing import WrongAmount

from bursar import Budget

PROCESSES = (1, 2, 4, 8, 16)
SECONDS = 5.0
SESSIONS = 1_000
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Load:
    """What so many processes got done.

    Attributes:
        pairs_s: calls a second, each a reserve and a settle, of all processes.
        median_ms: of a reserve.
        p99_ms: of a reserve.
        server: the part of one core that the server took.
        server_us: microseconds of the server for one pair; its core is full at a million of them.
    """

    processes: int
    pairs_s: float
    median_ms: float
    p99_ms: float
    server: float
    server_us: float


def run(done: Callable[[int], object]) -> dict[str, Any]:
    """Measure on a server of its own."""
    server = Server()
    loads = []
    try:
        for processes in PROCESSES:
            loads.append(asdict(load(server, processes)))
            done(1)
        return {"loads": loads, "bytes_a_session": bytes_a_session(server)}
    finally:
        server.close()


def load(server: Server, processes: int) -> Load:
    """All on one budget; each process has a session of its own. What they booked is what they called for."""
    url, start, found = server.url(), _SPAWN.Barrier(processes + 1), _SPAWN.SimpleQueue()
    running = [_SPAWN.Process(target=work, args=(url, start, found)) for _ in range(processes)]
    for process in running:
        process.start()
    start.wait()
    with server.client() as client:
        before, began = cpu_s(client), monotonic()
        times = [took for _ in running for took in found.get()]
        busy = (cpu_s(client) - before) / (monotonic() - began)
    for process in running:
        process.join()
    booked = float(Budget(f"{RICH}/total", name="fleet", store=url).spent)
    calls = len(times) + processes  # each has made one before the start
    if abs(booked - COST * calls) > COST / 2:
        raise WrongAmount(f"{calls} calls cost ${COST * calls:.4f}, and ${booked:.4f} is booked")
    times.sort()
    reserve_ms = [1000 * took for took in times]
    pairs_s, p99_ms = len(times) / SECONDS, reserve_ms[int(len(times) * 0.99)]
    return Load(processes, pairs_s, median(reserve_ms), p99_ms, busy, 1_000_000 * busy / pairs_s)


def bytes_a_session(server: Server) -> float:
    """Memory of the server for one more session of a budget, which has made a call and may make another."""
    budget = Budget(f"{RICH}/total", name="fleet", store=server.url())

    def used() -> int:
        return int(server.ask("INFO", "memory")["used_memory"])

    for sessions in (200, SESSIONS):  # the first ones make what all share
        before = used()
        for _ in range(sessions):
            numbers("", budget.session()).call(None)
    return (used() - before) / SESSIONS


def work(url: str, start: Any, found: Any) -> None:
    """One process: seconds that each of its reserves took."""
    session = Budget(f"{RICH}/total", name="fleet", store=url).session()

    def call() -> float:
        began = perf_counter()
        hold = session.reserve(MODEL, input_tokens=800, max_output_tokens=200)
        took = perf_counter() - began
        hold.settle(input_tokens=640, output_tokens=120)
        return took

    call()
    start.wait()
    times, end = [], perf_counter() + SECONDS
    while perf_counter() < end:
        times.append(call())
    found.put(times)


def cpu_s(client: redis.Redis) -> float:
    """Seconds that the server's process has used."""
    used: Any = client.info("cpu")
    return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])
