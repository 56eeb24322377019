"""Fifty different calls at once on a budget that holds one worst case of theirs, judged by the provider's bill."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from bursar import Budget, Session
from bursar.testing import Reply, Request, ScriptedProvider

from ..files import file_url
from ..servers import shared_url

CALLS = 50
FLOOR = 8_192  # output tokens: no cap is lowered below it by what others only hold
LATENCY_S = 0.05
STORES: dict[str, Callable[[], str | None]] = {
    "memory": lambda: None,
    "sqlite": lambda: file_url(synchronous="normal"),
    "redis": lambda: shared_url(timeout="30s"),  # this machine may be busy
}
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def question(number: int) -> str:
    """What one of them asks."""
    return f"Why is the sky blue on day {number}?"


def budget(limit: str, store: str) -> Budget:
    """One that tells loops by their input alone, in this store."""
    return Budget(limit, store=STORES[store]())


def in_threads(call: Callable[[int], object]) -> None:
    """All of them, a thread each."""
    with ThreadPoolExecutor(CALLS) as threads:
        list(threads.map(call, range(CALLS)))


async def in_tasks(call: Callable[[int], Awaitable[object]]) -> None:
    """All of them, a task each, beside one whose beat must not stop."""
    beats, over = [0], asyncio.Event()

    async def beat() -> None:
        while not over.is_set():
            beats[0] += 1
            await asyncio.sleep(0.01)

    heart = asyncio.create_task(beat())
    await asyncio.gather(*map(call, range(CALLS)))
    over.set()
    await heart
    assert beats[0] >= 5, "somebody blocked the loop while the provider was answering"


def in_waves(provider: ScriptedProvider, session: Session, call: Callable[[int], object]) -> int:
    """All of them, a thread each; how often the provider answers whoever is there, when nobody more comes.

    It answers when each call has ended, is there, or sleeps until it is told of room.
    """
    here, ended, gate = [0], list[int](), [threading.Event()]
    lock = threading.Lock()

    def held_back(request: Request) -> Reply:
        with lock:
            here[0] += 1
            return Reply("Rayleigh.", output_tokens=25, gate=gate[0])

    def one(number: int) -> None:
        call(number)
        ended.append(number)

    def asleep() -> int:
        lines = tuple(session._ledger.queue(session._path)._lines.values())
        return sum(w.ring is not None and not w.woken for line in lines for w in tuple(line.waiters))

    provider.always(held_back)
    waves, deadline_s = 0, time.monotonic() + 60
    with ThreadPoolExecutor(CALLS) as threads:
        work = [threads.submit(one, number) for number in range(CALLS)]
        while len(ended) < CALLS and time.monotonic() < deadline_s:
            time.sleep(0.002)
            with lock:
                if here[0] and len(ended) + here[0] + asleep() == CALLS:
                    waves += 1
                    gate[0].set()
                    here[0], gate[0] = 0, threading.Event()
        gate[0].set()
        for future in work:
            future.result()
    return waves


def scripted(provider: ScriptedProvider, *, writes_all: bool = False) -> None:
    """Short answers that take a while; or answers that are as long as each request allows."""
    provider.always(Reply("Rayleigh.", output_tokens=10**6 if writes_all else 25, delay=LATENCY_S))


def all_are_served(provider: ScriptedProvider, session: Session) -> None:
    """None was refused or lowered far, the bill is the ledger, and nothing stays held."""
    caps = [
        int(request.body[name]) for request in provider.served for name in _CAPS if request.body.get(name)
    ]
    assert len(provider.served) == session.calls == CALLS
    assert min(caps, default=FLOOR) >= FLOOR, f"a cap was lowered to {min(caps)}"
    assert session.spent * 10**9 == provider.bill_nanos and session.reserved == 0
    assert session.report()["refusals"] == 0


def none_is_overspent(
    provider: ScriptedProvider, session: Session, limit: Decimal, smallest: Decimal
) -> None:
    """The bill is within the limit, and what is left is less than the smallest call could cost."""
    assert provider.bill_nanos == session.spent * 10**9 and session.reserved == 0
    assert limit - smallest < session.spent <= limit, f"{session.spent} of {limit} was spent"
