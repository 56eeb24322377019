"""Alerts: a limit is near, reached or passed; and the listeners that are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

from ..runtime.ids import new_id
from ..runtime.log import logger
from ..store.base import Booked, Granted, Mark, Path, Refused, Snapshot
from ..store.outbox.outbox import Trouble
from ..values.account import shown_key
from ..values.call import Call
from ..values.limits import Limit
from ..values.money import show_usd, to_usd
from ..values.policy import WHOLE_PPM
from .balance import account_views
from .report import build_report

ReportCallback: TypeAlias = "Callable[[dict[str, Any]], object]"
AlertCallback: TypeAlias = "Callable[[Alert], object]"


class AlertKind(str, Enum):
    """What happened."""

    SOFT_LIMIT = "soft_limit"
    HARD_LIMIT = "hard_limit"
    LOOP_DETECTED = "loop_detected"
    VELOCITY = "velocity"
    OVERRUN = "overrun"
    STORE_TROUBLE = "store_trouble"


class AlertLevel(str, Enum):
    """How bad it is: a warning lets the calls go on."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to know, told once.

    Attributes:
        id: its own; a receiver that sees it twice can drop the second.
        kind: what happened.
        level: how bad it is.
        message: one line for people.
        account: the account that it is about.
        limit: the limit, as text, or None.
        fraction: how much of the limit is spent, from 0 to 1 and above, or None.
        spent: charged against the limit, in USD or as a count; for an overrun the part above the hold.
        at: seconds since the epoch, by the clock of the store.
        report: the cost report of the account; empty for trouble with the store, which cannot be asked.
    """

    id: str
    kind: AlertKind
    level: AlertLevel
    message: str
    account: str
    limit: str | None
    fraction: float | None
    spent: Decimal | int | None
    at: float
    report: Mapping[str, Any]


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

    A listener that fails is logged; nothing of it reaches the agent.

    Args:
        by_kind: listeners to one kind, which get the report.
        listeners: listeners to every alert.
        durability: tells that of the store, for the reports.
    """

    def __init__(
        self,
        by_kind: Mapping[AlertKind, ReportCallback],
        listeners: tuple[AlertCallback, ...],
        durability: Callable[[], str],
    ) -> None:
        self._by_kind = by_kind
        self._listeners = list(listeners)
        self._durability = durability

    def listen(self, listener: AlertCallback) -> None:
        """Hand every alert from now on to one more."""
        self._listeners.append(listener)

    def send(self, answer: Granted | Refused | Booked, path: Path, call: Call, snapshot: Snapshot) -> None:
        """Tell what an answer of the store has to tell.

        Args:
            answer: with marks, a first refusal, or an overrun.
            path: the accounts that it is about.
            call: what was asked for.
            snapshot: the tree after it.
        """
        for kind, level, key, limit, spent, message in _news(answer, path, call, snapshot):
            alert = Alert(
                id=new_id(),
                kind=kind,
                level=level,
                message=message,
                account=shown_key(key),
                limit=None if limit is None else str(limit),
                fraction=spent / limit.amount if limit is not None and limit.amount else None,
                spent=to_usd(spent) if limit is None or limit.unit == "usd" else spent,
                at=snapshot.now_ms / 1000,
                report=self._report(key, path, snapshot),
            )
            self._hand_out(alert)

    def trouble(self, trouble: Trouble, at: float) -> None:
        """Tell that bookings wait for the store, have landed, or are lost.

        Args:
            trouble: what became of them.
            at: seconds since the epoch.
        """
        level = AlertLevel.WARNING if trouble.what in ("wait", "landed") else AlertLevel.CRITICAL
        message = _TROUBLES[trouble.what].format(n=trouble.count, why=trouble.why)
        account = shown_key(trouble.account)
        self._hand_out(
            Alert(new_id(), AlertKind.STORE_TROUBLE, level, message, account, None, None, None, at, {})
        )

    def _hand_out(self, alert: Alert) -> None:
        logger.warning("%s", alert.message)
        listener = self._by_kind.get(alert.kind)
        if listener is not None:
            _tell(listener, alert.report)
        for hears_all in tuple(self._listeners):
            _tell(hears_all, alert)

    def _report(self, key: str, path: Path, snapshot: Snapshot) -> dict[str, Any]:
        upto = next((place for place, account in enumerate(path, 1) if account.key == key), len(path))
        views = account_views(snapshot, path[:upto])
        return build_report(snapshot, views, events=(), terminated_by=None, durability=self._durability())


_News: TypeAlias = "tuple[AlertKind, AlertLevel, str, Limit | None, int, str]"


def _news(
    answer: Granted | Refused | Booked, path: Path, call: Call, snapshot: Snapshot
) -> list[_News]:
    found: list[_News] = []
    if isinstance(answer, Booked):
        found += map(_reached, answer.marks)
    if isinstance(answer, Booked) and answer.overrun_usd and not answer.repeated:
        excess, what = answer.overrun_usd, call.model or call.tool or "unnamed"
        message = f"a call to {what!r} cost {show_usd(excess)} more than its hold"
        found.append((AlertKind.OVERRUN, AlertLevel.WARNING, path[-1].key, None, excess, message))
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
    message = (
        f"{mark.fraction_ppm / WHOLE_PPM:.0%} of {limit} in {account!r} is spent: {limit.show(mark.spent)}"
    )
    level = AlertLevel.WARNING if mark.fraction_ppm < WHOLE_PPM else AlertLevel.CRITICAL
    return AlertKind.SOFT_LIMIT, level, mark.account, limit, mark.spent, message


def _refused(refused: Refused, *, stopped: bool) -> _News:
    account, limit = shown_key(refused.account), refused.limit
    outcome = "the session is stopped" if stopped else "this call is refused, others go on"
    message = f"{refused.reason} in {account!r}; {outcome}"
    if limit is not None and refused.cause == "limit":
        message = f"{limit} in {account!r} is reached: {limit.show(refused.remaining)} is left"
    return _CAUSES[refused.cause], AlertLevel.CRITICAL, refused.account, limit, refused.spent, message


def _tell(listener: Callable[[Any], object], what: object) -> None:
    try:
        listener(what)
    except Exception as error:
        name = getattr(listener, "__qualname__", type(listener).__name__)
        logger.error("the alert listener %s failed: %s", name, type(error).__name__)
