"""When a limit is used up, if spending goes on as it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from ..redaction import redacted
from ..store.entry import UNITS
from ..store.views import AccountView, DayView, HistoryView, LimitView
from ..values.account import shown_key
from ..values.call import Subject
from ..values.limits import Limit
from ..values.money import to_usd
from ..values.window import calendar, day_number, zone

_HOUR_MS = 3_600_000
_LEAST_MS = 60_000  # of which a rate is taken
_FARTHEST_MS = 400 * 24 * _HOUR_MS

SubjectOf = Callable[[str], Subject]


class _Rate(NamedTuple):
    """What was booked in some days, and in how much time."""

    days: tuple[DayView, ...]
    span_ms: int


def build_forecast(
    view: HistoryView, accounts: Iterable[AccountView], subject_of: SubjectOf, tz: str
) -> dict[str, Any] | None:
    """The limit of these accounts that is used up first, as people and `json.dumps` take it.

    Args:
        view: their days, with yesterday.
        accounts: from the root; the limits of the last are told without its name.
        subject_of: what the selectors of limits see in a model, by its name.
        tz: whose days.
    """
    listed = tuple(accounts)
    now_ms, first = view.now_ms, None
    for account in listed:
        rate = _rate(view, account, tz)
        for limit in account.limits if rate is not None else ():
            hourly = _booked(limit.limit, rate.days, subject_of) * _HOUR_MS / rate.span_ms  # type: ignore[union-attr]
            at_ms = _used_up_ms(limit, hourly, now_ms)
            if at_ms is not None and (first is None or at_ms < first[0]):
                first = at_ms, account, limit, hourly
    return None if first is None else _told(*first, now_ms, tz, own=first[1] is listed[-1])


def _rate(view: HistoryView, account: AccountView, tz: str) -> _Rate | None:
    """Of today; in its first hour of yesterday, too."""
    today, begin_ms = day_number(view.now_ms, tz), calendar(view.now_ms, tz).day.start_ms
    oldest = today
    if view.now_ms - begin_ms < _HOUR_MS:
        oldest, begin_ms = today - 1, calendar(begin_ms - 1, tz).day.start_ms
    span_ms = view.now_ms - max(begin_ms, account.opened_ms)
    days = tuple(day for day in view.accounts.get(account.key, ()) if oldest <= day.day <= today)
    return _Rate(days, span_ms) if days and span_ms >= _LEAST_MS else None


def _booked(limit: Limit, days: Iterable[DayView], subject_of: SubjectOf) -> int:
    """What was booked of what a limit counts, in its unit; a history does not tell providers apart."""
    unit = UNITS.index(limit.unit)
    if limit.provider is not None:
        return 0
    if limit.unit != "calls" and not limit.selective:
        return sum(day.spent[unit] for day in days)
    return sum(
        sums[unit]
        for day in days
        for subject, sums in (
            *((subject_of(name), sums) for name, sums in day.models.items() if name),
            *((Subject("tool", (), None, name), sums) for name, sums in day.tools.items()),
        )
        if limit.covers(subject)
    )


def _used_up_ms(view: LimitView, hourly: float, now_ms: int) -> int | None:
    """When nothing is left of a limit; None where that is not to be seen."""
    limit, left = view.limit, view.limit.amount - view.spent
    if left <= 0:
        return now_ms
    if hourly <= 0 or (limit.span_ms and hourly * limit.span_ms / _HOUR_MS <= limit.amount):
        return None
    after_ms = left / hourly * _HOUR_MS
    if after_ms > _FARTHEST_MS:
        return None
    at_ms = now_ms + int(after_ms)
    ends = limit.tz and getattr(calendar(now_ms, limit.tz), limit.window).end_ms
    return None if ends and at_ms >= ends else at_ms


def _told(
    at_ms: int, account: AccountView, view: LimitView, hourly: float, now_ms: int, tz: str, *, own: bool
) -> dict[str, Any]:
    limit = view.limit
    usd = limit.unit == "usd"
    name = f"{limit}" if own else f"{limit} in {shown_key(account.key)!r}"
    moment, now = (datetime.fromtimestamp(ms / 1000, zone(tz)) for ms in (at_ms, now_ms))
    when = f"{moment:%H:%M}" if moment.date() == now.date() else f"{moment:%H:%M on %Y-%m-%d}"
    told: dict[str, Any] = {
        "account": shown_key(account.key),
        "limit": str(limit),
        "spent": float(to_usd(view.spent)) if usd else view.spent,
        "per_hour": round(hourly / 10**9, 9) if usd else round(hourly, 3),
        "used_up_at": moment.isoformat(timespec="seconds"),
        "text": f"{name} is used up" if at_ms <= now_ms else f"{name} is used up at {when} at this rate",
    }
    shown: dict[str, Any] = redacted(told)
    return shown
