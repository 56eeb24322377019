"""An audit reads everything in one step, which takes longer than a reserve may wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from bursar import Budget, LedgerRolledBack, StoreUnavailable
from bursar.store.redis import RedisStore, open_redis

from ...servers import Server

MANY = 30_000


def store_with_many_sessions(server: Server) -> RedisStore:
    """A ledger with one call, and sessions in which nothing was spent; a verb has less time than its audit takes."""
    store = open_redis(server.url(timeout="0.4s"))
    Budget("$5/total", store=store).session().track(None, "$1", "search")
    base = f"{store.place.prefix}:{{default}}:"
    with server.client() as client, client.pipeline(transaction=False) as pipeline:
        for number in range(MANY):
            key = f"default/@many{number}"
            pipeline.hset(f"{base}a:{key}", mapping={"born": 1000 + number, "epoch": 0, "opened": 1})
            pipeline.hset(f"{base}accounts", key, 1)
        pipeline.hincrby(f"{base}meta", "accounts", MANY)
        pipeline.execute()
    return store


def steps_of(server: Server) -> int:
    """How many runs of the script the server has seen."""
    with server.client() as client:
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])


@pytest.mark.parametrize("spoilt", [False, True], ids=["sound", "spoilt"])
@pytest.mark.parametrize("way", ["sync", "async"])
def test_an_audit_that_takes_longer_than_a_verb_is_sent_once(server: Server, way: str, spoilt: bool) -> None:
    """It finds what is wrong, and nothing where nothing is; nobody waits for a second run of it."""
    store = store_with_many_sessions(server)
    if spoilt:
        with server.client() as client:
            client.hincrby(f"{store.place.prefix}:{{default}}:a:default", "s:usd", 7)
    before = steps_of(server)
    server.ask("CONFIG", "SET", "slowlog-log-slower-than", int(store._exchanges.try_s * 1e6))
    server.ask("SLOWLOG", "RESET")
    found = store.audit("default") if way == "sync" else asyncio.run(store.acall("audit", "default"))
    assert server.ask("SLOWLOG", "LEN")  # it took longer than one try of a verb
    assert steps_of(server) == before + 2  # one asks whether the server is there
    assert {finding.account for finding in found} == ({"default"} if spoilt else set())


def test_an_audit_says_that_the_server_lost_data_meanwhile(server: Server) -> None:
    """It names the loss, and not the balances that differ by it; without a loss it answers."""
    store = open_redis(server.url())
    Budget("$5/total", store=store).session().track(None, "$1", "search")
    audit = store._requests.audit("default")
    assert store._clients.run(store._exchanges.exchange(audit)) == ()
    with server.client() as client:
        client.delete(f"{store.place.prefix}:{{default}}:a:default")
    with pytest.raises(LedgerRolledBack):
        store._clients.run(store._exchanges.exchange(audit))


def test_an_audit_of_a_server_that_is_gone_is_refused_within_the_timeout(server: Server) -> None:
    """As any other verb."""
    store = open_redis(server.url(timeout="0.4s"))
    assert store.audit("default") == ()
    server.kill()
    began_s = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.audit("default")
    assert time.monotonic() - began_s < 5
