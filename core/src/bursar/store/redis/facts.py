"""What a server says about itself, as far as its user may ask."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from redis import exceptions

from ...errors import StoreError
from .exchange import Exchange, Exchanges


@dataclass(frozen=True, slots=True)
class Facts:
    """One server.

    Attributes:
        version: of Redis, or the version of Redis that a Valkey is compatible with.
        durability: ``"redis-always"`` loses nothing in a power failure, ``"redis-everysec"`` the
            last second or two, ``"redis-none"`` may lose everything in a restart.
        eviction: what it does when its memory is full; anything but ``"noeviction"`` loses balances.
            Empty where it does not say.
        skew_ms: how far its clock is ahead of this machine's, in milliseconds; None where it does not say.
    """

    version: str
    durability: str
    eviction: str
    skew_ms: int | None


def read_facts(exchanges: Exchanges) -> Exchange:
    """Ask for them.

    Raises:
        StoreUnavailable: the server cannot be reached.
    """
    info = yield from _ask(exchanges, "INFO")
    append = yield from _ask(exchanges, "CONFIG GET", "append*")
    memory = yield from _ask(exchanges, "CONFIG GET", "maxmemory-policy")
    time = yield from _ask(exchanges, "TIME")
    on = append.get("appendonly", "yes" if info.get("aof_enabled") else "no") == "yes"
    sync = append.get("appendfsync", "everysec")
    return Facts(
        version=str(info.get("redis_version", "")),
        durability=f"redis-{sync}" if on and sync != "no" else "redis-none",
        eviction=memory.get("maxmemory-policy", info.get("maxmemory_policy", "")),
        skew_ms=time[0] * 1000 + time[1] // 1000 - exchanges.now_ms() if time else None,
    )


def _ask(exchanges: Exchanges, *command: str) -> Generator[Any, Any, Any]:
    """The answer, or an empty one where the user may not ask."""
    try:
        return (yield from exchanges.send(command))
    except StoreError as error:
        if isinstance(error.__cause__, exceptions.ConnectionError | exceptions.TimeoutError):
            raise
        return {}
