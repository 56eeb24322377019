"""A store of somebody else's, written from the protocol and the promises alone: one lock, and sums."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from bursar import HoldClosed
from bursar.store import (
    MOST_AT_ONCE,
    NOTHING,
    PLAIN,
    UNITS,
    WHOLE_PPM,
    AlertPage,
    Amounts,
    Ask,
    Booked,
    Breaker,
    Cause,
    Contended,
    Entry,
    Finding,
    Granted,
    HeldLimit,
    HistoryView,
    HoldPage,
    Limit,
    OpenHold,
    Path,
    Refused,
    SessionPage,
    Snapshot,
    StalePeriod,
    StoredAlert,
    Subject,
    Terms,
    is_session,
)

from .toy_alerts import Alerts
from .toy_days import Days
from .toy_lines import DAY_MS, Book, Line

HARD = -1  # what stands for a refusal among the fractions that were told


class ToyStore(Days, Alerts):
    """Balances in a list. Keeps every promise, forgets nothing, and is slow."""

    durability = "toy"

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.lock = threading.Lock()
        self.news_of_days, self.told, self.forgotten, self.due = [], {}, {}, {}

    # -- the verbs ------------------------------------------------------------------------------

    def reserve(
        self,
        entry: Entry,
        minimum: Amounts,
        terms: Terms = PLAIN,
        floor: Amounts | None = None,
        ask: Ask = "last",
    ) -> Granted | Contended | Refused | StalePeriod:
        with self.lock:
            now = self.now()
            floor = floor or minimum
            known = self.by_id.get(entry.id)
            if known is not None:
                same = known.entry._replace(periods=entry.periods) == entry
                if not same or (known.minimum, known.floor) != (minimum, floor):
                    raise HoldClosed(f"{entry.id!r} is another call")
                return Granted(known.held, known.state, True, now)  # type: ignore[arg-type]
            books = self.open(entry.path)
            zones = self.turn(books, entry)
            if zones:
                return StalePeriod(now, zones)
            verdict = self.verdict(books, entry, minimum, terms, floor, ask if terms.enforce else "last")
            if isinstance(verdict, Contended):
                if ask == "first":
                    tally = {"contended": 1}
                    epochs = self.epochs(books)
                    line = Line(entry, now, epochs, state="refused", tally=tally, at_ms=now, tz=terms.tz)
                    self.lines.append(line)
                return verdict
            ignored = None
            if isinstance(verdict, Refused):
                opens = verdict.cause != "loop" or self.is_open_by(books, entry, terms.breaker)
                refused = self.note(verdict, minimum, opens=opens)
                enforced = terms.enforce or refused.cause == "tripped"
                tally = {"refusals" if enforced else "would_refuse": 1}
                line = Line(
                    entry, now, self.epochs(books), state="refused", tally=tally, at_ms=now, tz=terms.tz
                )
                self.lines.append(line)
                self.tell_day(books, terms.tz, refused)
                self.keep(refused, entry)
                line.loop, line.told = verdict.cause == "loop", refused.first
                if enforced:
                    return refused
                ignored = refused
            held = verdict if isinstance(verdict, Amounts) and terms.enforce else entry.amounts
            session = self.session(books) if terms.breaker is not None and ignored is None else None
            if session is not None and session.circuit != "closed":
                session.circuit, session.trying = "half_open", entry.id
                session.forgiven = len(self.lines)
            line = Line(entry, now, self.epochs(books), held, minimum, now + terms.lease_ms, floor=floor)
            line.seen, line.tz = ignored is None and terms.breaker is not None, terms.tz
            self.add(line)
            return Granted(held, "reserved", False, now, ignored)

    def probe(
        self, entry: Entry, minimum: Amounts, terms: Terms = PLAIN, floor: Amounts | None = None
    ) -> Granted | Refused | StalePeriod:
        with self.lock:
            now, known = self.now(), dict(self.books)
            ended = {book.key: book.ended_ms for book in self.books.values()}
            books = self.open(entry.path)
            zones = self.turn(books, entry)
            verdict = self.verdict(books, entry, minimum, terms, floor or minimum, "last")
            assert not isinstance(verdict, Contended)
            if isinstance(verdict, Refused):
                verdict = self.worded(verdict, minimum)
            self.books = known
            for book in known.values():
                book.ended_ms = ended[book.key]
            if zones:
                return StalePeriod(now, zones)
            return verdict if isinstance(verdict, Refused) else Granted(verdict, "reserved", False, now)

    def settle(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        with self.lock:
            return self.conclude(entry, "settled", terms)

    def book(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        with self.lock:
            return self.conclude(entry, "settled", terms, unheld=True)

    def doubt(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        with self.lock:
            return self.conclude(entry, "in_doubt", terms)

    def release(self, id: str, path: Path, tally: Mapping[str, int]) -> None:
        with self.lock:
            now = self.now()
            line = self.by_id.get(id)
            if line is None:
                self.add(Line(Entry(id, path, Subject("model"), NOTHING), now, {}, state="released"))
            elif line.state == "reserved":
                self.close(line, "released", NOTHING, tally)
            elif line.state != "released":
                raise HoldClosed(f"{id!r} is booked already")

    def extend(self, id: str, path: Path, lease_ms: int) -> None:
        with self.lock:
            now = self.now()
            line = self.by_id.get(id)
            if line is None or line.state != "reserved":
                raise HoldClosed(f"{id!r} is not open")
            line.until_ms = now + lease_ms

    def set_limit(self, path: Path, limit: Limit) -> None:
        with self.lock:
            self.now()
            self.open(path)[-1].put(limit, len(self.lines))

    def drop_limit(self, path: Path, limit: Limit) -> None:
        with self.lock:
            self.now()
            self.open(path)[-1].drop(limit)

    def trip(self, path: Path, reason: str) -> None:
        with self.lock:
            self.now()
            self.open(path)[-1].tripped = reason

    def untrip(self, path: Path, reason: str) -> None:
        with self.lock:
            self.now()
            book = self.open(path)[-1]
            book.tripped = None
            book.close(len(self.lines))

    def reset(self, path: Path, reason: str) -> None:
        with self.lock:
            self.now()
            book = self.open(path)[-1]
            book.epoch += 1
            book.told = {}
            book.close(len(self.lines))

    def acknowledge(self, root: str, reason: str) -> None:
        """Nothing is ever lost here."""

    def end(self, root: str, keys: tuple[str, ...]) -> None:
        with self.lock:
            now = self.now()
            for book in self.known():
                if book.key in keys and is_session(book.key):
                    book.ended_ms = now

    def read(self, key: str, keys: tuple[str, ...] | None = None) -> Snapshot:
        with self.lock:
            now = self.now()
            books = [book for book in self.known() if not is_session(book.key)]
            inside = [
                b
                for b in books
                if b.key == key or f"{b.key}/".startswith(f"{key}/") or f"{key}/".startswith(f"{b.key}/")
            ]
            if keys is not None:
                inside = [book for name in keys for book in self.known() if book.key == name]
            return Snapshot(now, {book.key: self.view(book) for book in inside})

    def sessions(self, key: str, after: str = "", limit: int = MOST_AT_ONCE) -> SessionPage:
        with self.lock:
            now = self.now()
            below, start = self.sessions_below(key), int(after or 0)
            end = start + min(limit, MOST_AT_ONCE)
            views = {book.key: self.view(book) for book in below[start:end]}
            return SessionPage(now, views, len(below), str(end) if end < len(below) else "")

    def holds(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> HoldPage:
        with self.lock:
            now = self.now()
            held = sorted(
                (line.until_ms, line.entry.id, line)
                for line in self.by_id.values()
                if line.state == "reserved" and line.entry.path[0].key == root
            )
            start = int(after or 0)
            end = start + min(limit, MOST_AT_ONCE)
            found = tuple(
                OpenHold(id, line.entry.path[-1].key, line.entry.subject, line.held, until_ms)
                for until_ms, id, line in held[start:end]
            )
            return HoldPage(now, found, str(end) if end < len(held) else "")

    def history(self, root: str, keys: tuple[str, ...], days: int, tz: str = "UTC") -> HistoryView:
        with self.lock:
            return self.totals(root, keys, days, tz)

    def alerts(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> AlertPage:
        with self.lock:
            return self.listed(root, after, limit)

    def claim(self, root: str, idle_ms: int, limit: int = MOST_AT_ONCE) -> tuple[StoredAlert, ...]:
        with self.lock:
            return self.claimed(root, idle_ms, limit)

    def delivered(self, root: str, ids: tuple[str, ...]) -> None:
        with self.lock:
            for alert in self.told.get(root, []):
                if alert.id in ids:
                    self.due.pop(alert.id, None)

    def roots(self) -> tuple[str, ...]:
        with self.lock:
            return tuple(book.key for book in self.books.values() if book.above is None)

    def audit(self, root: str) -> tuple[Finding, ...]:
        return ()  # there are no balances that could differ from their lines

    async def acall(self, verb: str, *arguments: Any) -> Any:
        return await asyncio.to_thread(getattr(self, verb), *arguments)

    # -- what is admitted -----------------------------------------------------------------------

    def verdict(
        self, books: list[Book], entry: Entry, minimum: Amounts, terms: Terms, floor: Amounts, ask: Ask
    ) -> Amounts | Contended | Refused:
        """What is granted, or why nothing is; changes nothing."""
        for book in books:
            if book.tripped is not None:
                return Refused(book.key, tripped=book.tripped, cause="tripped")
        session, breaker = self.session(books), terms.breaker
        if session is not None and breaker is not None and session.circuit != "closed":
            wait_ms = None
            if session.circuit == "open" and breaker.cooldown_ms is not None:
                wait_ms = session.broke_ms + breaker.cooldown_ms - self.now_ms
            if session.trying is not None or (session.circuit == "open" and (wait_ms is None or wait_ms > 0)):
                wait_s = None if wait_ms is None else wait_ms / 1000
                return Refused(session.key, tripped=session.reason, retry_after_s=wait_s, cause=session.cause)
        loop = self.repeated(books, entry, terms)
        if loop is not None:
            return loop
        granted = list(entry.amounts)
        spent_out: list[Refused] = []
        held_out: list[Refused] = []
        held: list[HeldLimit] = []
        rules: list[tuple[Book, Limit, Cause]] = [(*rule, "limit") for rule in self.rules(books)]
        if session is not None and breaker is not None and breaker.velocity is not None:
            rules.append((session, breaker.velocity, "velocity"))
        for book, limit, cause in rules:
            if not limit.covers(entry.subject):
                continue
            unit = UNITS.index(limit.unit)
            own = is_session(book.key) and limit.window == "session" and limit.unit == "usd"
            kept = terms.kept(limit.amount) if own and not limit.selective else 0
            spent, reserved = self.used((book, limit))
            room, least = limit.amount - spent - kept - reserved, minimum[unit]
            useful, asked = max(floor[unit], least), entry.amounts[unit]
            refused = Refused(book.key, limit, spent, reserved, asked, cause=cause, kept=kept)
            if room + reserved < least:
                slow = cause == "velocity"
                wait_s = self.cooldown_s(terms) if slow else self.wait_s(book, limit, least, room)
                spent_out += [refused._replace(retry_after_s=wait_s)] if not (slow and spent_out) else []
            elif room < min(useful, room + reserved) and reserved and ask != "last":
                held.append(HeldLimit(book.key, limit, spent, reserved, kept))
            elif room < least:
                held_out.append(refused)
            else:
                share = terms.share_ppm
                if not reserved and not terms.others_wait:
                    share = max(share, WHOLE_PPM // 2)
                granted[unit] = min(granted[unit], room, max(room * share // WHOLE_PPM, useful))
        if spent_out:
            waits = [refused.retry_after_s for refused in spent_out]
            longest_s = max(wait_s for wait_s in waits if wait_s is not None) if None not in waits else None
            return spent_out[0]._replace(retry_after_s=longest_s)
        if held_out:
            return held_out[0]
        if held:
            ends = [line.until_ms for line in self.by_id.values() if line.state == "reserved"]
            return Contended(tuple(held), self.now_ms, min(ends))
        return Amounts(*granted)

    def repeated(self, books: list[Book], entry: Entry, terms: Terms) -> Refused | None:
        """The refusal of a call that was made too often with the same input."""
        session, breaker = self.session(books), terms.breaker
        if session is None or breaker is None or breaker.max_repeated is None or session.circuit != "closed":
            return None
        alike = self.same(session, entry, breaker)
        made = [line.made_ms for line in alike if not line.loop]
        times = len(made)
        if times < breaker.max_repeated:
            return None
        name = entry.subject.tool or (entry.subject.models or ("a call",))[0]
        within = f"within {breaker.loop_ms / 1000:g} s"
        reason = f"{name!r} was called {times} times with the same input {within}"
        wait_s = self.cooldown_s(terms)
        if not self.is_open_by(books, entry, breaker):
            wait_s = (made[-breaker.max_repeated] + breaker.loop_ms - self.now_ms) / 1000
        told = any(line.told for line in alike)
        return Refused(session.key, None, 0, 0, 0, None, wait_s, "loop", 0, not told, times + 1, reason)

    def is_open_by(self, books: list[Book], entry: Entry, breaker: Breaker | None) -> bool:
        """True when a call that is one too many opens the breaker, and is not only refused."""
        session = self.session(books)
        if session is None or breaker is None or breaker.max_repeated is None:
            return False
        in_a_row = 1
        for line in self.same(session, entry, breaker):
            in_a_row = in_a_row + 1 if line.loop else 1
        return breaker.loop_trips or in_a_row >= breaker.max_repeated

    def same(self, session: Book, entry: Entry, breaker: Breaker) -> list[Line]:
        """The same call, admitted or refused as a loop, within the window."""
        return [
            line
            for line in self.lines[session.forgiven :]
            if entry.fingerprint is not None and line.entry.fingerprint == entry.fingerprint
            if session.key in line.epochs and line.made_ms > self.now_ms - breaker.loop_ms
            if line.loop or (line.state not in ("refused", "released") and line.seen)
        ]

    def cooldown_s(self, terms: Terms) -> float | None:
        """Seconds until a breaker that opens now may be tried."""
        cooldown_ms = terms.breaker.cooldown_ms if terms.breaker is not None else None
        return None if cooldown_ms is None else cooldown_ms / 1000

    def wait_s(self, book: Book, limit: Limit, least: int, left: int) -> float | None:
        """Seconds until there may be room."""
        at_ms = book.periods[limit.key].end_ms if limit.tz else None
        if limit.span_ms:
            at_ms = self.frees_ms((book, limit), least - left)
        return None if at_ms is None or least > limit.amount else (at_ms - self.now_ms) / 1000

    def by_holds(self, refused: Refused, least: Amounts) -> bool:
        """True where only calls in flight are in the way."""
        limit = refused.limit
        if limit is None or refused.tripped is not None:
            return False
        return limit.amount - refused.spent - refused.kept >= least[UNITS.index(limit.unit)]

    def worded(self, refused: Refused, least: Amounts = NOTHING) -> Refused:
        """The refusal with its reason, and whether it is told for the first time."""
        book, limit = self.books[refused.account], refused.limit
        if refused.tripped is not None or self.by_holds(refused, least):
            return refused
        if refused.cause == "limit" and limit is not None:
            return refused._replace(first=self.news(book, limit, HARD) is not None)
        if refused.cause == "loop":
            return refused
        return refused._replace(first=True, reason=f"spending would pass {limit}")

    def note(self, refused: Refused, least: Amounts = NOTHING, *, opens: bool = True) -> Refused:
        """Carry out what a refusal changes: it opens the breaker, or is told for the first time."""
        book, limit, worded = self.books[refused.account], refused.limit, self.worded(refused, least)
        if self.by_holds(refused, least):
            return refused
        if refused.cause == "limit" and limit is not None:
            self.tell(book, limit, HARD)
        elif refused.tripped is None and opens:
            book.circuit, book.cause, book.reason = "open", refused.cause, worded.reason
            book.broke_ms, book.trying = self.now_ms, None
        return worded

    # -- what is booked -------------------------------------------------------------------------

    def conclude(
        self, entry: Entry, state: str, terms: Terms, *, unheld: bool = False
    ) -> Booked | StalePeriod:
        """Book a cost in place of what is held or booked."""
        now = self.now()
        line = self.by_id.get(entry.id)
        if line is not None and line.state == "settled":
            if state == "in_doubt" or line.booked == entry.amounts:
                return Booked(line.held, line.tally.get("overrun_usd", 0), True, None, now)
            raise HoldClosed(f"{entry.id!r} is settled already, with other amounts")
        if line is not None and line.state == "released" and state == "in_doubt":
            raise HoldClosed(f"{entry.id!r} is released already")
        if line is None or not line.epochs:
            books = self.open(entry.path)
            zones = self.turn(books, entry)
            if zones:
                return StalePeriod(now, zones)
            line = Line(entry, now, self.epochs(books), tz=terms.tz)
            self.add(line)
        else:
            books = [self.books[key] for key in line.epochs]
            self.turn(books, entry)
        held = NOTHING if line.state == "released" else line.held
        exceeds = any(more > less for more, less in zip(entry.amounts, held, strict=True))
        overrun = 0 if unheld else max(0, entry.amounts.usd - held.usd)
        tally = dict(entry.tally)
        if exceeds and not unheld:
            tally |= {"overruns": 1, "overrun_usd": overrun}
        self.close(line, state, entry.amounts, tally)
        marks = self.marks(books, entry, terms)
        over = self.over(books, entry, terms) if exceeds else None
        answer = Booked(held, overrun, False, over, now, marks)
        self.oldest = now // DAY_MS - terms.history_days + 1
        self.tell_day(books, line.tz, answer)
        self.keep(answer, entry)
        return answer

    def over(self, books: list[Book], entry: Entry, terms: Terms) -> Refused | None:
        """The first limit that is exceeded now, or the velocity."""
        session, velocity = self.session(books), terms.breaker and terms.breaker.velocity
        causes: list[tuple[Book, Limit, Cause]] = [(*rule, "limit") for rule in self.rules(books)]
        if session is not None and velocity is not None and session.circuit != "open":
            causes.append((session, velocity, "velocity"))
        for book, limit, cause in causes:
            spent, reserved = self.used((book, limit))
            counted = spent if cause == "velocity" else spent + reserved
            if counted > limit.amount and limit.covers(entry.subject):
                asked = entry.amounts[UNITS.index(limit.unit)]
                wait_s = self.cooldown_s(terms) if cause == "velocity" else None
                return self.note(Refused(book.key, limit, spent, reserved, asked, None, wait_s, cause))
        return None
