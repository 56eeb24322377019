"""Words of tests about waits: threads and tasks that wait, and who is waiting."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from bursar import Budget, Hold, Session


def start(*acts: Callable[[], object]) -> list[threading.Thread]:
    """Threads that are running."""
    threads = [threading.Thread(target=act, daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    """All of them end."""
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def until(true: Callable[[], object], seconds: int = 30) -> None:
    """Wait for something that happens in another thread."""
    for _ in range(seconds * 100):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


async def auntil(true: Callable[[], object]) -> None:
    """The same in a loop."""
    for _ in range(3_000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in asyncio."""

    @functools.wraps(test)
    def run(**kwargs: Any) -> None:
        asyncio.run(test(**kwargs))

    return run


def waiting(session: Session) -> int:
    """How many calls wait in the tree of a session."""
    lines = session._ledger.queue(session._path)._lines
    return sum(len(line.waiters) for line in tuple(lines.values()))


def held_elsewhere(payer: Budget | Session, cost: str) -> Hold:
    """A hold of another thread."""
    session, holds = payer if isinstance(payer, Session) else payer.session(), list[Hold]()
    join(start(lambda: holds.append(session.reserve(cost=cost).keep())))
    return holds[0]


async def reserving(session: Session, cost: str = "$0.90") -> Hold:
    return await session.areserve(cost=cost)
