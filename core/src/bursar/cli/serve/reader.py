"""Reads a store for all open pages at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ...ledger.steps import Steps
from ...redaction import redacted
from ...reports.page import Page
from ...store.base import Store

PAUSE_S = 0.5  # between the beginnings of two steps of the store


class Told(NamedTuple):
    """What the pages are told.

    Attributes:
        number: of this news; each is larger than the one before.
        title: of the page, as text.
        body: of the page, as HTML.
        trouble: why the store could not be read, else nothing; then there is no title and no body.
    """

    number: int
    title: str
    body: str
    trouble: str


class Reader:
    """One thread that reads while pages are open, at most two steps a second; none where no page is.

    Args:
        look: the steps of one round, which end with the page.
        store: carries them out.
        pause_s: at least, between the beginnings of two steps.
    """

    def __init__(self, look: Callable[[], Steps[Page]], store: Store, pause_s: float = PAUSE_S) -> None:
        self._look, self._store, self._pause_s = look, store, pause_s
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pages = 0
        self._next_s = 0.0
        self._told: Told | None = None
        self._number = 0
        self.ended = False

    @contextmanager
    def page(self) -> Iterator[None]:
        """A page is open meanwhile."""
        with self._changed:
            self._pages += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bursar-serve", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._pages -= 1
                self._changed.notify_all()

    def news(self, after: int, timeout_s: float) -> Told | None:
        """The newest there is after a number; None where there is none in time, or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self._is_after(after), timeout_s)
            return self._told if not self.ended and self._is_after(after) else None

    def end(self, timeout_s: float = 2) -> None:
        """Let the open pages end, and wait for them for some seconds."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._pages and self._thread is None, timeout_s)

    def _is_after(self, number: int) -> bool:
        return self._told is not None and self._told.number > number

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._pages:
                    self._thread = self._told = None  # whoever comes next wants what is then
                    self._changed.notify_all()
                    return
            self._tell()

    def _tell(self) -> None:
        """Read once, and tell what came of it."""
        try:
            page = self._round()
            if page is None:
                return
            told = Told(self._number + 1, page.title, page.body(), "")
        except Exception as error:
            trouble = f"The store could not be read: {redacted(str(error))}"
            told = Told(self._number + 1, "", "", trouble)
        with self._changed:
            self._told, self._number = told, told.number
            self._changed.notify_all()

    def _round(self) -> Page | None:
        """The page, or None where nobody looks any more."""
        steps = self._look()
        try:
            verb, *arguments = next(steps)
            while self._may_go_on():
                verb, *arguments = steps.send(getattr(self._store, verb)(*arguments))
        except StopIteration as done:
            page: Page = done.value
            return page
        return None

    def _may_go_on(self) -> bool:
        """Wait for the time of the next step; False where nobody looks any more."""
        with self._changed:
            wait_s = self._next_s - time.monotonic()
            if self._changed.wait_for(lambda: not self._pages, max(0.0, wait_s)):
                return False
            self._next_s = time.monotonic() + self._pause_s
            return True
