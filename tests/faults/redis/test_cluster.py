"""A Redis Cluster of three masters: one tree, one slot, and whatever happens to its owner."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
from redis.crc import key_slot

from bursar import Budget, BudgetExceeded, LedgerRolledBack, StoreUnavailable
from bursar.store.redis.keys import base_key

from ...servers import Cluster, Server
from .test_refusals import store_of, until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three masters; a test leaves it whole."""
    started = Cluster(appendonly="yes")
    yield started
    started.close()


def tenants(cluster: Cluster, prefix: str) -> dict[int, str]:
    """A name whose tree lives on each of the masters, by port."""
    found: dict[int, str] = {}
    for number in range(1000):
        name = f"tenant{number}"
        found.setdefault(cluster.owner(f"{base_key(prefix, name)}meta").port, name)
        if len(found) == 3:
            break
    return found


def spend(budget: Budget, cost: str = "$0.10") -> None:
    """One call."""
    with budget.session("$5").reserve(cost=cost) as hold:
        hold.settle(cost=cost)


def test_each_tree_is_on_one_master_and_all_are_used(cluster: Cluster) -> None:
    """Blocking and awaited: limits hold, the books are right, and each key has the slot of its tree."""
    names = tenants(cluster, "spread")
    for port, name in names.items():
        budget = Budget("$1/total", "20 calls/1h", name=name, store=cluster.url(prefix="spread"))

        async def some(budget: Budget = budget) -> None:
            for _ in range(5):
                hold = await budget.child("alice").session("$5").areserve(cost="$0.10")
                await hold.asettle(cost="$0.10")

        asyncio.run(some())
        for _ in range(5):
            spend(budget)
        with pytest.raises(BudgetExceeded):
            spend(budget)
        assert float(budget.spent) == 1 and budget.audit() == ()
        (server,) = [server for server in cluster.masters if server.port == port]
        with server.client() as client:
            keys = list(client.scan_iter(match=f"spread:{{{name}}}*"))
        assert len(keys) > 10 and len({key_slot(key.encode()) for key in keys}) == 1
        assert budget.doctor()["ledger"] and budget.report()["durability"] == "redis-everysec"
    assert len(names) == 3


def _commands(server: Server) -> int:
    with server.client() as client:
        stats = client.info("commandstats")
    return sum(int(stat["calls"]) for name, stat in stats.items() if name.startswith("cmdstat_eval"))


def test_a_verb_is_one_request(cluster: Cluster) -> None:
    """Once the owner is known nobody else is asked."""
    budget = Budget("$5/total", store=cluster.url())
    spend(budget)
    session = budget.session("$5", id="s")
    before = [_commands(server) for server in cluster.masters]
    for _ in range(10):
        session.reserve(cost="$0.01").settle(cost="$0.01")
    used = [_commands(server) - was for server, was in zip(cluster.masters, before, strict=True)]
    assert sorted(used) == [0, 0, 20]


@pytest.mark.alone
@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_a_master_that_is_gone_refuses_its_trees_in_time_and_no_others(cluster: Cluster, fault: str) -> None:
    """Its bookings wait, and land when it is back; trees of other masters go on (without full coverage)."""
    for server in cluster.servers:
        server.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
    prefix = f"gone{fault}"
    names = tenants(cluster, prefix)
    budgets = {
        port: Budget("$1/total", name=name, store=cluster.url(prefix=prefix, timeout="1s"))
        for port, name in names.items()
    }
    holds = {port: budget.session("$1").reserve(cost="$0.20") for port, budget in budgets.items()}
    victim = cluster.masters[0]
    assert victim.process is not None
    if fault == "killed":
        victim.kill()
    else:
        os.kill(victim.process.pid, signal.SIGSTOP)
    for port, budget in budgets.items():
        began = time.monotonic()
        if port == victim.port:
            with pytest.raises(StoreUnavailable):
                budget.session("$1").reserve(cost="$0.10")
        else:
            spend(budget)
        assert time.monotonic() - began < 1.2
        holds[port].settle(cost="$0.10")
    assert store_of(budgets[victim.port]).undelivered >= 1
    if fault == "killed":
        victim.start()
    else:
        os.kill(victim.process.pid, signal.SIGCONT)
    cluster.wait()
    for port, budget in budgets.items():
        until(lambda budget=budget: store_of(budget).undelivered == 0)  # type: ignore[misc]
        assert (float(budget.spent), budget.reserved) == (0.1 if port == victim.port else 0.2, 0)
        assert budget.audit() == ()


def test_a_slot_that_moves_in_mid_run_takes_its_tree_along(cluster: Cluster) -> None:
    """Key by key while four threads spend: refused while it is in two places, exact in the end."""
    prefix = "moves"
    budget = Budget("$100/total", store=cluster.url(prefix=prefix, timeout="5s"), max_repeated_calls=None)
    spend(budget, "$0.01")
    stop, paid, refused = threading.Event(), [], []

    def work(seed: int) -> None:
        dice = random.Random(seed)
        session = budget.session("$50", id=f"s{seed}")
        while not stop.is_set():
            try:
                hold = session.reserve(cost="$0.01")
            except StoreUnavailable as error:
                refused.append(error)
                continue
            cost = dice.randint(1, 10_000_000)
            paid.append(cost)
            hold.settle(cost=f"0.{cost:09d}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    moves = 0
    for paid_before in range(0, 400, 100):
        until(partial(_more, paid, paid_before))
        _move(cluster, base_key(prefix, "default"))
        moves += 1
    until(partial(_more, paid, 400))
    stop.set()
    for thread in threads:
        thread.join()
    until(lambda: store_of(budget).undelivered == 0)
    spent = budget._ledger.store.read("default").accounts["default"].spent.usd
    assert spent == sum(paid) + 10_000_000 and moves == 4
    assert all("Cluster" in str(error) or "cluster" in str(error) for error in refused)
    assert budget.reserved == 0 and budget.audit() == ()


def _more(paid: list[int], than: int) -> bool:
    return len(paid) > than


def _move(cluster: Cluster, base: str) -> None:
    """Hand a slot to the next master, slowly."""
    _end_move(cluster, base, _carry_over(cluster, base))


def _carry_over(cluster: Cluster, base: str) -> Server:
    """All but the last step: the keys are at the next master, and the slot is not yet its own."""
    slot = key_slot(f"{base}meta".encode())
    source = cluster.owner(f"{base}meta")
    target = cluster.masters[(cluster.masters.index(source) + 1) % 3]
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
    while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 3):
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        time.sleep(0.002)
    return target


def _end_move(cluster: Cluster, base: str, target: Server) -> None:
    slot = key_slot(f"{base}meta".encode())
    for server in (target, *cluster.masters):
        server.ask("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(target))


def test_a_tree_that_is_between_two_masters_is_read_where_it_went(cluster: Cluster) -> None:
    """The old owner says whom to ask for this once; blocking and awaited. A call waits until the move is over."""
    budget = Budget("$1/total", store=cluster.url(prefix="asked", timeout="1s"), soft_limit=0.1)
    spend(budget)  # which is told
    hold = budget.session("$1", id="s").reserve(cost="$0.20")
    budget.set_limit("$2/total")  # something is in every list of the tree
    store_of(budget).end("default", ("default/@s",))
    base = base_key("asked", "default")
    target = _carry_over(cluster, base)
    assert float(budget.spent) == 0.1
    assert asyncio.run(budget.abalance()).reserved == hold.amount
    with pytest.raises(StoreUnavailable, match="moves these keys"):
        budget.session("$1", id="new").reserve(cost="$0.10")
    hold.settle(cost="$0.10")
    _end_move(cluster, base, target)
    until(lambda: store_of(budget).undelivered == 0)
    assert float(budget.spent) == 0.2 and budget.reserved == 0 and budget.audit() == ()


def test_the_trees_of_all_masters_are_listed(cluster: Cluster) -> None:
    """Each once, whichever master has its slot."""
    url = cluster.url(prefix="listed")
    names = {f"team {number}" for number in range(12)}
    for name in names:
        spend(Budget("$1/total", name=name, store=url))
    assert sorted(store_of(Budget(store=url)).roots()) == sorted(name.replace(" ", "%20") for name in names)


def test_a_replica_that_takes_over_loses_nothing_or_is_found_out() -> None:
    """By order in mid-run, and then because its master was killed: exact, or nothing is admitted."""
    cluster = Cluster(replicas=1)
    try:
        prefix = "failover"
        budget = Budget("$100/total", store=cluster.url(prefix=prefix, timeout="2s"))
        key = f"{base_key(prefix, 'default')}meta"
        total = 0
        for number in range(60):
            spend(budget, "$0.01")
            total += 1
            if number == 30:
                master = cluster.owner(key)
                replica = cluster.servers[3 + cluster.masters.index(master)]
                replica.ask("CLUSTER", "FAILOVER")
        until(lambda: cluster.owner(key) is replica)
        assert float(budget.spent) == pytest.approx(total / 100)
        until(lambda: all(cluster._follows(server) for server in cluster.servers))
        replica.kill()
        deadline, outcome = time.monotonic() + 20, ""
        while not outcome and time.monotonic() < deadline:
            try:
                spend(budget, "$0.01")
                outcome = "goes on"
            except StoreUnavailable:
                time.sleep(0.05)
            except LedgerRolledBack:
                outcome = "found out"
        assert outcome
        if outcome == "goes on":
            assert float(budget.spent) == pytest.approx((total + 1) / 100) and budget.audit() == ()
    finally:
        cluster.close()
