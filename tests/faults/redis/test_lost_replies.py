"""A request whose answer is lost is sent again, and applied once."""

from __future__ import annotations

from bursar import Budget
from bursar.account import root_account
from bursar.amounts import Amounts
from bursar.call import Subject
from bursar.limits import Limit
from bursar.policy import Terms
from bursar.store.base import Booked, Entry, Granted, Refused
from bursar.store.redis import open_redis

from ...servers import Server, store_url
from .proxy import Proxy

PAIRS = 500
GPT = Subject("model", ("gpt-4o",))


def test_every_operation_is_applied_exactly_once(server: Server) -> None:
    """A quarter of all answers is lost on the way; the ledger is the truth to the nano-dollar."""
    path = (root_account("default", (Limit("$4/total"),)),)
    with Proxy(server.port, drop=0.25, seed=20) as proxy:
        store = open_redis(store_url(f"redis://127.0.0.1:{proxy.port}", timeout="30s"))
        repeated = 0
        for number in range(PAIRS):
            granted = store.reserve(Entry(f"h{number}", path, GPT, Amounts(7, 0, 1)), Amounts(7, 0, 1))
            booked = store.settle(Entry(f"h{number}", path, GPT, Amounts(5 + number % 3, 0, 1)))
            assert isinstance(granted, Granted) and isinstance(booked, Booked)
            repeated += granted.repeated + booked.repeated
        view = store.read("default").accounts["default"]
        assert store.audit("default") == ()
    assert proxy.dropped > PAIRS / 4, "the network was too good"
    assert repeated == 0, "an answer that is asked for again is the first one"
    assert (view.spent, view.reserved) == (
        Amounts(sum(5 + number % 3 for number in range(PAIRS)), 0, PAIRS),
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
