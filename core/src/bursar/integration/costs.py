"""What each run of a framework cost: a run is what the caller started, with all that it started in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from decimal import Decimal
from typing import Any

from ..ledger.hold import Hold
from .lock import Lock

_RUNS_KEPT = 1_000  # the newest, for the report
_OPEN_KEPT = 10_000  # frameworks do not tell the end of every run


class Tally:
    """The cost of one run: a chain, a task, a tool, a model, and what is below it.

    Attributes:
        key: the framework's id of the run.
        name: the framework's name of it.
        outer: the run that started this one, or None.
        metadata: the framework's, of the run, or None.
        calls: of models.
    """

    def __init__(
        self, lock: Lock, key: Hashable, name: str, outer: Tally | None, metadata: object = None
    ) -> None:
        self._lock = lock
        self._known = Decimal(0)
        self._open: dict[str, Hold] = {}  # calls that have no final cost yet
        self.key = key
        self.name = name
        self.outer = outer
        self.metadata = metadata
        self.calls = 0

    def pays(self, hold: Hold) -> None:
        """Count a call here and in all runs around this one."""
        with self._lock:
            for tally in self._outwards():
                tally._open[hold.id] = hold
                tally.calls += hold.call.kind == "model"

    @property
    def cost(self) -> Decimal:
        """USD, as far as the calls have ended."""
        with self._lock:
            unsettled = Decimal(0)
            for key, hold in list(self._open.items()):
                if hold.charge is None:
                    if hold.state == "released":
                        del self._open[key]
                elif hold.state == "settled":
                    self._known += hold.charge.cost
                    del self._open[key]
                else:
                    unsettled += hold.charge.cost  # in doubt: a late end may correct it
            return self._known + unsettled

    def _outwards(self) -> Iterator[Tally]:
        tally: Tally | None = self
        while tally is not None:
            yield tally
            tally = tally.outer


class Costs:
    """The tallies of one adapter. Safe for threads and tasks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[Hashable, Tally] = {}
        self._runs: deque[Tally] = deque(maxlen=_RUNS_KEPT)

    def open(self, key: Hashable, outer: Hashable | None, name: object, metadata: object = None) -> Tally:
        """A run begins."""
        with self._lock:
            around = self._open.get(outer) if outer is not None else None
            tally = Tally(self._lock, key, str(name)[:200], around, metadata)
            self._open[key] = tally
            if around is None:
                self._runs.append(tally)
            if len(self._open) > _OPEN_KEPT:
                del self._open[next(iter(self._open))]
        return tally

    def close(self, key: Hashable) -> Tally | None:
        """A run is over. If it was left, the collector may have come here amid a sum of this module."""
        with self._lock:
            return self._open.pop(key, None)

    def report(self) -> list[dict[str, Any]]:
        """The newest runs, oldest first: ``run_id``, ``name``, ``total_spent`` in USD; ``calls``."""
        with self._lock:
            runs = list(self._runs)
        return [
            {"run_id": str(run.key), "name": run.name, "total_spent": float(run.cost), "calls": run.calls}
            for run in runs
        ]
