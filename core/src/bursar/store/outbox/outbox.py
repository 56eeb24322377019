"""`Outbox`: bookings that a store did not take, kept in order and sent again until they land."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal
from weakref import WeakKeyDictionary

from ...errors import BursarError, LedgerRolledBack, StoreUnavailable
from ...runtime.ids import new_id
from ...runtime.log import logger
from ...values.window import calendar
from ..entry import Entry
from ..results import Booked, StalePeriod
from ..undelivered import Listener, Trouble
from .messages import Message
from .spool import Spool

MAY_PASS = (StoreUnavailable, LedgerRolledBack)  # another try may say something else

_MOST = 10_000
_GIVEN_UP_S = 86_400  # as long as a store knows the ids that it has seen
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.1, 2.0


class _Box:
    """The messages to one tree."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.busy = threading.Lock()
        self.news: deque[Trouble | tuple[Entry, Booked]] = deque()
        self.adopted = False  # some are of another process, which may still deliver them
        self.told = False  # that they wait
        self.landed = 0


class Outbox:
    """Messages to a store that is down, by tree. What a hold set aside counts until they land.

    A thread sends them, and tells those who listen; it lives for as long as there are any.

    Args:
        send: carries out a message, and returns what its verb answered.
        spool: keeps them on disk, too. What an earlier process left there is taken over.
    """

    def __init__(self, send: Callable[[Message], Any], spool: Spool | None = None) -> None:
        self._send = send
        self._spool = spool
        self._listeners: WeakKeyDictionary[Listener, str] = WeakKeyDictionary()
        self.renew()
        if spool is not None:
            for message in spool.left():
                self._put(message, adopted=True)

    def renew(self) -> None:
        """Empty; also in a forked child, whose parent delivers what it has."""
        self._boxes: dict[str, _Box] = {}
        self._lock = threading.Lock()
        self._deliverer: threading.Thread | None = None
        self._wake = threading.Event()

    def __len__(self) -> int:
        return sum(len(box.messages) for box in tuple(self._boxes.values()))

    def listen(self, root: str, listener: Listener) -> None:
        """Tell what happens to the messages of a tree, for as long as somebody else keeps the listener."""
        self._listeners[listener] = root

    def put(self, message: Message) -> bool:
        """Keep a message; False when there are too many."""
        if len(self) >= _MOST:
            return False
        if self._spool is not None:
            try:
                self._spool.keep(message)
            except OSError as error:  # it waits in memory like those of everybody without a spool
                logger.error("a booking waits in memory only, the spool fails: %s", error.strerror or error)
        return self._put(message)

    def _put(self, message: Message, *, adopted: bool = False) -> bool:
        with self._lock:
            if len(self) >= _MOST:
                return False
            box = self._boxes.setdefault(message.root, _Box())
            box.adopted = box.adopted or adopted
            box.messages.append(message)
            if self._deliverer is None:
                self._deliverer = threading.Thread(target=self._work, name="bursar-outbox", daemon=True)
                self._deliverer.start()
        return True

    def deliver(self, root: str, within_s: float | None = None) -> None:
        """Send what waits for a tree, in its order; somebody else may be doing so.

        Args:
            root: the key of the root of the tree.
            within_s: begin no more after this many seconds.

        Raises:
            StoreError: the store is still down, or has lost data.
        """
        box = self._boxes.get(root)
        if box is None or not box.messages or not box.busy.acquire(blocking=False):
            return
        began_s = time.monotonic()
        try:
            done = self._delivered_by_others(box)
            while box.messages and (within_s is None or time.monotonic() - began_s < within_s):
                message = box.messages[0]
                if message.nonce in done:
                    pass
                elif message.waited_s() > _GIVEN_UP_S:
                    self._lose(box, message, "given_up", "nobody could deliver it for a day")
                else:
                    self._hand_over(box, message)
                self._strike(message)
                box.messages.popleft()
        finally:
            box.busy.release()

    def _hand_over(self, box: _Box, message: Message) -> None:
        try:
            answer = self._send(message)
            if isinstance(answer, StalePeriod):  # a charge without a hold, over a limit of a later day
                entry, *terms = message.arguments
                entry = entry._replace(periods={tz: calendar(answer.now_ms, tz) for tz in answer.zones})
                answer = self._send(Message(message.verb, (entry, *terms), new_id()))
        except MAY_PASS:
            raise
        except BursarError as error:  # for good: another try would say the same
            self._lose(box, message, "refused", str(error))
        else:
            box.landed += 1
            if isinstance(answer, Booked) and answer.news:
                box.news.append((message.arguments[0], answer))

    def _lose(self, box: _Box, message: Message, what: Literal["given_up", "refused"], why: str) -> None:
        logger.error("a late %s is %s: %s", message.verb, what.replace("_", " "), why)
        last = box.news[-1] if box.news else None
        if isinstance(last, Trouble) and last.what == what:
            box.news[-1] = Trouble(what, last.account, last.count + 1, last.why)
        else:
            box.news.append(Trouble(what, message.account, 1, f"{message.verb}: {why}"))

    # -- on disk -------------------------------------------------------------------------

    def _delivered_by_others(self, box: _Box) -> frozenset[str]:
        if self._spool is None or not box.adopted:
            return frozenset()
        box.adopted = False
        try:
            return frozenset(self._spool.struck())
        except OSError:
            return frozenset()  # a second delivery is harmless

    def _strike(self, message: Message) -> None:
        if self._spool is None:
            return
        try:
            self._spool.strike(message)
            if len(self) == 1:
                self._spool.tidy()
        except OSError as error:
            logger.error("the spool fails: %s", error.strerror or error)

    # -- the thread ----------------------------------------------------------------------

    def _work(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            self._wake.wait(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            for root, box in tuple(self._boxes.items()):
                try:
                    self.deliver(root)
                except Exception as error:
                    self._say_that_they_wait(root, box, error)
                self._tell(root, box)
            with self._lock:
                for root, box in tuple(self._boxes.items()):
                    if not (box.messages or box.news or box.told):
                        del self._boxes[root]
                if not self._boxes:
                    self._deliverer = None
                    return

    def _say_that_they_wait(self, root: str, box: _Box, error: Exception) -> None:
        count = len(box.messages)
        logger.warning("%d bookings wait for the store: %s", count, error)
        if not box.told and count:
            box.told, box.landed = True, 0
            self._announce(root, Trouble("wait", box.messages[0].account, count, str(error)))

    def _tell(self, root: str, box: _Box) -> None:
        while box.news:
            self._announce(root, box.news.popleft())
        if box.told and not box.messages:
            box.told = False
            self._announce(root, Trouble("landed", root, box.landed, "the store is back"))

    def _announce(self, root: str, news: Trouble | tuple[Entry, Booked]) -> None:
        for listener, of in tuple(self._listeners.items()):
            if of != root:
                continue
            try:
                if isinstance(news, Trouble):
                    listener.trouble(news)
                else:
                    listener.late(*news)
            except Exception as error:
                logger.error("an alert of late bookings could not be sent: %s", error)
