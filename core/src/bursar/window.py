"""What a limit counts over: a session, all time, a calendar period, or a rolling span."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .duration import to_seconds
from .errors import InvalidAmount

LIFELONG = ("session", "total")
CALENDAR = ("hour", "day", "week", "month")
_HOUR_MS = 3_600_000


class Period(NamedTuple):
    """A stretch of time in milliseconds since the epoch; its end is not part of it."""

    start_ms: int
    end_ms: int

    def contains(self, moment_ms: int) -> bool:
        return self.start_ms <= moment_ms < self.end_ms


class Calendar(NamedTuple):
    """The hour, day, week and month that one moment lies in, in one time zone."""

    hour: Period
    day: Period
    week: Period
    month: Period


def parse_window(text: str) -> tuple[str, int]:
    """A window as it was written, and its span in milliseconds where it is a rolling one, else 0.

    Raises:
        InvalidAmount: it is none.
    """
    word = text.strip(" ")
    if word in LIFELONG or word in CALENDAR:
        return word, 0
    try:
        span_s = to_seconds(word, "window")
    except ValueError:
        words = ", ".join((*LIFELONG, *CALENDAR))
        raise InvalidAmount(
            f"the window {text!r:.60} is none of {words}, nor a rolling span like"
            " '90s', '15min', '24h' or '30d'"
        ) from None
    return word, int(span_s * 1000)


def zone(name: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        ValueError: it has none, or this machine has no time zone data.
    """
    if name == "UTC":
        return timezone.utc  # also where there is no data
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ValueError(
            f"tz={name!r:.60} is not a time zone of this machine; write it like 'Europe/Oslo'"
            " (on Windows: pip install tzdata)"
        ) from None


def calendar(now_ms: int, tz: str) -> Calendar:
    """The periods that a moment lies in. A day may have 23 or 25 hours; a week begins on Monday.

    Args:
        now_ms: milliseconds since the epoch.
        tz: the name of a time zone.

    Raises:
        ValueError: no such time zone.
    """
    local = datetime.fromtimestamp(now_ms // 1000, zone(tz))
    into_hour_ms = (local.minute * 60 + local.second) * 1000 + now_ms % 1000
    hour_ms = now_ms - into_hour_ms
    today = local.replace(hour=0, minute=0, second=0, fold=0)
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    return Calendar(
        Period(hour_ms, hour_ms + _HOUR_MS),
        Period(_ms(today), _ms(today + timedelta(days=1))),
        Period(_ms(monday), _ms(monday + timedelta(days=7))),
        Period(_ms(first), _ms((first + timedelta(days=32)).replace(day=1))),
    )


def _ms(midnight: datetime) -> int:
    """A local midnight; where the clocks skip it, the moment at which they do."""
    return int(midnight.timestamp()) * 1000
