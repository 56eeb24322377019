"""Fifty different calls at once on a budget that holds one worst case of theirs, judged by the provider's bill."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal

from bursar import Budget, Session, hookimpl
from bursar.testing import Reply, Request, ScriptedProvider

from ..files import file_url
from ..servers import shared_url

CALLS = 50
FLOOR = 8_192  # output tokens: no cap is lowered below it by what others only hold
WAVES = 10  # rounds of answers, at the most, until all are served
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


class Waves:
    """A provider that answers whoever is there, when nobody more comes; it counts how often.

    That is when each call has ended, is there, or sleeps until it is told of room. A plugin of the
    budget, which is told of each end after those who wait for room have been.

    Args:
        provider: what the calls are sent to.

    Attributes:
        sessions: the first one pays.
        count: of the waves.
    """

    def __init__(self, provider: ScriptedProvider) -> None:
        self.sessions: list[Session] = []
        self.count = 0
        self._here, self._ended, self._gate = 0, 0, threading.Event()
        self._lock = threading.Lock()
        provider.always(self._held_back)

    @hookimpl
    def bursar_session_opened(self, session: Session) -> None:
        self.sessions.append(session)

    @hookimpl
    def bursar_settled(self, charge: object) -> None:
        with self._lock:
            self._ended += 1

    @hookimpl
    def bursar_released(self, hold: object) -> None:
        self.bursar_settled(hold)

    @hookimpl
    def bursar_refused(self, refusal: object) -> None:
        self.bursar_settled(refusal)

    def answer(self, over: threading.Event) -> None:
        """Wave after wave, until it is over; after a while whoever comes."""
        for _ in range(20_000):
            if over.wait(0.002):
                break
            with self._lock:
                if self._here and self._here + self._ended + self._asleep() >= CALLS:
                    self.count += 1
                    self._gate.set()
                    self._here, self._gate = 0, threading.Event()
        with self._lock:
            self._gate.set()

    def _held_back(self, request: Request) -> Reply:
        with self._lock:
            self._here += 1
            return Reply("Rayleigh.", output_tokens=25, gate=self._gate)

    def _asleep(self) -> int:
        queue = self.sessions[0]._ledger.queue(self.sessions[0]._path)
        with queue._lock:
            lines = queue._lines.values()
            return sum(w.ring is not None and not w.woken for line in lines for w in line.waiters)


@contextmanager
def in_waves(provider: ScriptedProvider, limit: str, store: str) -> Iterator[Budget]:
    """A budget in this store that pays for all of them: they are served, in ten waves at the most."""
    waves, over = Waves(provider), threading.Event()
    budget = Budget(limit, store=STORES[store](), plugins=[waves])
    with ThreadPoolExecutor(1) as threads:
        answers = threads.submit(waves.answer, over)
        try:
            yield budget
        finally:
            over.set()
            answers.result()
    all_are_served(provider, waves.sessions[0])
    assert waves.count <= WAVES, f"they were served in {waves.count} waves"


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
