"""The alerts of the toy store: a list for each tree."""

from __future__ import annotations

from bursar.store import MOST_AT_ONCE, AlertPage, Booked, Entry, Granted, Refused, StoredAlert, alerts_of

from .toy_lines import DAY_MS, Lines

MOST = 1_000


class Alerts(Lines):
    """What is told, and since when it is due."""

    told: dict[str, list[StoredAlert]]
    forgotten: dict[str, int]
    due: dict[str, int]

    def keep(self, answer: Granted | Refused | Booked, entry: Entry) -> None:
        """Note what an answer has to tell."""
        root = entry.path[0].key
        told = self.told.setdefault(root, [])
        for alert in alerts_of(answer, entry, self.now_ms):
            told.append(alert)
            self.due[alert.id] = self.now_ms
        over = max(0, len(told) - MOST)
        del told[:over]
        self.forgotten[root] = self.forgotten.get(root, 0) + over

    def listed(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> AlertPage:
        """Some of them, the oldest first."""
        first = max(0, int(after or 0) - self.forgotten.get(root, 0))
        found = self.told.get(root, [])[first : first + min(limit, MOST_AT_ONCE)]
        last = str(self.forgotten.get(root, 0) + first + len(found)) if found else after
        return AlertPage(self.now(), tuple(alert._replace(due=alert.id in self.due) for alert in found), last)

    def claimed(self, root: str, idle_ms: int, limit: int = MOST_AT_ONCE) -> tuple[StoredAlert, ...]:
        """Those that are due for long."""
        now, found = self.now(), []
        for alert in self.told.get(root, []):
            if self.due.get(alert.id, now) <= now - idle_ms and len(found) < limit:
                del self.due[alert.id]
                if alert.at_ms > now - DAY_MS:
                    self.due[alert.id] = now
                    found.append(alert)
        return tuple(found)
