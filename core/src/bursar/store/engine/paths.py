"""Opened paths of accounts, and the limits that a call meets on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...values.call import Subject
from ...values.policy import Terms
from ..entry import UNITS, Entry, Path
from ..views import OTHER
from .balances import Balance, Touched
from .breaker import CLOSED, CircuitBreaker
from .constants import MOST_SUBJECTS
from .plan import Count, Plan
from .rule import Rule


class OpenPath:
    """A path that was opened, and what holds on it.

    Attributes:
        path: as it was declared.
        accounts: from the root to the leaf.
        session: the outermost session among them, and its place.
        sessions: all sessions among them.
        rules: the limits in force, the leaf's first; as of `changed`.
        call_paths: the path as calls meet it, by what they ask for.
    """

    __slots__ = ("accounts", "call_paths", "changed", "path", "rules", "session", "sessions")

    def __init__(self, path: Path, accounts: tuple[Balance, ...]) -> None:
        self.path = path
        self.accounts = accounts
        places = (place for place, balance in enumerate(accounts) if balance.session)
        self.session = next(((accounts[place], place) for place in places), None)
        self.sessions = tuple(balance for balance in accounts if balance.session)
        self.changed = 0
        self.rules: list[Rule] = []
        self.call_paths: dict[Subject, CallPath] = {}


class OpenDays(NamedTuple):
    """The days of the history that the calls of a path were last counted in.

    Attributes:
        of: the number of the day in UTC, that of the budget's own day, the budget's time zone, and how
            many days had been dropped.
        named: True where what is spent is counted by name.
        counts: the counters of each day, and the sums of what is paid for.
    """

    of: tuple[int, int, str, int]
    named: bool
    counts: tuple[tuple[dict[str, int], Count | None], ...]


_NO_DAYS = OpenDays((0, 0, "", 0), False, ())


class CallPath:
    """A path as the calls for one subject meet it.

    Attributes:
        open_path: the path.
        subject: what they ask for.
        rules: the limits that they count against, the leaf's first; as of `changed`.
        windows: those of them that forget.
        counts: what they add to: each account, and the subject in it. Empty before the first.
        days: what they add to in the history.
    """

    __slots__ = ("changed", "counts", "days", "open_path", "rules", "subject", "windows")

    def __init__(self, open_path: OpenPath, subject: Subject, rules: Sequence[Rule], changed: int) -> None:
        self.open_path = open_path
        self.subject = subject
        self.rules = [rule for rule in rules if rule.plain or rule.limit.covers(subject)]
        self.windows = [rule for rule in self.rules if rule.window is not None]
        self.changed = changed
        self.counts: tuple[Count, ...] = ()
        self.days = _NO_DAYS

    def open(self, plan: Plan) -> tuple[Count, ...]:
        """The counts, from now on."""
        counts = []
        for balance in self.open_path.accounts:
            subject = self._counted(balance)
            count = balance.subjects.get(subject)
            if count is None:
                count = Count()
                plan.put(balance.subjects, subject, count)
            counts += [balance.total, count]
        plan.set(self, "counts", tuple(counts))
        return tuple(counts)

    def _counted(self, balance: Balance) -> Subject:
        """What an account counts the subject as: itself, or what stands for all beyond the most.

        A limit counts what it counts: where one tells the two apart, the subject counts as itself.
        """
        subject, subjects = self.subject, balance.subjects
        if subject in subjects or len(subjects) < MOST_SUBJECTS:
            return subject
        limits = [rule.limit for rule in self.open_path.rules if rule.balance is balance]
        named = subject.provider in {limit.provider for limit in limits}
        other = Subject(
            subject.kind,
            (OTHER,) if subject.models else (),
            subject.provider if named else None,
            OTHER if subject.tool else None,
        )
        alike = all(limit.covers(subject) == limit.covers(other) for limit in limits)
        return other if alike else subject

    def breaker(self, entry: Entry, terms: Terms) -> CircuitBreaker | None:
        """The breaker of the outermost session, where it has a say; made when it first has."""
        policy, session = terms.breaker, self.open_path.session
        if policy is None or session is None:
            return None
        balance, place = session
        breaker = balance.breaker
        looks = entry.fingerprint is not None or policy.velocity is not None
        if not looks and (breaker is None or breaker.trip is CLOSED):
            return None
        if breaker is None:
            breaker = balance.breaker = CircuitBreaker(balance.key, place)
        return breaker

    def touched(self, breaker: CircuitBreaker | None, terms: Terms, now_ms: int) -> tuple[Touched, ...]:
        """The windows that a call counts in; those of the accounts themselves are not among them."""
        limit = None
        if breaker is not None and terms.breaker is not None:
            limit = terms.breaker.velocity
        if limit is None and not self.windows:
            return ()
        touched = [
            Touched(rule.window.part(), rule.unit, rule.account)
            for rule in self.windows
            if rule.window is not None
        ]
        if breaker is not None and limit is not None and limit.covers(self.subject):
            touched.append(Touched(breaker.rate(limit, now_ms), UNITS.index(limit.unit), breaker.place))
        return tuple(touched)
