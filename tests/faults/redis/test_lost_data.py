"""A server that lost data admits nothing until somebody accepts the loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bursar import Budget, LedgerRolledBack
from bursar.store.redis import open_redis

from ...servers import Server


def spend(budget: Budget, cost: str = "$0.10") -> None:
    """One call."""
    with budget.session("$5").reserve(cost=cost) as hold:
        hold.settle(cost=cost)


def purse(url: str) -> Budget:
    """What a process has of a budget that is shared."""
    return Budget("$1/total", store=url)


@pytest.mark.parametrize("sync", ["everysec", "always"])
def test_a_killed_server_with_a_log_has_lost_nothing(server: Server, sync: str) -> None:
    """Every booked charge is there after kill -9, an open hold too; the same process goes on."""
    server.kill()
    server.start(appendonly="yes", appendfsync=sync)
    url = server.url()
    budget = purse(url)
    for _ in range(5):
        spend(budget)
    hold = budget.session("$5").reserve(cost="$0.30")
    server.kill()
    server.start()
    assert (float(budget.spent), budget.reserved) == (0.5, hold.amount)
    hold.settle(cost="$0.20")
    assert float(purse(url).spent) == 0.7
    assert budget.report()["durability"] == f"redis-{sync}"
    assert budget.audit() == ()


def _restart(server: Server) -> None:
    server.kill()
    server.start()


def _flush(server: Server) -> None:
    with server.client() as client:
        client.flushall()


def _evict(kind: str) -> Callable[[Server], None]:
    def evict(server: Server) -> None:
        with server.client() as client:
            found = [key for key in client.scan_iter() if key.partition("}:")[2] == kind]
            assert client.delete(found[0]) == 1

    return evict


@pytest.mark.parametrize(
    "lose",
    [_restart, _flush, _evict("meta"), _evict("accounts"), _evict("a:default")],
    ids=["restart", "flushall", "no meta", "no list", "no account"],
)
def test_lost_data_is_found_before_the_next_admission(server: Server, lose: Callable[[Server], None]) -> None:
    """Nothing is admitted until a person accepts it, and then by every process that knew more."""
    url = server.url()
    budget, other = purse(url), purse(url)
    spend(budget)
    spend(other)
    lose(server)
    for who in (budget, other):
        with pytest.raises(LedgerRolledBack, match="acknowledge_rollback"):
            spend(who)
        with pytest.raises(LedgerRolledBack):
            assert who.spent
        with pytest.raises(LedgerRolledBack):
            who.audit()
    budget.acknowledge_rollback("the bill was looked at")
    spend(budget)
    spend(other)
    spend(purse(url))
    assert budget.audit() == ()


def test_an_older_state_is_found(server: Server) -> None:
    """A server that comes back from yesterday's backup knows the ledger, but not its last steps."""
    url = server.url()
    budget = purse(url)
    spend(budget)
    with server.client() as client:
        client.save()
        spend(budget)
        spend(budget)
        client.config_set("save", "")
    server.kill()
    server.start()
    with pytest.raises(LedgerRolledBack, match="last steps"):
        spend(budget)
    fresh = purse(url)
    assert float(fresh.spent) == 0.1
    spend(fresh)  # who never knew more cannot miss it


def test_a_pinned_ledger_is_asked_for_by_a_fresh_process_too(server: Server) -> None:
    """`?ledger=` refuses an emptied store and another ledger, and outlives an accepted loss."""
    prefix = {"prefix": "pinned"}
    spend(purse(server.url(**prefix)))
    id = open_redis(server.url(**prefix)).ledger_id("default")
    pinned = server.url(**prefix, ledger=id)
    spend(purse(pinned))
    with pytest.raises(LedgerRolledBack, match=r"\?ledger="):
        spend(purse(server.url(**prefix, ledger="another")))
    with pytest.raises(LedgerRolledBack, match=r"\?ledger="):
        open_redis(server.url(**prefix, ledger="another")).alerts("default")
    assert open_redis(pinned).alerts("default").alerts == ()
    _flush(server)
    for _ in range(2):
        with pytest.raises(LedgerRolledBack):
            spend(purse(pinned))
    open_redis(pinned).acknowledge("default", "looked at the bill")
    spend(purse(pinned))
    assert open_redis(pinned).ledger_id("default") == id


def test_an_accepted_loss_does_not_excuse_the_next_one(server: Server) -> None:
    """Each is found anew."""
    url = server.url()
    budget = purse(url)
    for _ in range(3):
        spend(budget)
        _flush(server)
        with pytest.raises(LedgerRolledBack):
            spend(budget)
        open_redis(url).acknowledge("default", "again")
        other = purse(url)
        other._ledger.store.acknowledge("default", "again")
        spend(other)
        budget._ledger.store.acknowledge("default", "again")


def test_a_hold_from_before_a_lost_account_does_not_free_what_others_hold(server: Server) -> None:
    """The account is another one: a release of what it never held must not make room."""
    budget = purse(server.url())
    old = budget.session("$5", id="s").reserve(cost="$0.80")
    _evict("a:default")(server)
    store = budget._ledger.store
    with pytest.raises(LedgerRolledBack):
        budget.session("$5", id="s").reserve(cost="$0.10")
    store.acknowledge("default", "looked at")
    new = budget.session("$5", id="t").reserve(cost="$0.90")
    old.settle(cost="$0.80")
    view = store.read("default").accounts["default"]
    assert view.reserved.usd == 900_000_000 and new.state == "reserved"
    assert budget.audit() == ()


@pytest.mark.parametrize("lost", [True, False])
def test_a_loss_that_others_have_written_over_is_found(server: Server, lost: bool) -> None:
    """The steps of one process are gone and another one's have their numbers: the first finds that, and only then."""
    url = server.url()
    mine, others = purse(url), purse(url)
    spend(mine, "$0.01")
    assert float(others.spent) == 0.01
    with server.client() as client:
        client.save()
    spend(mine, "$0.02")
    if lost:
        server.kill()
        server.start()
    for _ in range(5):
        spend(others, "$0.01")
    if lost:
        with pytest.raises(LedgerRolledBack, match="its last steps are gone"):
            spend(mine, "$0.01")
        mine.acknowledge_rollback("looked at the bill")
    spend(mine, "$0.01")
    assert float(mine.spent) == (0.07 if lost else 0.09)
    assert mine.audit() == ()
