"""A store with the windows that most others have."""

from __future__ import annotations

from bursar import MemoryStore
from bursar.store.base import Entry, StalePeriod
from bursar.store.lanes import Lane
from bursar.store.spans import Rolling
from bursar.testing import ManualClock


class Restarting(MemoryStore):
    """Its rolling windows are fixed ones: every hour begins at nothing, whatever the last minute spent."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._began: dict[Rolling, int] = {}

    def _refresh(self, lane: Lane, entry: Entry, now_ms: int) -> StalePeriod | None:
        for rule in lane.windows:
            if isinstance(rule.span, Rolling):
                self._restart(rule.span, now_ms // rule.span.span_ms)
        return super()._refresh(lane, entry, now_ms)

    def _restart(self, span: Rolling, number: int) -> None:
        """Forget everything when the next window begins."""
        if self._began.get(span) != number:
            self._began[span] = number
            span.buckets, span.spent = {}, 0
