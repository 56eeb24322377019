"""How a request gets its answer: one body for the blocking and the awaiting client."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

from redis import exceptions

from ...clock import Clock
from ...errors import StoreUnavailable
from ...ids import new_id
from ..seen import Seen
from . import script
from .requests import Request
from .url import Place


class Unanswered(StoreUnavailable):
    """It was sent, and may have been applied."""


# Yields a command to send or a time to wait in seconds; is sent the answer, or thrown redis-py's error.
Exchange = Generator["tuple[Any, ...] | float", Any, Any]

_TRIES = 4  # that fit into the timeout when nobody answers at all
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.005, 0.2

_REFUSES = {  # what a server answers when it cannot, but another time may
    "OOM": "is out of memory",
    "READONLY": "is a replica, which cannot be written to",
    "LOADING": "is still loading its data",
    "MISCONF": "cannot save its data",
    "NOREPLICAS": "has too few replicas",
    "MASTERDOWN": "has lost its master",
    "CLUSTERDOWN": "is in a cluster that is down",
    "BUSY": "is busy with a script",
    "NOAUTH": "asks for a password",
    "unauthenticated": "asks for a password",  # where it would not even read a long request
    "WRONGPASS": "does not accept the password",
    "NOPERM": "does not give this user the rights that docs/redis.md lists",
}


class Exchanges:
    """What all requests of a store share.

    Args:
        place: the server.
        clock: gives the time instead of the server.
    """

    def __init__(self, place: Place, clock: Clock | None) -> None:
        self.place = place
        self.try_s = place.timeout_s / _TRIES
        self._clock = clock
        self._seen: dict[str, Seen] = {}
        self._lock = threading.Lock()

    def renew(self) -> None:
        """In a forked child, whose parent may have held the lock."""
        self._lock = threading.Lock()

    @property
    def clocked(self) -> bool:
        """True where somebody else tells the time than the server."""
        return self._clock is not None

    def now_ms(self) -> int:
        """The time as this process has it."""
        return int((self._clock.now() if self._clock is not None else time.time()) * 1000)

    def ledger_id(self, root: str) -> str:
        """The id of the ledger of a tree; empty while it was not heard of."""
        return self._seen.get(root, Seen()).id

    def exchange(self, request: Request) -> Exchange:
        """Send a request until it is answered, and no longer than the timeout.

        Raises:
            StoreUnavailable: no answer; `Unanswered` where it may have been applied.
        """
        seen = self._seen.get(request.root, Seen())
        head = (
            request.verb,
            request.mark,
            "" if self._clock is None else str(self.now_ms()),
            seen.id,
            str(seen.seq),
            str(seen.ack),
            self.place.ledger,
            new_id(),
        )
        keys = (len(request.keys), *request.keys)
        answer = yield from self.send(
            ("EVALSHA", script.sha(), *keys, *head, *request.words),
            ("EVAL", script.source(), *keys, *head, *request.words),
        )
        id, seq, ack, now_ms, *lines = answer.split("\n")
        if id and lines[0] != "rolled_back":
            with self._lock:
                known = self._seen.get(request.root, Seen())
                self._seen[request.root] = known.after(Seen(id, int(seq), int(ack)))
        return request.read(lines, int(now_ms))

    def send(self, command: tuple[Any, ...], in_full: tuple[Any, ...] | None = None) -> Exchange:
        """Send a command again and again until it is answered, within the timeout.

        Args:
            command: what to send.
            in_full: what to send where the server does not know the script.

        Raises:
            StoreUnavailable: no answer.
        """
        deadline, pause_s = time.monotonic() + self.place.timeout_s, _FIRST_PAUSE_S
        sent = False
        while True:
            try:
                return (yield command)
            except exceptions.RedisError as error:
                if isinstance(error, exceptions.NoScriptError) and in_full is not None:
                    command, in_full = in_full, None
                    continue
                again = isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError)
                lost = again and "connecting to" not in str(error) and "loading" not in str(error)
                if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
                    again = False
                if not again or time.monotonic() + pause_s + self.try_s > deadline:
                    failure = self._failure(error)
                    raise (Unanswered(str(failure)) if sent or lost else failure) from error
                sent = sent or lost
                yield pause_s
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    def _failure(self, error: Exception) -> StoreUnavailable:
        text = str(error)
        for code, what in _REFUSES.items():
            if code in text.replace(":", " ").replace("'", " ").replace("-", " ").split():
                return StoreUnavailable(f"{self.place.where} {what}; make no call")
        if isinstance(error, exceptions.NoPermissionError) or "can't run this command" in text:
            return StoreUnavailable(f"{self.place.where} {_REFUSES['NOPERM']}")
        if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
            return StoreUnavailable(f"{self.place.where} does not accept the user or the password")
        if isinstance(error, exceptions.TimeoutError):
            return StoreUnavailable(f"{self.place.where} did not answer within {self.place.timeout_s:g} s")
        if isinstance(error, exceptions.BusyLoadingError):  # its code is not in its text
            return StoreUnavailable(f"{self.place.where} {_REFUSES['LOADING']}; make no call")
        if isinstance(error, exceptions.ConnectionError):
            return StoreUnavailable(f"{self.place.where} cannot be reached; make no call")
        return StoreUnavailable(f"{self.place.where} refuses the request: {text:.200}; make no call")
