"""A store with the windows that most others have."""

from __future__ import annotations

from bursar import MemoryStore
from bursar.store.base import Entry, StalePeriod
from bursar.store.lanes import Lane
from bursar.store.spans import Rolling
from bursar.store.verbs import Verbs
from bursar.testing import ManualClock


class RestartingVerbs(Verbs):
    """Rolling windows are fixed ones: every hour begins at nothing, whatever the last minute spent."""

    def _refresh(self, lane: Lane, entry: Entry, now_ms: int) -> StalePeriod | None:
        for rule in lane.windows:
            if isinstance(rule.span, Rolling):
                restart(rule.span, now_ms)
        return super()._refresh(lane, entry, now_ms)


def restart(span: Rolling, now_ms: int) -> None:
    """Forget what was spent before the window that has begun last."""
    began = now_ms // span.span_ms * span.span_ms // span.width_ms
    span.buckets = {bucket: spent for bucket, spent in span.buckets.items() if bucket >= began}
    span.spent = sum(span.buckets.values())


class Restarting(MemoryStore):
    """It, in memory."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._verbs = RestartingVerbs()
