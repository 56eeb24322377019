"""What stores outside this process share: each verb is a request, and an outbox keeps what waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..runtime.fork import OneProcess
from ..values.amounts import Amounts
from ..values.limits import Limit
from ..values.policy import Terms
from .alerts import AlertPage, StoredAlert
from .base import Store
from .entry import PLAIN, Ask, Entry, Path
from .outbox.outbox import Outbox
from .results import Booked, Contended, Granted, Refused, StalePeriod
from .undelivered import Listener
from .views import MOST_AT_ONCE, Finding, HistoryView, HoldPage, SessionPage, Snapshot


def completed(verb: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """All arguments of a verb of `Store`; those that were left out at their defaults.

    Raises:
        AttributeError: there is no such verb.
    """
    method = getattr(RemoteStore, verb)
    missing = method.__code__.co_argcount - 1 - len(arguments)
    return (*arguments, *method.__defaults__[-missing:]) if missing > 0 else arguments


class RemoteStore(OneProcess, Store):
    """A store that carries out every verb in one way."""

    _outbox: Outbox

    def _ask(self, verb: str, *arguments: Any) -> Any:
        """Carry out a verb, by its name."""
        raise NotImplementedError

    @property
    def undelivered(self) -> int:
        """Bookings that wait for the store to come back."""
        return len(self._outbox)

    def on_trouble(self, root: str, listener: Listener) -> None:
        """Tell the listener when bookings of a tree wait, land, or are lost."""
        self._outbox.listen(root, listener)

    def reserve(
        self,
        entry: Entry,
        minimum: Amounts,
        terms: Terms = PLAIN,
        floor: Amounts | None = None,
        ask: Ask = "last",
    ) -> Granted | Contended | Refused | StalePeriod:
        answer = self._ask("reserve", entry, minimum, terms, floor, ask)
        return cast("Granted | Contended | Refused | StalePeriod", answer)

    def probe(
        self, entry: Entry, minimum: Amounts, terms: Terms = PLAIN, floor: Amounts | None = None
    ) -> Granted | Refused | StalePeriod:
        return cast("Granted | Refused | StalePeriod", self._ask("probe", entry, minimum, terms, floor))

    def settle(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return cast("Booked | StalePeriod", self._ask("settle", entry, terms))

    def book(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return cast("Booked | StalePeriod", self._ask("book", entry, terms))

    def doubt(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return cast("Booked | StalePeriod", self._ask("doubt", entry, terms))

    def release(self, id: str, path: Path, tally: Mapping[str, int]) -> None:
        self._ask("release", id, path, tally)

    def extend(self, id: str, path: Path, lease_ms: int) -> None:
        self._ask("extend", id, path, lease_ms)

    def set_limit(self, path: Path, limit: Limit) -> None:
        self._ask("set_limit", path, limit)

    def drop_limit(self, path: Path, limit: Limit) -> None:
        self._ask("drop_limit", path, limit)

    def trip(self, path: Path, reason: str) -> None:
        self._ask("trip", path, reason)

    def untrip(self, path: Path, reason: str) -> None:
        self._ask("untrip", path, reason)

    def reset(self, path: Path, reason: str) -> None:
        self._ask("reset", path, reason)

    def acknowledge(self, root: str, reason: str) -> None:
        self._ask("acknowledge", root, reason)

    def end(self, root: str, keys: tuple[str, ...]) -> None:
        self._ask("end", root, keys)

    def read(self, key: str, keys: tuple[str, ...] | None = None) -> Snapshot:
        return cast("Snapshot", self._ask("read", key, keys))

    def sessions(self, key: str, after: str = "", limit: int = MOST_AT_ONCE) -> SessionPage:
        return cast("SessionPage", self._ask("sessions", key, after, limit))

    def holds(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> HoldPage:
        """The open holds of a tree, those first whose leases end first; see `HasHolds`."""
        return cast("HoldPage", self._ask("holds", root, after, limit))

    def history(self, root: str, keys: tuple[str, ...], days: int, tz: str = "UTC") -> HistoryView:
        """What was booked in budgets, day by day; see `HasHistory`."""
        return cast("HistoryView", self._ask("history", root, keys, days, tz))

    def alerts(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> AlertPage:
        """The alerts of a tree, the oldest first; see `HasAlerts`."""
        return cast("AlertPage", self._ask("alerts", root, after, limit))

    def claim(self, root: str, idle_ms: int, limit: int = MOST_AT_ONCE) -> tuple[StoredAlert, ...]:
        """Alerts that have been due for longer than that; see `HasAlerts`."""
        return cast("tuple[StoredAlert, ...]", self._ask("claim", root, idle_ms, limit))

    def delivered(self, root: str, ids: tuple[str, ...]) -> None:
        """These alerts are due no more; see `HasAlerts`."""
        self._ask("delivered", root, ids)

    def roots(self) -> tuple[str, ...]:
        """The keys of the roots of all trees; see `HasRoots`."""
        return cast("tuple[str, ...]", self._ask("roots"))

    def audit(self, root: str) -> tuple[Finding, ...]:
        return cast("tuple[Finding, ...]", self._ask("audit", root))
