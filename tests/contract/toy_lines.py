"""All that the toy store knows: a list of lines, and for each account what stops it.

No balance is kept. What an account has spent, what a window holds and what a breaker counts is
added up from the lines whenever it is asked for, so that there is nothing to go out of step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bursar import LimitConflict
from bursar.store import (
    NOTHING,
    OTHER,
    UNITS,
    WHOLE_PPM,
    AccountView,
    Amounts,
    Cause,
    Circuit,
    Entry,
    Limit,
    LimitView,
    Mark,
    Path,
    Period,
    Subject,
    Terms,
    is_session,
    parent_key,
)

Key = tuple[str, ...]
DAY_MS = 86_400_000
MOST_SUBJECTS = 200


@dataclass
class Line:
    """One hold, charge or refusal, and the epochs of the accounts that it is in."""

    entry: Entry
    made_ms: int
    epochs: dict[str, int]
    held: Amounts = NOTHING
    minimum: Amounts = NOTHING
    until_ms: int = 0
    state: str = "reserved"
    booked: Amounts = NOTHING
    at_ms: int = 0
    tally: Mapping[str, int] = field(default_factory=dict)
    seen: bool = True  # whether a breaker saw it go through
    loop: bool = False  # refused, because it was repeated too often
    told: bool = False  # and somebody was told so
    tz: str = "UTC"
    first_ms: int = 0  # when something was booked first
    floor: Amounts = NOTHING

    def close(self, state: str, booked: Amounts, tally: Mapping[str, int], at_ms: int) -> None:
        """Replace what it stands at."""
        self.state, self.booked, self.tally, self.at_ms = state, booked, tally, at_ms
        if state != "released":
            self.first_ms = self.first_ms or at_ms


@dataclass
class Book:
    """What an account has beside its lines: its place, its limits, and what stops it."""

    key: str
    root: str
    above: Book | None
    opened_ms: int
    epoch: int = 0
    declared: dict[Key, Limit] = field(default_factory=dict)
    in_force: dict[Key, Limit] = field(default_factory=dict)
    order: dict[Key, None] = field(default_factory=dict)  # a limit that was declared keeps its place
    since: dict[Key, int] = field(default_factory=dict)  # the first line that a window counts
    periods: dict[Key, Period] = field(default_factory=dict)
    told: dict[tuple[Key, int], tuple[int, int]] = field(default_factory=dict)
    tripped: str | None = None
    circuit: Circuit = "closed"
    cause: Cause = "tripped"
    reason: str | None = None
    broke_ms: int = 0
    trying: str | None = None  # the call that tries whether the breaker may close
    forgiven: int = 0  # the first line that a loop may be made of
    ended_ms: int | None = None  # when a session was said to have ended
    gone: bool = False  # it ended a day ago: another one may have its key

    def close(self, line: int) -> None:
        """Close the breaker; the calls before this line are forgotten."""
        self.circuit, self.reason, self.trying, self.forgiven = "closed", None, None, line

    def put(self, limit: Limit, line: int) -> None:
        """Put a limit in force; a new window counts from this line on."""
        if limit.key not in self.in_force:
            self.since[limit.key] = line
            self.periods[limit.key] = Period(0, 0)
        self.in_force[limit.key] = limit
        self.order.setdefault(limit.key)

    def drop(self, limit: Limit) -> None:
        """Take a limit out of force."""
        self.in_force.pop(limit.key, None)
        if limit.key not in self.declared:
            self.order.pop(limit.key, None)

    def limits(self) -> list[Limit]:
        """Those in force."""
        return [self.in_force[key] for key in self.order if key in self.in_force]


Rule = tuple[Book, Limit]


class Lines:
    """Lines and accounts, and what is added up from them. Whoever asks has the lock."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.lines: list[Line] = []
        self.by_id: dict[str, Line] = {}
        self.books: dict[str, Book] = {}
        self.now_ms = 0

    # -- lines ----------------------------------------------------------------------------------

    def add(self, line: Line) -> None:
        """One more line."""
        self.lines.append(line)
        self.by_id[line.entry.id] = line

    def close(
        self, line: Line, state: str, booked: Amounts, tally: Mapping[str, int], at_ms: int | None = None
    ) -> None:
        """Replace what a line stands at; an answer to the call that was trying closes the breaker."""
        line.close(state, booked, tally, self.now_ms if at_ms is None else at_ms)
        session = self.session([self.books[key] for key in line.epochs])
        if session is not None and session.trying == line.entry.id:
            session.trying = None
            if state == "settled":
                session.circuit, session.reason = "closed", None

    def epochs(self, books: list[Book]) -> dict[str, int]:
        """Of each account of a path."""
        return {book.key: book.epoch for book in books}

    # -- time -----------------------------------------------------------------------------------

    def now(self) -> int:
        """The time, which never runs backwards; leases that are over by now are booked."""
        self.now_ms = max(self.now_ms, int(self.clock.now() * 1000))
        for line in self.by_id.values():
            if line.state == "reserved" and line.until_ms <= self.now_ms:
                self.close(line, "in_doubt", line.held, {"estimated": 1}, line.until_ms)
        for book in self.books.values():
            if book.ended_ms is not None and book.ended_ms <= self.now_ms - DAY_MS:
                self.drop(book)
        return self.now_ms

    def drop(self, ended: Book) -> None:
        """Drop a session with those below it, where nothing is held."""
        inside = [book for book in self.books.values() if f"{book.key}/".startswith(f"{ended.key}/")]
        held = any(line.state == "reserved" and ended.key in line.epochs for line in self.lines)
        for book in inside:
            book.gone = not held and all(other.tripped is None for other in inside)

    def known(self) -> list[Book]:
        """The accounts that are there."""
        return [book for book in self.books.values() if not book.gone]

    def turn(self, books: list[Book], entry: Entry) -> tuple[str, ...]:
        """Begin the periods that the client knows; the zones of those that it does not."""
        zones = []
        for book, limit in self.rules(books):
            if limit.tz and self.now_ms >= book.periods[limit.key].end_ms:
                period = getattr(entry.periods.get(limit.tz), limit.window, Period(0, 0))
                if period.contains(self.now_ms):
                    book.periods[limit.key] = period
                else:
                    zones.append(limit.tz)
        return tuple(dict.fromkeys(zones))

    # -- accounts and their limits --------------------------------------------------------------

    def open(self, path: Path) -> list[Book]:
        """The accounts of a path, made where new; no change where one of them disagrees."""
        for account in path:
            book = next((known for known in self.known() if known.key == account.key), None)
            wanted = {limit.key: limit for limit in account.limits}
            if book is None or not wanted:
                continue
            for key, limit in wanted.items():
                others = (book.declared.get(key), book.in_force.get(key))
                if limit not in others and (book.declared or others[1] is not None):
                    raise LimitConflict(f"{account.key!r} has other limits; give it another name")
            if book.declared and book.declared.keys() != wanted.keys():
                raise LimitConflict(f"{account.key!r} has other limits; give it another name")
        books: list[Book] = []
        for account in path:
            book = self.books.get(account.key)
            if book is None or book.gone:
                epoch = 0 if book is None else book.epoch + 1  # the lines of the one before do not count
                book = Book(account.key, path[0].key, books[-1] if books else None, self.now_ms, epoch)
                self.books.pop(account.key, None)  # the newest is the last
                self.books[account.key] = book
                for limit in () if account.limits else account.unless_declared:
                    book.put(limit, len(self.lines))
            if account.limits and not book.declared:
                book.declared = {limit.key: limit for limit in account.limits}
                for limit in account.limits:
                    book.put(limit, len(self.lines))
            book.ended_ms = None
            books.append(book)
        return books

    def rules(self, books: list[Book]) -> list[Rule]:
        """The limits of a path, the leaf's first and each account's newest first."""
        return list(self.in_order(books))[::-1]

    def in_order(self, books: list[Book]) -> Iterator[Rule]:
        """The limits of a path; those that a budget has for each session hold in the one below it."""
        for_sessions: list[Rule] = []
        for book in books:
            session = is_session(book.key)
            for limit in book.limits():
                if limit.window == "session" and not session:
                    for_sessions.append((book, limit))
                else:
                    yield book, limit
            if session:
                yield from ((book, limit) for _, limit in for_sessions)
                for_sessions = []

    def session(self, books: list[Book]) -> Book | None:
        """The outermost session, which has the breaker."""
        return next((book for book in books if is_session(book.key)), None)

    # -- sums -----------------------------------------------------------------------------------

    def counted(self, book: Book, limit: Limit) -> Iterator[tuple[Line, int, int]]:
        """The lines that a limit counts now, with what each has spent and reserves."""
        unit = UNITS.index(limit.unit)
        for line in self.lines[book.since.get(limit.key, 0) if limit.windowed else 0 :]:
            if book.key not in line.epochs or not limit.covers(line.entry.subject):
                continue
            if limit.tz and not book.periods[limit.key].contains(line.made_ms):
                continue
            gone = limit.span_ms and line.at_ms <= self.now_ms - limit.span_ms
            spent = 0 if gone or line.epochs[book.key] != book.epoch else line.booked[unit]
            yield line, spent, line.held[unit] if line.state == "reserved" else 0

    def used(self, rule: Rule) -> tuple[int, int]:
        """Spent and reserved of what a limit counts."""
        lines = list(self.counted(*rule))
        return sum(spent for _, spent, _ in lines), sum(reserved for _, _, reserved in lines)

    def frees_ms(self, rule: Rule, amount: int) -> int | None:
        """When so much of what a rolling window holds has left it."""
        _, limit = rule
        for line, spent, _ in sorted(self.counted(*rule), key=lambda found: found[0].at_ms):
            amount -= spent
            if amount <= 0:
                return line.at_ms + limit.span_ms
        return None

    # -- what is told once ----------------------------------------------------------------------

    def marks(self, books: list[Book], entry: Entry, terms: Terms) -> tuple[Mark, ...]:
        """The fractions of limits that are reached, and were not told before."""
        found = []
        for book, limit in self.rules(books) if terms.soft_ppm else ():
            if limit.amount and limit.covers(entry.subject):
                spent, _ = self.used((book, limit))
                reached = [ppm for ppm in terms.soft_ppm if spent * WHOLE_PPM >= limit.amount * ppm]
                found += [Mark(book.key, limit, ppm, spent) for ppm in reached if self.tell(book, limit, ppm)]
        return tuple(found)

    def news(self, book: Book, limit: Limit, ppm: int) -> tuple[int, int] | None:
        """What to note the first time in a period, or in the length of a rolling window; None after it."""
        amount, since_ms = book.told.get((limit.key, ppm), (-1, 0))
        moment = book.periods[limit.key].start_ms if limit.tz else self.now_ms if limit.span_ms else 0
        known = amount == limit.amount and moment - since_ms < (limit.span_ms or 1)
        return None if known else (limit.amount, moment)

    def tell(self, book: Book, limit: Limit, ppm: int) -> bool:
        """True the first time; it is noted."""
        news = self.news(book, limit, ppm)
        if news is not None:
            book.told[limit.key, ppm] = news
        return news is not None

    # -- what is shown --------------------------------------------------------------------------

    def view(self, book: Book) -> AccountView:
        """One account."""
        spent, reserved = NOTHING, NOTHING
        subjects: dict[Subject, tuple[Amounts, Amounts]] = {}
        tally: Counter[str] = Counter()
        for line in self.lines:
            if book.key not in line.epochs:
                continue
            current = line.epochs[book.key] == book.epoch
            if current:
                tally.update(line.tally)
            if line.state != "refused":
                more = (
                    line.booked if current else NOTHING,
                    line.held if line.state == "reserved" else NOTHING,
                )
                subject = self.shown(book, line.entry.subject, subjects)
                before = subjects.get(subject, (NOTHING, NOTHING))
                subjects[subject] = before[0].plus(more[0]), before[1].plus(more[1])
                spent, reserved = spent.plus(more[0]), reserved.plus(more[1])
        books = self.path_to(book)
        return AccountView(
            key=book.key,
            spent=spent,
            reserved=reserved,
            subjects={subject: sums for subject, sums in subjects.items() if sums != (NOTHING, NOTHING)},
            tally={name: count for name, count in tally.items() if count},
            limits=tuple(self.limit_view(rule) for rule in self.in_order(books) if rule[0] is book),
            for_sessions=tuple(
                limit for limit in book.limits() if limit.window == "session" and not is_session(book.key)
            ),
            tripped=book.tripped or book.reason,
            opened_ms=book.opened_ms,
            circuit="forced_open" if book.tripped is not None else book.circuit,
            sessions=len(self.sessions_below(book.key)),
        )

    def shown(self, book: Book, subject: Subject, known: Mapping[Subject, object]) -> Subject:
        """What an account shows a subject as: those beyond the most are one, where no limit tells them apart."""
        if subject in known or len(known) < MOST_SUBJECTS:
            return subject
        limits = [limit for owner, limit in self.in_order(self.path_to(book)) if owner is book]
        provider = subject.provider if subject.provider in {limit.provider for limit in limits} else None
        models, tool = (OTHER,) if subject.models else (), OTHER if subject.tool else None
        other = Subject(subject.kind, models, provider, tool)
        return other if all(limit.covers(subject) == limit.covers(other) for limit in limits) else subject

    def path_to(self, book: Book) -> list[Book]:
        """The accounts from the root to one."""
        books = [book]
        while books[0].above is not None:
            books.insert(0, books[0].above)
        return books

    def sessions_below(self, key: str) -> list[Book]:
        """The sessions right below an account, the newest first."""
        return [book for book in self.known() if is_session(book.key) and parent_key(book.key) == key][::-1]

    def limit_view(self, rule: Rule) -> LimitView:
        """One limit; a period that is over holds nothing."""
        book, limit = rule
        if limit.tz and not book.periods[limit.key].contains(self.now_ms):
            return LimitView(limit, 0, 0)
        spent, reserved = self.used(rule)
        frees_ms = self.frees_ms(rule, spent) if limit.span_ms and spent > 0 else None
        return LimitView(limit, spent, reserved, frees_ms)
