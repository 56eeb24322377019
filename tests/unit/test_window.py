"""Calendar periods in all time zones, and windows as text."""

from __future__ import annotations

import random
import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bursar import InvalidAmount
from bursar.values.window import Calendar, Period, calendar, day_number, day_text, parse_window, shift, zone

from ..scale import scaled

HOUR_MS = 3_600_000
ZONES = [
    "UTC",
    "Europe/Oslo",
    "America/New_York",
    "Asia/Kolkata",  # half an hour off
    "Asia/Kathmandu",  # a quarter
    "Pacific/Chatham",  # and with summer time
    "Australia/Lord_Howe",  # its clocks move by half an hour
    "America/Sao_Paulo",  # until 2019 midnight was skipped in spring
    "Asia/Beirut",
    "America/Havana",  # midnight comes twice in autumn
    "Atlantic/Azores",
    "America/St_Johns",  # until 2011 the clocks went back from 00:01 to 23:01 of the day before
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Kiritimati",
    "Africa/Monrovia",  # until 1972 seconds off
    "Antarctica/Troll",  # two hours of summer time
]
MOMENTS_MS = st.integers(0, 4_102_444_800_000)  # until 2100


def moment(text: str, tz: str = "UTC", fold: int = 0) -> int:
    """Milliseconds of a local time."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz), fold=fold)
    return int(local.astimezone(timezone.utc).timestamp() * 1000)


def changes(tz: str, since_s: int = 0) -> Iterator[int]:
    """The moments at which the clocks of a zone change, found by bisection."""
    place, step_s = ZoneInfo(tz), 20 * 86_400

    def offset(second: int) -> object:
        return datetime.fromtimestamp(second, place).utcoffset()

    for low, high in pairwise(range(since_s, 2_000_000_000, step_s)):
        if offset(low) != offset(high):
            before, after = low, high
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if offset(middle) == offset(low) else (before, middle)
            yield after * 1000


CHANGES = [(tz, change_ms) for tz in ZONES for change_ms in changes(tz)]


def check_partition(now_ms: int, tz: str) -> None:
    """Each period of a moment has it, is one for all its moments, and touches the next."""
    for name, period in calendar(now_ms, tz)._asdict().items():
        assert period.contains(now_ms), name
        assert getattr(calendar(period.start_ms, tz), name) == period, name
        assert getattr(calendar(period.end_ms - 1, tz), name) == period, name
        assert getattr(calendar(period.end_ms, tz), name).start_ms == period.end_ms, name


@given(MOMENTS_MS, st.sampled_from(ZONES))
@example(0, "UTC")
@example(moment("2024-02-29T23:59:59"), "UTC")
def test_periods_divide_time(now_ms: int, tz: str) -> None:
    """In every zone each moment lies in exactly one hour, day, week and month."""
    check_partition(now_ms, tz)


@given(st.sampled_from(CHANGES), st.integers(-26 * HOUR_MS, 26 * HOUR_MS))
def test_periods_divide_time_where_clocks_change(change: tuple[str, int], apart_ms: int) -> None:
    """Also within a day of each change of each zone, whatever hour is skipped or comes twice."""
    tz, change_ms = change
    check_partition(max(0, change_ms + apart_ms), tz)


def test_periods_divide_time_in_the_zones_there_are() -> None:
    """To the millisecond around each change since 2017, in every tenth zone that this machine knows.

    With `--full` in all of them; those whose clocks do odd things are in `ZONES`, which are tried every time.
    """
    zones = sorted(zoneinfo.available_timezones())
    assert len(zones) > 300
    for tz in zones[:: scaled(10, 1)]:
        for change_ms in changes(tz, since_s=1_483_228_800):
            for apart_ms in (-HOUR_MS, -1, 0, HOUR_MS - 1, HOUR_MS):
                check_partition(change_ms + apart_ms, tz)


@given(MOMENTS_MS, st.sampled_from(ZONES[:6]))
def test_a_period_begins_where_clocks_say_so(now_ms: int, tz: str) -> None:
    """At a full hour, at midnight, at midnight of a Monday, at midnight of the first of a month."""
    found = calendar(now_ms, tz)
    hour, day, week, month = (datetime.fromtimestamp(start / 1000, ZoneInfo(tz)) for start, _ in found)
    assert (hour.minute, hour.second, hour.microsecond) == (0, 0, 0)
    for midnight in (day, week, month):
        assert (midnight.hour, midnight.minute, midnight.second, midnight.microsecond) == (0, 0, 0, 0)
    assert (week.isoweekday(), month.day) == (1, 1)
    local = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(tz))
    assert (day.date(), hour.hour) == (local.date(), local.hour)


@pytest.mark.parametrize(
    ("tz", "day", "hours"),
    [
        ("Europe/Oslo", "2026-03-29", 23),
        ("Europe/Oslo", "2026-10-25", 25),
        ("Europe/Oslo", "2026-06-01", 24),
        ("UTC", "2026-03-29", 24),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("America/Sao_Paulo", "2018-02-17", 25),
        ("America/Havana", "2025-11-02", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Antarctica/Troll", "2026-03-29", 22),
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-31", 24),
    ],
)
def test_a_day_has_the_hours_of_its_clocks(tz: str, day: str, hours: float) -> None:
    """The days on which clocks change are shorter or longer, and noon lies in them."""
    start_ms, end_ms = calendar(moment(f"{day}T12:00", tz), tz).day
    assert (end_ms - start_ms) / HOUR_MS == hours


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (
            "2024-02-29T12:34:56",  # a Thursday, a leap day
            ("2024-02-29T12:00", "2024-02-29T13:00", "2024-02-29", "2024-03-01", "2024-02-26", "2024-03-04", "2024-02-01", "2024-03-01"),
        ),
        (
            "2023-02-28T23:59:59",  # a Tuesday, the end of a month
            ("2023-02-28T23:00", "2023-03-01T00:00", "2023-02-28", "2023-03-01", "2023-02-27", "2023-03-06", "2023-02-01", "2023-03-01"),
        ),
        (
            "2026-01-01T00:00:00",  # a Thursday, whose week began last year
            ("2026-01-01T00:00", "2026-01-01T01:00", "2026-01-01", "2026-01-02", "2025-12-29", "2026-01-05", "2026-01-01", "2026-02-01"),
        ),
        (
            "2026-12-31T00:00:00",
            ("2026-12-31T00:00", "2026-12-31T01:00", "2026-12-31", "2027-01-01", "2026-12-28", "2027-01-04", "2026-12-01", "2027-01-01"),
        ),
        (
            "2026-11-29T23:00:00",  # a Sunday, the last day of its week
            ("2026-11-29T23:00", "2026-11-30T00:00", "2026-11-29", "2026-11-30", "2026-11-23", "2026-11-30", "2026-11-01", "2026-12-01"),
        ),
        (
            "2026-11-30T00:00:00",  # the Monday after
            ("2026-11-30T00:00", "2026-11-30T01:00", "2026-11-30", "2026-12-01", "2026-11-30", "2026-12-07", "2026-11-01", "2026-12-01"),
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tz", ["UTC", "Europe/Oslo", "Asia/Kathmandu"])
def test_periods_by_hand(now: str, expected: tuple[str, ...], tz: str) -> None:
    """Leap days, ends of months and years, weeks that begin on Monday: as on a calendar on a wall."""
    bounds = [moment(text, tz) for text in expected]
    periods = [Period(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=True)]
    assert calendar(moment(now, tz), tz) == Calendar(*periods)


def test_clocks_that_go_back_over_midnight() -> None:
    """In St. John's of 2009 the first minute of November came, then an hour of October again: it stays November."""
    tz = "America/St_Johns"
    november = moment("2009-11-01T00:00", tz)
    again = moment("2009-10-31T23:30", tz, fold=1)
    assert november < again
    for period in (calendar(again, tz).day, calendar(again, tz).month):
        assert period.start_ms == november
    assert calendar(november - 1, tz).day.end_ms == november
    assert calendar(again, tz).day.end_ms == moment("2009-11-02T00:00", tz)


def test_clocks_that_move_by_half_an_hour() -> None:
    """On Lord Howe Island the hours of that day are whole ones from midnight, and the last is shorter."""
    tz = "Australia/Lord_Howe"
    last = calendar(moment("2026-10-04T23:45", tz), tz)
    assert last.hour == Period(moment("2026-10-04T23:30", tz), last.day.end_ms)
    following = calendar(last.day.end_ms, tz).hour
    assert following == Period(moment("2026-10-05T00:00", tz), moment("2026-10-05T01:00", tz))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("session", ("session", 0)),
        ("total", ("total", 0)),
        ("hour", ("hour", 0)),
        ("day", ("day", 0)),
        (" week ", ("week", 0)),
        ("month", ("month", 0)),
        ("90s", ("90s", 90_000)),
        ("15min", ("15min", 900_000)),
        ("24h", ("24h", 86_400_000)),
        (" 30d ", ("30d", 2_592_000_000)),
        ("36525d", ("36525d", 3_155_760_000_000)),
    ],
)
def test_a_window_is_read(text: str, parsed: tuple[str, int]) -> None:
    """Words are themselves, spans have a length in milliseconds."""
    assert parse_window(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Day",
        "days",
        "year",
        "1 hs",
        "0s",
        "-1h",
        "1.5h",
        "1w",
        "60m",
        "h",
        "24",
        "٢٤h",
        "\tday",
        "1000000000d",
    ],
)
def test_what_is_no_window_is_refused(text: str) -> None:
    """With an error that lists what one can be."""
    with pytest.raises(InvalidAmount, match="session, total, hour, day, week, month, nor a rolling span"):
        parse_window(text)


def test_a_window_of_more_than_a_century_is_refused() -> None:
    """Its end could not be written as a date; the error names the window without an end."""
    with pytest.raises(InvalidAmount, match="use 'total'"):
        parse_window("36526d")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "a\0b", "Europe/Oslo\n", 5, None])
def test_a_zone_that_is_none_is_named(name: object) -> None:
    """A wrong name is our own error, whatever the operating system says to it."""
    with pytest.raises(ValueError, match="tz=.* is not a time zone"):
        zone(name)  # type: ignore[arg-type]


def test_utc_needs_no_time_zone_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without any, UTC works, and another zone says what to install."""
    monkeypatch.setattr("zoneinfo.ZoneInfo", lambda name: ZoneInfo(f"no/such/{name}"))
    assert zone("UTC") is timezone.utc
    with pytest.raises(ValueError, match="pip install tzdata"):
        zone("Europe/Oslo")


@pytest.mark.parametrize(
    "tz", ["Europe/Oslo", "America/St_Johns", "Australia/Lord_Howe", "Asia/Tokyo", "UTC"]
)
def test_a_shift_tells_the_local_day_of_any_moment_near(tz: str) -> None:
    """Half a year around a day, to the minute in which clocks are moved; without one where they never are."""
    dice = random.Random(tz)
    for day in range(20_400, 20_800, 37):
        before_ms, at_ms, after_ms = shift(tz, day)
        for _ in range(50):
            moment_ms = (day * 86_400 + dice.randrange(-60 * 86_400, 60 * 86_400)) * 1000
            local_ms = moment_ms + (before_ms if moment_ms < at_ms else after_ms)
            assert local_ms // 86_400_000 == day_number(moment_ms, tz)
    assert (shift("Europe/Oslo", 20_541).at_ms, shift("Asia/Tokyo", 20_541).at_ms) == (1_774_746_000_000, 0)
    assert day_text(day_number(1_774_746_000_000, "Europe/Oslo")) == "2026-03-29"
