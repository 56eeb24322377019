"""A server that loses what it knew while many spend: nothing is admitted until somebody accepts the loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bursar.store.redis import open_redis

from ..servers import Server, until
from .board import LOST
from .crew import Crew
from .provider import Bill
from .rounds import Round, round_of

SEED, CALLS = 3, 10**8  # there is money enough
ROUND = round_of(SEED, 1, CALLS)
PROCESSES, THREADS = 3, 3


def _restart(server: Server) -> None:
    """Without an append-only file, so that it knows nothing."""
    server.kill()
    server.start()


def _flush(server: Server) -> None:
    with server.client() as client:
        client.flushall()


def _evict(server: Server) -> None:
    """Other people's keys fill its memory, and it makes room as it was told to."""
    with server.client() as client:
        (root,) = [key for key in client.scan_iter(count=1_000) if key.endswith(f":a:{ROUND.name}")]
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", used + 2**20)
        time.sleep(1.1)  # the accounts have not been used for longer than what comes now
        for number in range(1, 400_000):
            client.set(f"foreign:{number}", "x" * 1_000)
            if number % 500 == 0 and not client.exists(root):
                break
        else:
            raise AssertionError("the account with the limit was not evicted")
        client.config_set("maxmemory", 0)


def _lose_power(server: Server) -> None:
    """What the disk did not have yet is gone: the end of the append-only file."""
    server.kill()
    (log,) = [*server.folder.glob("appendonlydir/*.incr.aof"), *server.folder.glob("appendonly.aof")]
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size // 2)
    server.start()


LOSSES: dict[str, tuple[dict[str, str], Callable[[Server], None]]] = {
    "restart": ({}, _restart),
    "flushall": ({"appendonly": "yes"}, _flush),
    "eviction": ({}, _evict),
    "power": ({"appendonly": "yes", "appendfsync": "everysec"}, _lose_power),
}


def _calls(bill: Bill) -> int:
    return bill.read_on().calls


def _grows(bill: Bill, by: int) -> None:
    """Wait until so many more calls were served."""
    wanted, deadline = _calls(bill) + by, time.monotonic() + 30
    while _calls(bill) < wanted:
        assert time.monotonic() < deadline, "nobody calls any more"
        time.sleep(0.01)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_admitted_after_a_loss(loss: str, tmp_path: Path) -> None:
    """The bill stands still from the loss to the word of an operator, and grows again after it.

    A process sees a loss by what it has heard before, so that each has heard of the ledger here.
    """
    options, lose = LOSSES[loss]
    server = Server(**options)
    crew = Crew(tmp_path, server.url(prefix="lost"), SEED, PROCESSES, THREADS, CALLS)
    try:
        bill = Bill(tmp_path / "bill")
        crew.board.current = ROUND.number
        _grows(bill, 200)
        until(lambda: all(any(slot.fate().pairs for slot in crew.slots(one)) for one in crew.workers))
        crew.pause()
        before = _calls(bill)
        lose(server)
        crew.go_on()
        stopped = _stands_still(bill)
        assert stopped - before <= PROCESSES * THREADS, "only what was held before may be called"
        until(lambda: any(slot.step == LOST for slot in crew.board.slots))  # and they try
        open_redis(server.url(prefix="lost")).acknowledge(ROUND.name, "the bill was looked at")
        _grows(bill, 100)
        _is_sound(server, ROUND, records_are_gone=loss == "eviction")
    finally:
        crew.close()
        server.close()


def _stands_still(bill: Bill) -> int:
    """Wait for a second without a call; how many there are."""
    deadline = time.monotonic() + 30
    while True:
        before = _calls(bill)
        time.sleep(1)
        if _calls(bill) == before:
            return before
        assert time.monotonic() < deadline, "calls are made after the loss"


def _is_sound(server: Server, round: Round, *, records_are_gone: bool) -> None:
    """What it has now is in order; where single records may be gone as well, an audit has to say so."""
    store = open_redis(server.url(prefix="lost"))
    assert records_are_gone or store.audit(round.name) == ()
    assert store.read(round.name).accounts[round.name].spent.usd > 0
