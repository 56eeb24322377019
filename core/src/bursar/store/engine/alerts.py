"""`AlertList`: the newest alerts of each tree, and which of them nobody has delivered yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from ..alerts import AlertPage, StoredAlert
from ..views import MOST_AT_ONCE
from .constants import ALERT_DUE_MS, MOST_ALERTS
from .plan import Plan


@dataclass(slots=True)
class Kept:
    """One alert of a tree.

    Attributes:
        number: later ones have higher numbers.
        alert: what is told.
        due_ms: since when it is due, or was claimed last; None once it is delivered.
    """

    number: int
    alert: StoredAlert
    due_ms: int | None

    def shown(self) -> StoredAlert:
        """As readers see it."""
        return self.alert._replace(due=self.due_ms is not None)


class AlertList:
    """The alerts of all trees, in memory."""

    def __init__(self) -> None:
        self._trees: dict[str, dict[str, Kept]] = {}  # by root and id, the oldest first
        self._count = 0

    def add(self, plan: Plan, root: str, alerts: Iterable[StoredAlert]) -> None:
        """Keep what an answer has to tell, and forget the oldest where there are too many."""
        for alert in alerts:
            self._count += 1
            plan.put(self._trees.setdefault(root, {}), alert.id, Kept(self._count, alert, due_ms=alert.at_ms))
            plan.call(self._trim, root)

    def page(self, now_ms: int, root: str, after: str, limit: int) -> AlertPage:
        """Some alerts, the oldest first; see `HasAlerts.alerts`."""
        first = int(after or 0) + 1
        later = (kept for kept in self._trees.get(root, {}).values() if kept.number >= first)
        found = tuple(islice(later, min(limit, MOST_AT_ONCE)))
        return AlertPage(
            now_ms, tuple(kept.shown() for kept in found), str(found[-1].number) if found else after
        )

    def claim(self, plan: Plan, now_ms: int, root: str, idle_ms: int, limit: int) -> tuple[StoredAlert, ...]:
        """Those that have been due for long; they are due anew, and those of yesterday no more."""
        idle = (
            kept
            for kept in self._trees.get(root, {}).values()
            if kept.due_ms is not None and kept.due_ms <= now_ms - idle_ms
        )
        found = tuple(islice(idle, min(limit, MOST_AT_ONCE)))
        for kept in found:
            over = kept.alert.at_ms <= now_ms - ALERT_DUE_MS
            plan.set(kept, "due_ms", None if over else now_ms)
        return tuple(kept.alert for kept in found if kept.alert.at_ms > now_ms - ALERT_DUE_MS)

    def deliver(self, plan: Plan, root: str, ids: Iterable[str]) -> None:
        """These are due no more."""
        known = self._trees.get(root, {})
        for id in ids:
            if id in known:
                plan.set(known[id], "due_ms", None)

    def _trim(self, root: str) -> None:
        kept = self._trees[root]
        while len(kept) > MOST_ALERTS:
            del kept[next(iter(kept))]
