"""A store with the windows that most others have."""

from __future__ import annotations

from typing import Any

from bursar import MemoryStore
from bursar.store.base import Entry
from bursar.store.books import Line
from bursar.store.spans import Rolling
from bursar.testing import ManualClock


class Restarting(MemoryStore):
    """Its rolling windows are fixed ones: every hour begins at nothing, whatever the last minute spent."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._began: dict[Rolling, int] = {}

    def _rules(self, line: Line, entry: Entry, now_ms: int) -> Any:
        for rule in self._accounts.rules(line):
            if isinstance(rule.span, Rolling):
                self._restart(rule.span, now_ms // rule.span.span_ms)
        return super()._rules(line, entry, now_ms)

    def _restart(self, span: Rolling, number: int) -> None:
        """Forget everything when the next window begins."""
        if self._began.get(span) != number:
            self._began[span] = number
            span.buckets, span.spent = {}, 0
