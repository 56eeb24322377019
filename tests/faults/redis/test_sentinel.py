"""Sentinels that name the master: when it fails in mid-run nothing is lost unseen, and no stale one admits."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest
import redis

from bursar import Budget, LedgerRolledBack, StoreUnavailable
from bursar.testing import ManualClock

from ...servers import SentinelSet, Server, binary_with, free_port, store_url
from .test_refusals import SECRET, store_of, until


@pytest.fixture
def watched() -> Iterator[SentinelSet]:
    """A master with two replicas, watched by three sentinels."""
    started = SentinelSet(appendonly="yes", repl_diskless_sync_delay=0)
    yield started
    started.close()


@pytest.fixture
def newer() -> Iterator[SentinelSet]:
    """Of Redis 6.2 or newer.

    Its sentinels have users, and choose a replica that was started again; its master counts its replicas
    before a script may write.
    """
    started = SentinelSet(binary_with("users of sentinels"), appendonly="yes", repl_diskless_sync_delay=0)
    yield started
    started.close()


def spend(budget: Budget, cost: str = "$0.01") -> None:
    """One call."""
    with budget.session("$50", id="s").reserve(cost=cost) as hold:
        hold.settle(cost=cost)


@pytest.mark.alone
def test_a_failover_in_mid_run_loses_nothing_or_is_found_out(watched: SentinelSet) -> None:
    """The master is killed; calls are refused until another takes over, and then all is there or nothing admitted."""
    budget = Budget("$100/total", store=watched.url(timeout="1s"), max_repeated_calls=None)
    booked = 0
    for _ in range(50):
        spend(budget)
        booked += 1
    open_hold = budget.session("$50", id="s").reserve(cost="$0.50")
    watched.master.kill()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as error:
        spend(budget)
    assert time.monotonic() - began < 1.2 and "redis+sentinel://" in str(error.value)
    open_hold.settle(cost="$0.25")
    outcome = ""
    watched.wait_for_another()
    deadline = time.monotonic() + 10
    while not outcome and time.monotonic() < deadline:
        try:
            spend(budget)
            outcome = "goes on"
        except StoreUnavailable:
            time.sleep(0.05)
        except LedgerRolledBack:
            outcome = "found out"
    assert outcome
    if outcome == "found out":
        budget.acknowledge_rollback("looked at the bill")
    until(lambda: store_of(budget).undelivered == 0)
    if outcome == "goes on":
        assert float(budget.spent) == pytest.approx(booked / 100 + 0.25 + 0.01)
        assert budget.reserved == 0
    assert budget.audit() == ()
    fresh = Budget("$100/total", store=watched.url(prefix=store_of(budget).place.prefix))
    spend(fresh)
    assert fresh.spent == budget.spent


def test_an_acknowledged_step_that_no_replica_has_is_found_out(newer: SentinelSet) -> None:
    """The replicas were stopped, so that the new master knows less: nothing is admitted until it is accepted."""
    budget = Budget("$100/total", store=newer.url(timeout="1s"), max_repeated_calls=None)
    spend(budget)
    until(lambda: _offsets(newer))
    for replica in newer.replicas:
        assert replica.process is not None
        os.kill(replica.process.pid, signal.SIGSTOP)
    for _ in range(20):
        spend(budget)
    newer.master.kill()
    for replica in newer.replicas:
        with_socket_buffers_dropped(replica)
    newer.wait_for_another()
    until(lambda: _rolled_back(budget))
    for _ in range(2):
        with pytest.raises(LedgerRolledBack, match="acknowledge_rollback"):
            spend(budget)
    budget.acknowledge_rollback("looked at the bill")
    spend(budget)
    assert budget.audit() == ()


def _offsets(watched: SentinelSet) -> bool:
    with watched.master.client() as client:
        found = client.info("replication")
    return all(found[f"slave{n}"]["offset"] == found["master_repl_offset"] for n in range(2))


def with_socket_buffers_dropped(replica: Server) -> None:
    """Let it go on without what its socket had received: as if the network had lost it."""
    replica.kill()
    replica.start()


def _rolled_back(budget: Budget) -> bool:
    try:
        spend(budget)
    except LedgerRolledBack:
        return True
    except StoreUnavailable:
        return False
    raise AssertionError("a master that knows less has admitted a call")


def test_a_stale_master_admits_nothing(newer: SentinelSet) -> None:
    """Cut off from its replicas and with min-replicas-to-write 1 it refuses; demoted it is not asked any more."""
    newer.master.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    newer.master.ask("CONFIG", "SET", "min-replicas-max-lag", 1)
    budget = Budget("$100/total", store=newer.url(timeout="1s"), max_repeated_calls=None)
    spend(budget)
    before = budget.spent
    for replica in newer.replicas:
        assert replica.process is not None
        os.kill(replica.process.pid, signal.SIGSTOP)
    until(lambda: _refused(budget))
    with pytest.raises(StoreUnavailable, match="too few replicas"):
        spend(budget)
    for replica in newer.replicas:
        assert replica.process is not None
        os.kill(replica.process.pid, signal.SIGCONT)
    until(lambda: not _refused(budget))
    old = newer.master
    newer.sentinels[0].ask("SENTINEL", "FAILOVER", newer.NAME)
    new = newer.wait_for_another()
    old.ask("REPLICAOF", "127.0.0.1", new.port)  # sentinels say so as well, eight seconds later
    until(lambda: _role(old) == "slave")
    new.ask("CONFIG", "SET", "min-replicas-to-write", 0)
    for _ in range(5):
        spend(budget)
    assert budget.spent > before and budget.audit() == ()
    direct = Budget("$100/total", store=store_url(f"redis://127.0.0.1:{old.port}", timeout="0.5s"))
    with pytest.raises(StoreUnavailable, match="replica"):
        spend(direct)
    assert any("this is a replica" in warning for warning in direct.doctor()["warnings"])


def _role(server: Server) -> str:
    try:
        return str(server.ask("ROLE")[0])
    except redis.ConnectionError:  # its sentinels end all connections when they change it
        return ""


def _refused(budget: Budget) -> bool:
    try:
        budget.session("$50", id="s").reserve(cost="$0.01").settle(cost="$0.01")
    except StoreUnavailable:
        return True
    return False


@pytest.mark.alone
def test_sentinels_that_do_not_answer_or_do_not_know(watched: SentinelSet) -> None:
    """The next one is asked; nobody, or no such name, is an error in time that says so. Awaited, too."""
    watched.sentinels[0].kill()
    dead, alive = watched.sentinels[0].port, watched.sentinels[1].port
    hosts = f"127.0.0.1:{dead},127.0.0.1:{alive}"
    budget = Budget("$1/total", store=store_url(f"redis+sentinel://{hosts}/{watched.NAME}", timeout="1s"))

    async def once() -> None:
        await (await budget.session("$1").areserve(cost="$0.10")).asettle(cost="$0.10")

    asyncio.run(once())
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    assert float(budget.spent) == 0.2
    for hosts, name, said in (
        (f"127.0.0.1:{alive}", "nobody", "no sentinel knows a master named 'nobody'"),
        (f"127.0.0.1:{dead},127.0.0.1:{free_port()}", watched.NAME, "cannot be reached"),
    ):
        lost = Budget("$1/total", store=store_url(f"redis+sentinel://{hosts}/{name}", timeout="0.4s"))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=said):
            lost.session("$1").reserve(cost="$0.10")
        assert time.monotonic() - began < 0.6


def test_sentinels_and_servers_have_passwords_of_their_own(newer: SentinelSet) -> None:
    """Each is told its own, and none is in a message."""
    for sentinel in newer.sentinels:
        sentinel.ask("ACL", "SETUSER", "watcher", "on", f">{SECRET}1", "+sentinel|get-master-addr-by-name")
        sentinel.ask("ACL", "SETUSER", "default", "off")
    newer.master.ask("ACL", "SETUSER", "agent", "on", f">{SECRET}2", "~*", "+@all")
    hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in newer.sentinels)
    where = f"{hosts}/{newer.NAME}"
    query = {"sentinel_user": "watcher", "timeout": "1s", "prefix": "pw"}
    clock = ManualClock(1_750_000_000)
    good = f"redis+sentinel://agent:{SECRET}2@{where}"
    budget = Budget("$1/total", store=store_url(good, **query, sentinel_password=f"{SECRET}1"), clock=clock)
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    wrong = Budget("$1/total", store=store_url(good, **query, sentinel_password=f"{SECRET}2"))
    with pytest.raises(StoreUnavailable, match="does not accept") as error:
        wrong.session("$1").reserve(cost="$0.10")
    assert SECRET not in f"{error.value!r} {store_of(wrong)!r} {store_of(wrong).place!r}"
