"""Many at once on one budget in memory: threads and tasks; the time is that of the whole, for each call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from peers import QUIET, agent, floe, quiet
from reserving import COST, MODEL, RICH, numbers
from rows import OURS, Row, row
from timing import Case, by_turns

from bursar import Budget

CALLS = 1_280
CROWDS = (1, 4, 16, 64)


def run(done: Callable[[int], object]) -> Iterator[Row]:
    """Threads 1 to 64, beside the others, and tasks of one event loop."""
    for threads in CROWDS:
        with ThreadPoolExecutor(threads) as pool:
            budget = Budget(RICH, wait=0, max_repeated_calls=None)
            cases = (numbers(OURS, budget.session()), floe(), agent(QUIET, quiet()))
            found = by_turns([shared(case, threads, pool) for case in cases], 1, 1, done)
        yield row(f"threads, {threads}: a call", found)
    loop = asyncio.new_event_loop()
    for tasks in CROWDS[1:]:
        yield row(f"tasks, {tasks}: a call", by_turns([in_tasks(tasks, loop)], 1, 1, done))
    loop.close()


def shared(case: Case, threads: int, pool: ThreadPoolExecutor) -> Case:
    """The calls of a case, made by so many threads at once."""

    def work() -> None:
        for _ in range(CALLS // threads):
            case.call(case.before())

    def call(_: object) -> None:
        for each in [pool.submit(work) for _ in range(threads)]:
            each.result()

    return replace(case, call=call, before=lambda: None, per=CALLS)


def in_tasks(tasks: int, loop: asyncio.AbstractEventLoop) -> Case:
    """The same by tasks, which await."""
    session = Budget(RICH, wait=0, max_repeated_calls=None).session()

    async def work() -> None:
        for _ in range(CALLS // tasks):
            hold = await session.areserve(MODEL, input_tokens=800, max_output_tokens=200)
            await hold.asettle(input_tokens=640, output_tokens=120)

    async def call(_: object) -> None:
        await asyncio.gather(*(work() for _ in range(tasks)))

    return Case(OURS, call, cost=COST, spent=lambda: session.spent, per=CALLS, loop=loop)
