"""Finds the server of a request: the only one, the owner of its slot, or the master that sentinels name.

Clients of redis-py for a Cluster and for sentinels look around by themselves, from one server to the
next and each in its own time. Here every look is one command of the same exchange, so that it ends
within the timeout of the verb, for threads and for event loops alike.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from itertools import count
from typing import Any, NamedTuple, Protocol

from redis import exceptions
from redis.crc import key_slot

from .refusals import NoMaster, OutOfTime
from .url import Node, Place

_REDIRECT = re.compile(r"(?:(MOVED|ASK) )?(\d+) (\S*):(\d+)")


class Command(NamedTuple):
    """What to send, and where to.

    Attributes:
        node: the server.
        words: the command.
        asking: True where the server takes over a slot, and answers only who says that he knows.
    """

    node: Node
    words: tuple[Any, ...]
    asking: bool = False


class Routes(Protocol):
    """Finds servers, and learns from what they answer.

    Attributes:
        again: the refusals after which another try may find another server.
    """

    again: frozenset[str]

    def find(self, key: str, until_s: float) -> Generator[Command, Any, Node]:
        """The server of a key; any where it is empty. Asks around until then, by the monotonic clock.

        Raises:
            RedisError: nobody knows.
        """
        ...

    def failed(self, key: str, node: Node) -> None:
        """The server did not answer, or cannot do it."""
        ...

    def redirected(self, key: str, node: Node, error: Exception) -> Command | None:
        """Where the server says that the key is, as a command without words; None where it does not."""
        ...


def routes(place: Place) -> Routes:
    """Those of a place."""
    if place.kind == "cluster":
        return Cluster(place)
    return Sentinels(place) if place.kind == "sentinel" else OneServer(place)


class OneServer:
    """There is no choice."""

    again: frozenset[str] = frozenset()

    def __init__(self, place: Place) -> None:
        self._node = place.nodes[0]

    def find(self, key: str, until_s: float) -> Generator[Command, Any, Node]:
        return self._node
        yield

    def failed(self, key: str, node: Node) -> None:
        pass

    def redirected(self, key: str, node: Node, error: Exception) -> Command | None:
        return None


class Cluster:
    """Each slot has its owner, and every server knows which."""

    again = frozenset({"CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"})

    def __init__(self, place: Place) -> None:
        self._owners: dict[int, Node] = {}
        self._known = list(place.nodes)
        self._turn = count()

    def find(self, key: str, until_s: float) -> Generator[Command, Any, Node]:
        owner = self._owners.get(_slot(key)) if key else None
        return owner or self._known[next(self._turn) % len(self._known)]
        yield

    def failed(self, key: str, node: Node) -> None:
        if key and self._owners.get(_slot(key)) == node:
            del self._owners[_slot(key)]

    def redirected(self, key: str, node: Node, error: Exception) -> Command | None:
        told = _REDIRECT.fullmatch(str(error))
        if told is None:
            return None
        kind, slot, host, port = told.groups()
        there = Node(host or node.host, int(port))
        if kind == "ASK" or (kind is None and not isinstance(error, exceptions.MovedError)):
            return Command(there, (), asking=True)
        self._owners[int(slot)] = there
        if there not in self._known:
            self._known.append(there)
        return Command(there, ())


def _slot(key: str) -> int:
    return key_slot(key.encode())


class Sentinels:
    """They agree on who is the master; one that was cut off may not know yet."""

    again = frozenset({"READONLY", "NOREPLICAS", "MASTERDOWN"})

    def __init__(self, place: Place) -> None:
        self._sentinels = list(place.nodes)
        self._service = place.service
        self._master: Node | None = None

    def find(self, key: str, until_s: float) -> Generator[Command, Any, Node]:
        if self._master is not None:
            return self._master
        why: Exception = OutOfTime("there was no time to ask")
        for sentinel in tuple(self._sentinels):
            if time.monotonic() > until_s:
                break
            try:
                told = yield Command(sentinel, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service))
            except exceptions.RedisError as error:
                why = error
            else:
                if told:
                    self._master = Node(told[0], int(told[1]))
                    return self._master
                why = NoMaster(f"no sentinel knows a master named {self._service!r:.80}")
            self._sentinels.remove(sentinel)  # the next one is asked first from now on
            self._sentinels.append(sentinel)
        raise why

    def failed(self, key: str, node: Node) -> None:
        self._master = None

    def redirected(self, key: str, node: Node, error: Exception) -> Command | None:
        return None
