"""Sends a request and reads its answer: one body for the blocking and the awaiting client."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

from redis import exceptions

from ...errors import StoreUnavailable
from ...runtime.clock import Clock
from ...runtime.ids import new_id
from ..rollback import Seen
from . import script
from .refusals import OutOfTime, code_of, failure, untrusted
from .requests import RedisRequest
from .routes import Command, routes
from .url import Node, Place


class Unanswered(StoreUnavailable):
    """It was sent, and may have been applied."""


# Yields a command to send or a time to wait in seconds; is sent the answer, or thrown redis-py's error.
Exchange = Generator["Command | float", Any, Any]

_TRIES = 4  # that fit into the timeout when nobody answers at all
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.005, 0.2
_REDIRECTS = 3  # that are followed at once


class Exchanges:
    """What all requests of a store share.

    Args:
        place: the server.
        clock: gives the time instead of the server.
    """

    def __init__(self, place: Place, clock: Clock | None) -> None:
        self.place = place
        self.try_s = place.timeout_s / _TRIES
        self.routes = routes(place)
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

    def exchange(self, request: RedisRequest) -> Exchange:
        """Send a request until it is answered, and no longer than the timeout.

        Raises:
            StoreUnavailable: no answer; `Unanswered` where it may have been applied.
        """
        seen = self._seen.get(request.root, Seen())
        head = (
            request.verb,
            request.nonce,
            "" if self._clock is None else str(self.now_ms()),
            seen.id,
            str(seen.seq),
            str(seen.ack),
            seen.nonce,
            self.place.ledger,
            new_id(),
        )
        keys = (len(request.keys), *request.keys)
        answer = yield from self.send(
            ("EVALSHA", script.sha(), *keys, *head, *request.words),
            ("EVAL", script.source(), *keys, *head, *request.words),
            request.keys[0],
        )
        id, seq, ack, nonce, now_ms, *lines = answer.split("\n")
        if id and lines[0] != "rolled_back":
            with self._lock:
                known = self._seen.get(request.root, Seen())
                self._seen[request.root] = known.after(Seen(id, int(seq), int(ack), nonce))
        return request.read(lines, int(now_ms))

    def send(
        self,
        command: tuple[Any, ...],
        in_full: tuple[Any, ...] | None = None,
        key: str = "",
        to: Node | None = None,
    ) -> Exchange:
        """Send a command again and again until it is answered, within the timeout.

        Args:
            command: what to send.
            in_full: what to send where the server does not know the script.
            key: one of its keys; a command without one goes to any server.
            to: or to this one.

        Raises:
            StoreUnavailable: no answer.
        """
        deadline, pause_s = time.monotonic() + self.place.timeout_s, _FIRST_PAUSE_S
        sent, redirects, there = False, 0, None
        before: exceptions.RedisError | None = None
        while True:
            node = None
            try:
                if there is None:
                    node = to or (yield from self.routes.find(key, deadline - 2 * self.try_s))
                    there = Command(node, ())
                node, answer = there.node, there._replace(words=command)
                return (yield answer)
            except exceptions.RedisError as error:
                if isinstance(error, exceptions.NoScriptError) and in_full is not None:
                    command, in_full = in_full, None
                    continue
                there = self.routes.redirected(key, node, error) if node is not None else None
                if there is not None:
                    redirects += 1
                    if redirects <= _REDIRECTS:
                        continue
                    error = exceptions.TryAgainError(str(error))  # it is in the midst of a move
                there = None
                again, lost = self._judge(error, node)
                if again and node is not None:
                    self.routes.failed(key, node)
                if not again or time.monotonic() + pause_s + self.try_s > deadline:
                    if before is not None and isinstance(error, OutOfTime):
                        error = before
                    refused = failure(error, self.place.where, self.place.timeout_s)
                    raise (Unanswered(str(refused)) if sent or lost else refused) from error
                sent = sent or lost
                before = before if isinstance(error, OutOfTime) else error
                yield pause_s
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    def _judge(self, error: Exception, node: Node | None) -> tuple[bool, bool]:
        """Whether another try may help, and whether the failed request may have been carried out."""
        if code_of(error) in self.routes.again:
            return True, False
        if not isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
            return False, False
        lost = node is not None and not any(word in str(error) for word in ("connecting to", "loading"))
        locked = isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError)
        return not locked and not untrusted(error), lost
