"""`Days`: what was booked in each budget, day by day."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from operator import itemgetter

from ...values.account import other_account, root_key
from ...values.amounts import NOTHING, Amounts
from ...values.call import Subject
from ...values.window import DAY_MS, day_number
from ..views import OTHER, DayView, Finding
from .balances import Balance
from .constants import MOST_HISTORIES, MOST_NAMES, RETIRED
from .paths import CallPath, OpenDays
from .plan import Count, Plan

_LAST = 10**6  # later than any day

Label = tuple[str, str]  # the kind of a call, and the name of its model or tool


class Day:
    """What was booked in one account on one day of one time zone.

    Attributes:
        sums: by what was paid for.
        tally: named counters.
    """

    __slots__ = ("sums", "tally")

    def __init__(self) -> None:
        self.sums: dict[Label, Count] = {}
        self.tally: dict[str, int] = {}

    def spent(self) -> Amounts:
        """All that was booked."""
        total = NOTHING
        for count in self.sums.values():
            total = total.plus(count.spent)
        return total

    def view(self, day: int) -> DayView:
        """What readers are shown."""
        named: dict[str, dict[str, Amounts]] = {"model": {}, "tool": {}, "correction": {}}
        for (kind, name), count in self.sums.items():
            if count.spent != NOTHING:
                named[kind][name] = count.spent
        tally = {name: amount for name, amount in self.tally.items() if amount}
        return DayView(day, self.spent(), named["model"], named["tool"], tally)


Zones = dict[str, Day]  # one date, in each time zone that somebody counts by


class Days:
    """The days of each account.

    Args:
        commit: carries out a plan.
    """

    def __init__(self, commit: Callable[[Plan], None]) -> None:
        self._commit = commit
        self._days: dict[str, dict[int, Zones]] = {}
        # By root, of each account that has days: how much more they have than it has spent, as an audit
        # has to know. It was spent before a reset; less what was spent before the first day.
        self._apart: dict[str, dict[str, Amounts]] = {}
        self._order: deque[tuple[int, str]] = deque()  # the days, the oldest first
        self.since = 0  # the day of the upgrade of a ledger that had no history before
        self._dropped = 0  # days, so that nobody goes on to count in one of them

    # -- within a step ------------------------------------------------------------------------

    def book(
        self,
        plan: Plan,
        call_path: CallPath,
        spent: Amounts,
        tally: Mapping[str, int],
        at_ms: int,
        tz: str,
    ) -> None:
        """Add to a day of each budget on a path.

        Args:
            plan: takes the writes.
            call_path: where it counts, and what for.
            spent: what is booked more, or less.
            tally: named counters.
            at_ms: a moment of that day.
            tz: the time zone of the budget, whose own day is counted beside that of UTC.
        """
        utc = at_ms // DAY_MS
        local = utc if tz == "UTC" else day_number(at_ms, tz)
        named = spent != NOTHING
        of = (utc, local, tz, self._dropped)
        opened, named_too, counts = call_path.days
        if opened != of or (named and not named_too):
            counts = self._open(plan, call_path, OpenDays(of, named, ())).counts
        usd, tokens, calls = spent
        move, put = plan.moves.append, plan.puts.append
        for counters, count in counts:
            if named and count is not None:
                a, b, c, _, _, _ = count.sums
                move((count, (a + usd, b + tokens, c + calls, 0, 0, 0)))
            for name, amount in tally.items():
                put((counters, name, counters.get(name, 0) + amount))

    def part(self, plan: Plan, balance: Balance, spent: Amounts) -> None:
        """So much counts in the days of an account, and no more in what it has spent; or never did."""
        apart = self._sums(balance.key)
        if apart is not None:
            plan.put(self._apart[root_key(balance.key)], balance.key, apart.plus(spent))

    def expire(self, before: int) -> None:
        """Forget some of the days before one."""
        for date, key in self._due(before):
            plan, pasts = Plan(), self._apart.setdefault(root_key(key), {})
            day = (self._find(key, date) or {}).get("UTC")
            if self._others(key, date):
                spent = NOTHING if day is None else day.spent()
                plan.put(pasts, key, (self._sums(key) or NOTHING).minus(spent))
                plan.drop(self._days[key], date)
            else:
                plan.drop(pasts, key)
                plan.drop(self._days, key)
            plan.set(self, "_dropped", self._dropped + 1)
            self._commit(plan)
            self._expired(date, key)

    def _open(self, plan: Plan, call_path: CallPath, days: OpenDays) -> OpenDays:
        utc, local, tz, _ = days.of
        counts: dict[int, tuple[dict[str, int], Count | None]] = {}
        for balance in call_path.open_path.accounts:
            if balance.session:
                break
            key = balance.key if self._find(balance.key, utc) is not None else self._enrolled(balance)
            for date, zone in ((utc, "UTC"), (local, tz)):
                day = self._zones(key, date).setdefault(zone, Day())
                count = self._count(plan, day, call_path.subject) if days.named else None
                counts[id(day)] = day.tally, count  # twice the same where all others share one
        opened = days._replace(counts=tuple(counts.values()))
        plan.set(call_path, "days", opened)
        return opened

    def _enrolled(self, balance: Balance) -> str:
        """The account, or the one for all that come after the first 10,000 of a tree."""
        key, root = balance.key, root_key(balance.key)
        if self._sums(key) is not None:
            return key
        apart = NOTHING.minus(balance.total.spent)
        if self._size(root) >= MOST_HISTORIES:
            key, apart = other_account(root), NOTHING
        self._apart.setdefault(root, {}).setdefault(key, apart)
        return key

    def _count(self, plan: Plan, day: Day, subject: Subject) -> Count:
        label = label_of(subject)
        count = day.sums.get(label)
        if count is None and sum(kind == label[0] for kind, _ in day.sums) >= MOST_NAMES:
            label = label[0], OTHER
            count = day.sums.get(label)
        if count is None:
            count = Count()
            plan.put(day.sums, label, count)
        return count

    # -- what is read -------------------------------------------------------------------------

    def views(self, key: str, first: int, last: int, tz: str) -> tuple[DayView, ...]:
        """The days of an account between two, the oldest first."""
        between = self._between(key, first, last)
        return tuple(zones[tz].view(date) for date, zones in between if tz in zones)

    def audit(self, balances: Iterable[Balance]) -> Iterator[Finding]:
        """The accounts whose days do not add up to what they have spent."""
        for balance in balances:
            apart = self._sums(balance.key)
            if apart is not None:
                total = NOTHING
                for _, zones in self._between(balance.key, 0, _LAST):
                    total = total.plus(zones["UTC"].spent() if "UTC" in zones else NOTHING)
                expected = balance.total.spent.plus(apart)
                if total != expected:
                    yield Finding(balance.key, "history", expected, total)

    # -- where the days are kept --------------------------------------------------------------

    def _find(self, key: str, date: int) -> Zones | None:
        return self._days.get(key, {}).get(date)

    def _zones(self, key: str, date: int) -> Zones:
        """A day of an account, made where it is new."""
        found = self._find(key, date)
        if found is None:
            found = self._days.setdefault(key, {})[date] = {}
            self._order.append((date, key))
        return found

    def _between(self, key: str, first: int, last: int) -> Iterable[tuple[int, Zones]]:
        """The days of an account between two, the oldest first."""
        return sorted(
            (line for line in self._days.get(key, {}).items() if first <= line[0] <= last), key=itemgetter(0)
        )

    def _sums(self, key: str) -> Amounts | None:
        """How much more its days have than an account has spent; None without days."""
        return self._apart.get(root_key(key), {}).get(key)

    def _size(self, root: str) -> int:
        """How many accounts of a tree have days."""
        return len(self._apart.get(root, ()))

    def _others(self, key: str, date: int) -> bool:
        """Whether an account has a day beside this one."""
        return any(other != date for other in self._days.get(key, ()))

    def _due(self, before: int) -> list[tuple[int, str]]:
        if not self._order or self._order[0][0] >= before:
            return []
        return [line for line in islice(self._order, RETIRED) if line[0] < before]

    def _expired(self, date: int, key: str) -> None:
        self._order.popleft()


def label_of(subject: Subject) -> Label:
    """What a call is paid for, as a day counts it."""
    if subject.kind == "model":
        return "model", subject.models[0] if subject.models else ""
    return subject.kind, subject.tool or ""
