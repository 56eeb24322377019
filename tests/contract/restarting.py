"""A store with the windows that most others have."""

from __future__ import annotations

from bursar.store.engine.paths import CallPath
from bursar.store.engine.verbs import Verbs
from bursar.store.engine.windows import Rolling
from bursar.store.entry import Entry
from bursar.store.memory import MemoryStore
from bursar.store.results import StalePeriod
from bursar.testing import ManualClock


class RestartingVerbs(Verbs):
    """Rolling windows are fixed ones: every hour begins at nothing, whatever the last minute spent."""

    def _refresh(self, call_path: CallPath, entry: Entry, now_ms: int) -> StalePeriod | None:
        for rule in call_path.windows:
            if isinstance(rule.window, Rolling):
                restart(rule.window, now_ms)
        return super()._refresh(call_path, entry, now_ms)


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
