"""Bookings that could not be delivered: kept in order, and sent again until they land."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ...errors import BursarError
from ...log import logger
from ...window import calendar
from ..base import StalePeriod
from .exchange import ROLLED_BACK_OR_DOWN
from .requests import Request, Requests

_MOST = 10_000
_GIVEN_UP_S = 86_400
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.1, 2.0


class Mailbox:
    """Requests that wait for a store that is down. What a hold set aside counts until then.

    Args:
        requests: makes a request anew, with another calendar.
        ask: sends one, blocking.
    """

    def __init__(self, requests: Requests, ask: Callable[[Request], Any]) -> None:
        self._requests = requests
        self._ask = ask
        self.renew()

    def renew(self) -> None:
        """Empty; also in a forked child, whose parent delivers what it has."""
        self._letters: deque[tuple[float, Request, tuple[Any, ...]]] = deque()
        self._delivering = threading.Lock()
        self._lock = threading.Lock()
        self._postman: threading.Thread | None = None
        self._wake = threading.Event()

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, request: Request, arguments: tuple[Any, ...] = ()) -> bool:
        """Keep a request, and the arguments of its verb; False when there are too many."""
        with self._lock:
            if len(self._letters) >= _MOST:
                return False
            self._letters.append((time.monotonic(), request, arguments))
            if self._postman is None:
                self._postman = threading.Thread(target=self._work, name="bursar-redis", daemon=True)
                self._postman.start()
        return True

    def deliver(self) -> None:
        """Send what waits, in its order; somebody else may be doing so.

        Raises:
            StoreError: the store is still down, or has lost data.
        """
        if not self._letters or not self._delivering.acquire(blocking=False):
            return
        try:
            while self._letters:
                since_s, request, arguments = self._letters[0]
                if time.monotonic() - since_s > _GIVEN_UP_S:
                    logger.error("a %s could not be delivered for a day, and is given up", request.verb)
                else:
                    self._send(request, arguments)
                self._letters.popleft()
        finally:
            self._delivering.release()

    def _send(self, request: Request, arguments: tuple[Any, ...]) -> None:
        try:
            answer = self._ask(request)
            if isinstance(answer, StalePeriod):  # a charge without a hold, over a limit of a later day
                entry, *terms = arguments
                entry = entry._replace(periods={tz: calendar(answer.now_ms, tz) for tz in answer.zones})
                self._ask(getattr(self._requests, request.verb)(entry, *terms))
        except ROLLED_BACK_OR_DOWN:
            raise
        except BursarError as error:  # for good: another try would say the same
            logger.error("a late %s was not booked: %s", request.verb, error)

    def _work(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            self._wake.wait(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            try:
                self.deliver()
            except BursarError as error:
                logger.warning("%d bookings wait for the store: %s", len(self._letters), error)
            with self._lock:
                if not self._letters:
                    self._postman = None
                    return
