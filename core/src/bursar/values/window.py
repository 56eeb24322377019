"""What a limit counts over: a session, all time, a calendar period, or a rolling span."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..errors import InvalidAmount
from .duration import short, to_seconds

LIFELONG = ("session", "total")
CALENDAR = ("hour", "day", "week", "month")
_SHORT = ("s", "sec", "second", "min", "minute")  # always rolling
_HOUR_MS = 3_600_000
_DAY = timedelta(days=1)
_LONGEST_S = 36_525 * 86_400  # a hundred years


class Period(NamedTuple):
    """A stretch of time in milliseconds since the epoch; its end is not part of it."""

    start_ms: int
    end_ms: int

    def contains(self, moment_ms: int) -> bool:
        """True for a moment in it, in milliseconds since the epoch."""
        return self.start_ms <= moment_ms < self.end_ms


class Calendar(NamedTuple):
    """The hour, day, week and month that one moment lies in, in one time zone."""

    hour: Period
    day: Period
    week: Period
    month: Period


def parse_window(text: str) -> tuple[str, int]:
    """A window in its shortest words, and its span in milliseconds where it is a rolling one, else 0.

    ``"24 hours"`` is ``"24h"``, and ``"min"``, which no calendar has, ``"1min"``.

    Raises:
        InvalidAmount: it is none, or a rolling one of more than a hundred years.
    """
    word = text.strip(" ")
    if word in LIFELONG or word in CALENDAR:
        return word, 0
    word = f"1{word}" if word in _SHORT else word
    span = short(word)
    if span is None:
        words = ", ".join((*LIFELONG, *CALENDAR))
        raise InvalidAmount(
            f"the window {text!r:.60} is none of {words}, nor a rolling span like"
            " '90s', '15min', '24h' or '30d'"
        )
    span_s = to_seconds(word, "window")
    if span_s > _LONGEST_S:
        raise InvalidAmount(f"the window {text!r:.60} is longer than a hundred years; use 'total'")
    return "{}{}".format(*span), int(span_s * 1000)


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
    """The periods that a moment lies in; each begins where the one before it ends.

    A day may have 23 or 25 hours; a week begins on Monday. Hours are counted from the beginning of
    the day, so that clocks that move by half an hour leave the last one of that day shorter.

    Args:
        now_ms: milliseconds since the epoch.
        tz: the name of a time zone.

    Raises:
        ValueError: no such time zone.
    """
    local = datetime.fromtimestamp(now_ms // 1000, zone(tz))
    today = local.replace(hour=0, minute=0, second=0, fold=0)
    tomorrow = today + _DAY
    if now_ms >= _ms(tomorrow):  # the clocks went back over midnight: the day that had begun goes on
        today, tomorrow = tomorrow, tomorrow + _DAY
    day = Period(_ms(today), _ms(tomorrow))
    hour_ms = now_ms - (now_ms - day.start_ms) % _HOUR_MS
    monday = today - today.weekday() * _DAY
    first = today.replace(day=1)
    return Calendar(
        Period(hour_ms, min(hour_ms + _HOUR_MS, day.end_ms)),
        day,
        Period(_ms(monday), _ms(monday + 7 * _DAY)),
        Period(_ms(first), _ms((first + 32 * _DAY).replace(day=1))),
    )


def _ms(midnight: datetime) -> int:
    """A local midnight; where the clocks skip it, the moment at which they do."""
    return int(midnight.timestamp()) * 1000
