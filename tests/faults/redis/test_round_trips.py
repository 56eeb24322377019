"""One round trip a verb, whatever the number of accounts; and all keys of a tree in one slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from bursar import Budget

from ...servers import Server

HOSTILE = "}x{GLOBAL\u00e9 *?[/@:;|,="


def commands(server: Server, act: Callable[[], object]) -> list[str]:
    """What a server is asked while something is done, scripts from outside only."""
    with server.client() as client, server.client() as watcher:
        client.ping()  # its greeting is over
        with watcher.monitor() as monitor:
            return _heard(client, monitor, act)


def _heard(client: redis.Redis, monitor: Any, act: Callable[[], object]) -> list[str]:
    act()
    client.echo("that was all")
    seen = []
    for heard in monitor.listen():
        if "that was all" in heard["command"]:
            break
        if heard["client_type"] != "lua":
            seen.append(heard["command"].split()[0])
    return seen


@pytest.mark.parametrize("depth", [0, 5])
def test_a_reserve_and_a_settle_are_one_round_trip_each(server: Server, depth: int) -> None:
    """With two accounts as with seven, and limits of every kind on each."""
    budget = Budget(
        "$1/total", "$1/24h", "5M tokens/day", "900 calls/1h", store=server.url(), max_velocity="$1/min"
    )
    for level in range(depth):
        budget = budget.child(f"level {level}", "$1/total", "$1/month")
    session = budget.session("$1")
    session.reserve("gpt-4o", messages=[{"role": "user", "content": "hi"}], max_output_tokens=9).settle(
        cost="$0.01"
    )
    held = []
    reserve = commands(
        server,
        lambda: held.append(
            session.reserve("gpt-4o", messages=[{"role": "user", "content": "ho"}], max_output_tokens=9)
        ),
    )
    settle = commands(server, lambda: held[0].settle(input_tokens=5, output_tokens=5))
    assert (reserve, settle) == (["EVALSHA"], ["EVALSHA"])


def test_hostile_names_stay_in_the_slot_of_their_tree(server: Server) -> None:
    """Whatever a tenant, a session, a tool or a call is named, its keys have one hash tag."""
    prefix = "hostile"
    budget = Budget(
        "$9/total", "5 calls/1h", name=HOSTILE, store=server.url(prefix=prefix), max_velocity="$9/min"
    )
    child = budget.child(HOSTILE, "$8/total")
    session = child.session("$7", id=HOSTILE)
    session.reserve(cost="$0.10", tool=HOSTILE, key=HOSTILE).settle(cost="$0.05")
    session.reserve(tool=HOSTILE, cost="$0.10", messages=[HOSTILE])
    with server.client() as client:
        keys = [key for key in client.scan_iter() if key.startswith(f"{prefix}:")]
    assert len(keys) > 8 and len({key_slot(key.encode()) for key in keys}) == 1
    assert len({key.partition("}:")[0] for key in keys}) == 1
    again = Budget(
        "$9/total", "5 calls/1h", name=HOSTILE, store=server.url(prefix=prefix), max_velocity="$9/min"
    )
    assert float(again.child(HOSTILE).session(id=HOSTILE).spent) == 0.05
    assert budget.audit() == ()


def test_the_client_retries_nothing_by_itself(server: Server) -> None:
    """The driver's own ten tries would not carry our marks, and would take far too long."""
    budget = Budget("$1/total", store=server.url())
    budget.session("$1").reserve(cost="$0.10")
    (client,) = budget._ledger.store._clients._blocking.values()
    assert isinstance(client, redis.Redis) and client.get_retry().get_retries() == 0
