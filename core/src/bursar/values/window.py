"""What a limit counts over: a session, all time, a calendar period, or a rolling span."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

from ..errors import InvalidAmount
from .duration import short, to_seconds

LIFELONG = ("session", "total")
CALENDAR = ("hour", "day", "week", "month")
DAY_MS = 86_400_000
_SHORT = ("s", "sec", "second", "min", "minute")  # always rolling
_HOUR_MS = 3_600_000
_EPOCH = date(1970, 1, 1).toordinal()
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
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # most budgets do not need it

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


def day_number(moment_ms: int, tz: str) -> int:
    """The day that a moment lies in, in a time zone: how many days it is after 1970-01-01.

    Raises:
        ValueError: no such time zone.
    """
    return datetime.fromtimestamp(moment_ms // 1000, zone(tz)).toordinal() - _EPOCH


def day_text(number: int) -> str:
    """The date of a day, by its number: ``2026-03-29``."""
    return date.fromordinal(number + _EPOCH).isoformat()


class Shift(NamedTuple):
    """How far a time zone is ahead of UTC around the moment when its clocks are next, or were last, moved.

    Attributes:
        before_ms: milliseconds ahead before that moment.
        at_ms: the moment, milliseconds since the epoch; 0 where they are not moved within a year.
        after_ms: milliseconds ahead from then on.
    """

    before_ms: int
    at_ms: int
    after_ms: int


@lru_cache(64)
def shift(tz: str, day: int) -> Shift:
    """The shift of a time zone that is nearest to a day, by its number.

    Raises:
        ValueError: no such time zone.
    """
    here = zone(tz)

    def ahead_ms(moment_s: int) -> int:
        offset = datetime.fromtimestamp(moment_s, here).utcoffset()
        return int(offset.total_seconds()) * 1000 if offset is not None else 0

    noon_s = day * 86_400 + 43_200
    for away in range(366):
        for from_s in (noon_s + away * 86_400, noon_s - (away + 1) * 86_400):
            before_ms, after_ms = ahead_ms(from_s), ahead_ms(from_s + 86_400)
            if before_ms != after_ms:
                seconds = range(from_s, from_s + 86_401)
                moved = bisect_left(seconds, True, key=lambda moment_s: ahead_ms(moment_s) != before_ms)
                return Shift(before_ms, seconds[moved] * 1000, after_ms)
    now_ms = ahead_ms(noon_s)
    return Shift(now_ms, 0, now_ms)


def _ms(midnight: datetime) -> int:
    """A local midnight; where the clocks skip it, the moment at which they do."""
    return int(midnight.timestamp()) * 1000
