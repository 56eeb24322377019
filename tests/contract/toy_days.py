"""The history of the toy store: added up from its lines whenever it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

from bursar.store import (
    NOTHING,
    OTHER,
    Amounts,
    Booked,
    DayView,
    Granted,
    HistoryView,
    Refused,
    is_session,
)

from .toy_lines import DAY_MS, Book, Lines

MOST_NAMES = 50
EPOCH = date(1970, 1, 1)


@dataclass
class News:
    """What was told of a call, and in which accounts."""

    at_ms: int
    tz: str
    keys: tuple[str, ...]
    count: int


class Days(Lines):
    """What was booked on each day."""

    oldest = 0  # the first day that is not forgotten
    news_of_days: list[News]

    def tell_day(self, books: list[Book], tz: str, answer: object) -> None:
        """Note the alerts that come of an answer."""
        count = 0
        if isinstance(answer, Booked):
            first = answer.over is not None and answer.over.first
            count = len(answer.marks) + first + (answer.overrun_usd > 0)
        elif isinstance(answer, Refused | Granted):
            refused = answer if isinstance(answer, Refused) else answer.ignored
            count = int(refused is not None and refused.first)
        keys = tuple(book.key for book in books)
        self.news_of_days.append(News(self.now_ms, tz, keys, count))

    def totals(self, root: str, keys: tuple[str, ...], days: int, tz: str) -> HistoryView:
        """The days of budgets."""
        now = self.now()
        today = now // DAY_MS
        since = self.books[root].opened_ms // DAY_MS if root in self.books else today
        found: dict[str, tuple[DayView, ...]] = {}
        for key in keys:
            booked: dict[int, list[tuple[str, str, Amounts]]] = {}
            tallies: dict[int, Counter[str]] = {}
            for day, kind, name, amounts, tally in self.bookings(key, tz):
                booked.setdefault(day, []).append((kind, name, amounts))
                tallies.setdefault(day, Counter()).update(tally)
            first = max(today - days, self.oldest)
            found[key] = tuple(
                view(day, booked[day], tallies[day]) for day in sorted(booked) if first <= day <= today + 1
            )
        return HistoryView(now, since, found)

    def bookings(self, key: str, tz: str) -> Iterator[tuple[int, str, str, Amounts, Mapping[str, int]]]:
        """Each line and each alert that counts in an account, with its day."""
        for line in () if is_session(key) else self.lines:
            at_ms = line.first_ms or line.at_ms
            if at_ms and key in line.epochs and tz in ("UTC", line.tz):
                subject = line.entry.subject
                name = subject.models[0] if subject.models else subject.tool or ""
                tally = {**line.tally, "in_doubt": int(line.state == "in_doubt")}
                if any(tally.values()) or line.booked != NOTHING:
                    yield number(at_ms, tz), subject.kind, name, line.booked, tally
        for news in self.news_of_days:
            if news.count and key in news.keys and tz in ("UTC", news.tz):
                yield number(news.at_ms, tz), "", "", NOTHING, {"alerts": news.count}


def number(at_ms: int, tz: str) -> int:
    """The number of a day."""
    local = datetime.fromtimestamp(at_ms / 1000, timezone.utc if tz == "UTC" else ZoneInfo(tz))
    return (local.date() - EPOCH).days


def view(day: int, booked: list[tuple[str, str, Amounts]], tally: Counter[str]) -> DayView:
    """One day; the names that come first have sums of their own."""
    sums: dict[str, dict[str, Amounts]] = {"model": {}, "tool": {}, "correction": {}, "": {}}
    total = NOTHING
    for kind, name, amounts in booked:
        if amounts != NOTHING:
            named = sums[kind]
            label = name if name in named or len(named) < MOST_NAMES else OTHER
            named[label] = named.get(label, NOTHING).plus(amounts)
            total = total.plus(amounts)
    return DayView(day, total, sums["model"], sums["tool"], {n: count for n, count in tally.items() if count})
