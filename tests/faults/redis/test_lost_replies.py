"""A request whose answer is lost is sent again, and applied once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bursar import Budget
from bursar.store.entry import Entry
from bursar.store.redis import RedisStore, open_redis
from bursar.store.results import Booked, Granted, Refused
from bursar.values.account import root_account
from bursar.values.amounts import Amounts
from bursar.values.call import Subject
from bursar.values.limits import Limit
from bursar.values.policy import Terms

from ...scale import scaled
from ...servers import Server, store_url
from .proxy import Proxy

Calls = list[tuple[Any, ...]]

GPT = Subject("model", ("gpt-4o",))


def _blocking(store: RedisStore, calls: Calls) -> int:
    """Make them in this thread; how many answers were called a repetition."""
    repeated = 0
    for verb, *arguments in calls:
        answer = getattr(store, verb)(*arguments)
        assert isinstance(answer, Granted | Booked)
        repeated += answer.repeated
    return repeated


def _awaiting(store: RedisStore, calls: Calls) -> int:
    """Make them in four tasks of one loop."""

    async def some(part: Calls) -> int:
        repeated = 0
        for verb, *arguments in part:
            answer = await store.acall(verb, *arguments)
            assert isinstance(answer, Granted | Booked)
            repeated += answer.repeated
        return repeated

    async def all_() -> int:
        size = len(calls) // 8 * 2  # a settle follows its reserve
        parts = [calls[n * size : (n + 1) * size if n < 3 else None] for n in range(4)]
        return sum(await asyncio.gather(*map(some, parts)))

    return asyncio.run(all_())


@pytest.mark.parametrize("make", [_blocking, _awaiting], ids=["sync", "async"])
def test_every_operation_is_applied_exactly_once(
    server: Server, make: Callable[[RedisStore, Calls], int]
) -> None:
    """A quarter of all answers is lost on the way; the ledger is the truth to the nano-dollar.

    Every verb is lost and asked for again some dozen times; with `--full` it is thousands.
    """
    pairs = scaled(100, 5_000)
    path = (root_account("default", (Limit("$4/total"),)),)
    calls: Calls = []
    for number in range(pairs):
        calls.append(("reserve", Entry(f"h{number}", path, GPT, Amounts(7, 0, 1)), Amounts(7, 0, 1)))
        calls.append(("settle", Entry(f"h{number}", path, GPT, Amounts(5 + number % 3, 0, 1))))
    with Proxy(server.port, drop=0.25, seed=20) as proxy:
        store = open_redis(store_url(f"redis://127.0.0.1:{proxy.port}", timeout="30s"))
        assert make(store, calls) == 0, "an answer that is asked for again is the first one"
        proxy.drop = 0
        view = store.read("default").accounts["default"]
        assert store.audit("default") == ()
    sys.stderr.write(f"{len(calls)} operations, {proxy.dropped} answers lost, ledger {view.spent.usd}\n")
    assert proxy.dropped > pairs / 4, "the network was too good"
    assert (view.spent, view.reserved) == (
        Amounts(sum(5 + number % 3 for number in range(pairs)), 0, pairs),
        Amounts(0, 0, 0),
    )


def test_what_is_told_once_is_told_although_its_answer_was_lost(server: Server) -> None:
    """Fractions of a limit and first refusals reach the client exactly once."""
    path = (root_account("default", (Limit("0.000000100/total"),)),)
    terms = Terms(soft_ppm=(500_000,))
    with Proxy(server.port, drop=0.4, seed=7) as proxy:
        store = open_redis(store_url(f"redis://127.0.0.1:{proxy.port}", timeout="30s"))
        marks, firsts = 0, 0
        for number in range(100):
            booked = store.book(Entry(f"b{number}", path, GPT, Amounts(1, 0, 1)), terms)
            assert isinstance(booked, Booked)
            marks += len(booked.marks)
        for number in range(20):
            refused = store.reserve(Entry(f"r{number}", path, GPT, Amounts(1, 0, 1)), Amounts(1, 0, 1))
            assert isinstance(refused, Refused)
            firsts += refused.first
        tally = store.read("default").accounts["default"].tally
    assert (marks, firsts, tally["refusals"]) == (1, 1, 20) and proxy.dropped > 40


def test_orders_are_carried_out_once(server: Server) -> None:
    """A reset whose answer was lost does not forget what was spent since."""
    with Proxy(server.port) as proxy:
        budget = Budget("$1/total", store=store_url(f"redis://127.0.0.1:{proxy.port}", timeout="30s"))
        budget.session("$1").record("gpt-4o", 10, 10)
        proxy.drop = 0.6
        for _ in range(10):
            budget.reset("a new day")
        proxy.drop = 0
        with server.client() as client:
            (journal,) = [key for key in client.scan_iter() if key.endswith("journal")]
            assert sum(" reset " in line for line in client.lrange(journal, 0, -1)) == 10
        assert budget.spent == 0 and proxy.dropped > 5
