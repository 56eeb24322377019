"""Reads what a server says about its persistence and eviction, as far as its user may ask."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from redis import exceptions

from ...errors import LedgerRolledBack, StoreError
from ..facts import Facts
from .exchange import Exchange, Exchanges
from .url import Node

_ASKED = ("version", "eviction", "clock_skew_seconds")


def read_facts(exchanges: Exchanges) -> Exchange:
    """Ask for them.

    Raises:
        StoreUnavailable: the server cannot be reached.
    """
    info = yield from _ask(exchanges, "INFO")
    config = yield from _ask(exchanges, "CONFIG GET", "append*")
    config |= yield from _ask(exchanges, "CONFIG GET", "maxmemory-policy")
    config |= yield from _ask(exchanges, "CONFIG GET", "min-replicas-to-write")
    before_ms = exchanges.now_ms()
    time = yield from _ask(exchanges, "TIME")
    host_ms = (before_ms + exchanges.now_ms()) // 2
    eviction = str(config.get("maxmemory-policy", info.get("maxmemory_policy", "")))
    durability = _durability(info, config)
    known = (info, eviction, time)
    return Facts(
        kind="valkey" if info.get("server_name") == "valkey" else "redis",
        durability=durability,
        version=str(info.get("valkey_version", info.get("redis_version", ""))),
        eviction=eviction,
        skew_ms=time[0] * 1000 + time[1] // 1000 - host_ms if time and not exchanges.clocked else None,
        bytes=info.get("used_memory"),
        unknown=tuple(name for name, answer in zip(_ASKED, known, strict=True) if not answer),
        warnings=tuple(_warnings(info, config, durability, eviction)),
    )


def read_roots(exchanges: Exchanges) -> Exchange:
    """The keys of the roots of all trees, from every server that has some.

    Raises:
        StoreUnavailable: a server cannot be reached, or this user may not ask.
    """
    prefix, found = exchanges.place.prefix, set()
    masters: list[Node | None] = [None]
    if exchanges.place.kind == "cluster":
        slots = yield from exchanges.send(("CLUSTER", "SLOTS"))
        masters = list(dict.fromkeys(Node(master[0], int(master[1])) for _, _, master, *_ in slots))
    for master in masters:
        cursor = None
        while cursor != 0:
            scan = ("SCAN", cursor or 0, "MATCH", f"{prefix}:{{*}}:meta", "COUNT", 1000)
            cursor, keys = yield from exchanges.send(scan, to=master)
            cursor = int(cursor)
            found |= {key.removeprefix(f"{prefix}:{{").removesuffix("}:meta") for key in keys}
    return tuple(found)


def with_loss(facts: Facts, error: LedgerRolledBack) -> Facts:
    """The same of a server that has lost data."""
    return replace(facts, warnings=(str(error), *facts.warnings))


def _durability(info: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    on = config.get("appendonly", "yes" if info.get("aof_enabled") else "no") == "yes"
    sync = config.get("appendfsync", "everysec")
    return f"redis-{sync}" if on and sync != "no" else "redis-none"


def _warnings(
    info: Mapping[str, Any], config: Mapping[str, Any], durability: str, eviction: str
) -> Generator[str, None, None]:
    if not info and not config:
        yield "this user may ask neither INFO nor CONFIG GET, so that the weakest durability is assumed"
    elif durability == "redis-none":
        yield "a crash of the server loses what was booked since its last snapshot: set appendonly yes"
    elif durability == "redis-everysec":
        yield "a power failure loses the last second or two: set appendfsync always"
    if eviction not in ("", "noeviction"):
        yield f"maxmemory-policy {eviction} throws balances away when the memory is full: set noeviction"
    if info.get("role") == "slave":
        yield "this is a replica, which cannot be written to: name its master"
    if info.get("connected_slaves") and str(config.get("min-replicas-to-write", "0")) == "0":
        yield (
            "a failover may lose what its replicas have not got yet, and a master that was cut off goes on:"
            " set min-replicas-to-write 1"
        )
    if info.get("aof_last_write_status") == "err":
        yield "the server could not write its log to disk"


def _ask(exchanges: Exchanges, *command: str) -> Generator[Any, Any, Any]:
    """The answer, or an empty one where the user may not ask."""
    try:
        return (yield from exchanges.send(command))
    except StoreError as error:
        if isinstance(error.__cause__, exceptions.ConnectionError | exceptions.TimeoutError):
            raise
        return {}
