"""Alerts: a limit is near, reached or passed; and the listeners that are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..redaction import redacted
from ..runtime.ids import new_id
from ..store.alerts import StoredAlert, alerts_of
from ..store.entry import Entry, Path
from ..store.results import Booked, Granted, Refused
from ..store.undelivered import Trouble
from ..store.views import Snapshot
from ..values.account import shown_key
from ..values.amounts import NOTHING
from ..values.call import Call, Subject
from ..values.money import show_usd, to_usd
from ..values.policy import WHOLE_PPM
from .alert import Alert, AlertKind, AlertLevel
from .balance import account_views
from .listeners import AlertCallback, Listeners
from .report import build_report

_WARNINGS = ("soft_limit", "overrun")

_TROUBLES = {
    "wait": "bookings that wait for the store: {n}; each counts at its hold until it lands: {why}",
    "landed": "bookings that waited and have landed in the store: {n}",
    "given_up": "bookings that are given up: {n}; each hold stays booked at its worst case: {why}",
    "refused": "late bookings that the store refused: {n}: {why}",
}


class Alerts:
    """Turns what a store answers into alerts, and hands them to whoever listens.

    Args:
        listeners: who listens; see `Listeners`.
        durability: tells that of the store, for the reports.
    """

    def __init__(self, listeners: Listeners, durability: Callable[[], str]) -> None:
        self._listeners = listeners
        self._durability = durability

    def listen(self, listener: AlertCallback) -> None:
        """Hand every alert from now on to one more."""
        self._listeners.add(listener)

    def send(self, answer: Granted | Refused | Booked, path: Path, call: Call, snapshot: Snapshot) -> None:
        """Tell what an answer of the store has to tell.

        Args:
            answer: with marks, a first refusal, or an overrun.
            path: the accounts that it is about.
            call: what was asked for.
            snapshot: the tree after it.
        """
        models = () if call.model is None else (call.model,)
        entry = Entry(call.id, path, Subject(call.kind, models, call.provider, call.tool), NOTHING)
        for stored in alerts_of(answer, entry, snapshot.now_ms):
            self._listeners.tell(self.alert(stored, path, snapshot))

    def alert(self, stored: StoredAlert, path: Path, snapshot: Snapshot) -> Alert:
        """What people are told of an alert of the store.

        Args:
            stored: the alert.
            path: accounts from the root, among them that of the alert.
            snapshot: the tree since then.
        """
        limit, spent, ppm = stored.limit, stored.spent, stored.fraction_ppm
        warns = stored.kind in _WARNINGS and ppm != WHOLE_PPM
        view = snapshot.accounts.get(stored.account)
        alert = Alert(
            id=stored.id,
            kind=AlertKind(stored.kind),
            level=AlertLevel.WARNING if warns else AlertLevel.CRITICAL,
            message=redacted(_message(stored, stopped=view is None or view.circuit != "closed")),
            account=redacted(shown_key(stored.account)),
            limit=None if limit is None else redacted(str(limit)),
            threshold=None if ppm is None else ppm / WHOLE_PPM,
            fraction=spent / limit.amount if limit is not None and limit.amount else None,
            spent=to_usd(spent) if limit is None or limit.unit == "usd" else spent,
            at=stored.at_ms / 1000,
        )
        report = self._report(stored.account, path, snapshot)
        return replace(alert, report=report | {"alert": alert.facts()})

    def trouble(self, trouble: Trouble, at: float) -> None:
        """Tell that bookings wait for the store, have landed, or are lost.

        Args:
            trouble: what became of them.
            at: seconds since the epoch.
        """
        level = AlertLevel.WARNING if trouble.what in ("wait", "landed") else AlertLevel.CRITICAL
        message = _TROUBLES[trouble.what].format(n=trouble.count, why=trouble.why)
        self._tell_trouble(level, message, shown_key(trouble.account), at)

    def lost(self, count: int, webhook: str, at: float) -> None:
        """Tell that alerts found no room in the queue of a webhook.

        Args:
            count: how many.
            webhook: its address.
            at: seconds since the epoch.
        """
        message = f"alerts that the webhook {webhook} was not told of, since too many waited: {count}"
        self._tell_trouble(AlertLevel.CRITICAL, message, "", at)

    def _tell_trouble(self, level: AlertLevel, message: str, account: str, at: float) -> None:
        told, where = redacted(message), redacted(account)
        alert = Alert(new_id(), AlertKind.STORE_TROUBLE, level, told, where, at=at)
        self._listeners.tell(replace(alert, report={"alert": alert.facts()}))

    def _report(self, key: str, path: Path, snapshot: Snapshot) -> dict[str, Any]:
        upto = next((place for place, account in enumerate(path, 1) if account.key == key), len(path))
        views = account_views(snapshot, path[:upto])
        return build_report(snapshot, views, events=(), terminated_by=None, durability=self._durability())


def _message(stored: StoredAlert, *, stopped: bool) -> str:
    account, limit, spent = shown_key(stored.account), stored.limit, stored.spent
    if stored.kind == "overrun":
        return f"a call to {stored.detail or 'unnamed'!r} cost {show_usd(spent)} more than its hold"
    if limit is not None and stored.fraction_ppm is not None:
        threshold = f"{stored.fraction_ppm / WHOLE_PPM * 100:.6g}%"
        return f"{threshold} of {limit} in {account!r} is spent: {limit.show(spent)}"
    if limit is not None and stored.kind == "hard_limit":
        left = limit.amount - spent - stored.reserved
        return f"{limit} in {account!r} is reached: {limit.show(left)} is left"
    outcome = "the session is stopped" if stopped else "this call is refused, others go on"
    return f"{stored.detail} in {account!r}; {outcome}"
