"""Alerts: a limit is near, reached or passed; and the listeners that are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from ..runtime.ids import new_id
from ..store.base import Booked, Granted, Mark, Path, Refused, Snapshot
from ..store.outbox.outbox import Trouble
from ..values.account import shown_key
from ..values.call import Call
from ..values.limits import Limit
from ..values.money import show_usd, to_usd
from ..values.policy import WHOLE_PPM
from .alert import Alert, AlertKind, AlertLevel
from .balance import account_views
from .listeners import AlertCallback, Listeners
from .report import build_report

_CAUSES = {
    "limit": AlertKind.HARD_LIMIT,
    "loop": AlertKind.LOOP_DETECTED,
    "velocity": AlertKind.VELOCITY,
}

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
        for kind, level, key, limit, threshold, spent, message in _news(answer, path, call, snapshot):
            alert = Alert(
                id=new_id(),
                kind=kind,
                level=level,
                message=message,
                account=shown_key(key),
                limit=None if limit is None else str(limit),
                threshold=threshold,
                fraction=spent / limit.amount if limit is not None and limit.amount else None,
                spent=to_usd(spent) if limit is None or limit.unit == "usd" else spent,
                at=snapshot.now_ms / 1000,
            )
            report = self._report(key, path, snapshot)
            self._listeners.tell(replace(alert, report=report | {"alert": alert.facts()}))

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
        alert = Alert(new_id(), AlertKind.STORE_TROUBLE, level, message, account, at=at)
        self._listeners.tell(replace(alert, report={"alert": alert.facts()}))

    def _report(self, key: str, path: Path, snapshot: Snapshot) -> dict[str, Any]:
        upto = next((place for place, account in enumerate(path, 1) if account.key == key), len(path))
        views = account_views(snapshot, path[:upto])
        return build_report(snapshot, views, events=(), terminated_by=None, durability=self._durability())


_News: TypeAlias = "tuple[AlertKind, AlertLevel, str, Limit | None, float | None, int, str]"


def _news(answer: Granted | Refused | Booked, path: Path, call: Call, snapshot: Snapshot) -> list[_News]:
    found: list[_News] = []
    if isinstance(answer, Booked):
        found += map(_reached, answer.marks)
    if isinstance(answer, Booked) and answer.overrun_usd and not answer.repeated:
        excess, what = answer.overrun_usd, call.model or call.tool or "unnamed"
        message = f"a call to {what!r} cost {show_usd(excess)} more than its hold"
        found.append((AlertKind.OVERRUN, AlertLevel.WARNING, path[-1].key, None, None, excess, message))
    refused = answer if isinstance(answer, Refused) else _within(answer)
    if refused is not None and refused.first:
        view = snapshot.accounts.get(refused.account)
        found.append(_refused(refused, stopped=view is None or view.circuit != "closed"))
    return found


def _within(answer: Granted | Booked) -> Refused | None:
    """The refusal that was not enforced, or came after the fact."""
    return answer.ignored if isinstance(answer, Granted) else answer.over


def _reached(mark: Mark) -> _News:
    limit, account = mark.limit, shown_key(mark.account)
    threshold = mark.fraction_ppm / WHOLE_PPM
    message = f"{threshold:.0%} of {limit} in {account!r} is spent: {limit.show(mark.spent)}"
    level = AlertLevel.WARNING if mark.fraction_ppm < WHOLE_PPM else AlertLevel.CRITICAL
    return AlertKind.SOFT_LIMIT, level, mark.account, limit, threshold, mark.spent, message


def _refused(refused: Refused, *, stopped: bool) -> _News:
    account, limit = shown_key(refused.account), refused.limit
    outcome = "the session is stopped" if stopped else "this call is refused, others go on"
    message = f"{refused.reason} in {account!r}; {outcome}"
    if limit is not None and refused.cause == "limit":
        message = f"{limit} in {account!r} is reached: {limit.show(refused.remaining)} is left"
    return _CAUSES[refused.cause], AlertLevel.CRITICAL, refused.account, limit, None, refused.spent, message
