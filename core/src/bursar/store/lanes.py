"""Paths of accounts that were opened, and what calls meet on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..call import Subject
from ..policy import Terms
from .base import UNITS, Entry, Path
from .books import Balance, Count, Touched
from .circuit import CLOSED, Fuse
from .plan import Plan

if TYPE_CHECKING:
    from .rules import Rule


class Line:
    """A path that was opened, and what holds on it.

    Attributes:
        path: as it was declared.
        accounts: from the root to the leaf.
        session: the outermost session among them, and its place.
        sessions: all sessions among them.
        rules: the limits in force, the leaf's first; as of `changed`.
        lanes: the path as calls meet it, by what they ask for.
    """

    __slots__ = ("accounts", "changed", "lanes", "path", "rules", "session", "sessions")

    def __init__(self, path: Path, accounts: tuple[Balance, ...]) -> None:
        self.path = path
        self.accounts = accounts
        places = (place for place, balance in enumerate(accounts) if balance.session)
        self.session = next(((accounts[place], place) for place in places), None)
        self.sessions = tuple(balance for balance in accounts if balance.session)
        self.changed = 0
        self.rules: list[Rule] = []
        self.lanes: dict[Subject, Lane] = {}


class Lane:
    """A path as the calls for one subject meet it.

    Attributes:
        line: the path.
        subject: what they ask for.
        rules: the limits that they count against, the leaf's first; as of `changed`.
        windows: those of them that forget.
        counts: what they add to: each account, and the subject in it. Empty before the first.
    """

    __slots__ = ("changed", "counts", "line", "rules", "subject", "windows")

    def __init__(self, line: Line, subject: Subject, rules: Sequence[Rule], changed: int) -> None:
        self.line = line
        self.subject = subject
        self.rules = [rule for rule in rules if rule.plain or rule.limit.covers(subject)]
        self.windows = [rule for rule in self.rules if rule.span is not None]
        self.changed = changed
        self.counts: tuple[Count, ...] = ()

    def open(self, plan: Plan) -> tuple[Count, ...]:
        """The counts, from now on."""
        counts = []
        for balance in self.line.accounts:
            count = balance.subjects.get(self.subject)
            if count is None:
                count = Count()
                plan.put(balance.subjects, self.subject, count)
            counts += [balance.total, count]
        plan.set(self, "counts", tuple(counts))
        return tuple(counts)

    def fuse(self, entry: Entry, terms: Terms) -> Fuse | None:
        """The breaker of the outermost session, where it has a say; made when it first has."""
        breaker = terms.breaker
        if breaker is None or self.line.session is None:
            return None
        balance, place = self.line.session
        fuse = balance.fuse
        if breaker.velocity is None and entry.fingerprint is None and (fuse is None or fuse.trip is CLOSED):
            return None
        if fuse is None:
            fuse = balance.fuse = Fuse(balance.key, place)
        return fuse

    def touched(self, fuse: Fuse | None, terms: Terms, now_ms: int) -> tuple[Touched, ...]:
        """The windows that a call counts in; those of the accounts themselves are not among them."""
        if fuse is None and not self.windows:
            return ()
        touched = [
            Touched(rule.span.part(), rule.unit, rule.account)
            for rule in self.windows
            if rule.span is not None
        ]
        limit = terms.breaker.velocity if terms.breaker is not None else None
        if fuse is not None and limit is not None and limit.covers(self.subject):
            touched.append(Touched(fuse.rate(limit, now_ms), UNITS.index(limit.unit), fuse.place))
        return tuple(touched)
