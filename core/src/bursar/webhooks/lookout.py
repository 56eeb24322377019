"""`Lookout`: one thread of the process that looks, again and again, for alerts that are due."""

from __future__ import annotations

import threading
from contextlib import suppress
from random import Random
from typing import Protocol
from weakref import WeakSet

from ..runtime.fork import first_in_child
from ..runtime.log import logger

_PAUSE_S = (8.0, 12.0)  # between two looks
_dice = Random()  # noqa: S311 - spreads looks, hides nothing; the program's own dice are left alone


class Looks(Protocol):
    """Whoever the thread looks for."""

    def look(self) -> None:
        """See what is due."""
        ...

    def renew(self) -> None:
        """Begin anew, in a forked child."""
        ...


class Lookout:
    """A daemon thread that lives for as long as there is somebody to look for; it keeps nobody alive."""

    def __init__(self) -> None:
        self._known: WeakSet[Looks] = WeakSet()
        self.renew()

    def renew(self) -> None:
        """In a forked child: the thread is the parent's, which goes on to look."""
        self._lock = threading.Lock()
        self._new = threading.Event()  # somebody was not looked for yet
        self._thread: threading.Thread | None = None
        for one in tuple(self._known):
            one.renew()

    def add(self, one: Looks) -> None:
        """Look for one more; at once where it is new."""
        with self._lock:
            if one not in self._known:
                self._known.add(one)
                self._new.set()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="bursar-due", daemon=True)
                with suppress(RuntimeError):  # the interpreter ends
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        while True:
            with self._lock:
                self._new.clear()
                waiting = list(self._known)
                if not waiting:
                    self._thread = None
                    return
            while waiting:
                try:
                    waiting.pop().look()
                except Exception as error:
                    logger.debug("nobody could look for alerts that are due: %s", error)
            self._new.wait(_dice.uniform(*_PAUSE_S))


lookout = Lookout()
first_in_child(lookout.renew)
