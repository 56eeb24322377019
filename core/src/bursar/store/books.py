"""What the memory store writes into: balances, records, and plans of writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..account import is_session
from ..amounts import NOTHING, Amounts
from ..call import Subject
from ..limits import Limit
from .base import Entry, State

UNITS = ("usd", "tokens", "calls")


class Sums(NamedTuple):
    """Spent and reserved in the three dimensions; also a change of them."""

    usd: int = 0
    tokens: int = 0
    calls: int = 0
    reserved_usd: int = 0
    reserved_tokens: int = 0
    reserved_calls: int = 0

    def plus(self, more: Sums) -> Sums:
        """The sums after a change."""
        usd, tokens, calls, reserved_usd, reserved_tokens, reserved_calls = self
        return Sums(
            usd + more[0],
            tokens + more[1],
            calls + more[2],
            reserved_usd + more[3],
            reserved_tokens + more[4],
            reserved_calls + more[5],
        )

    @property
    def spent(self) -> Amounts:
        return Amounts(*self[:3])

    @property
    def reserved(self) -> Amounts:
        return Amounts(*self[3:])


ZERO = Sums()


def change(spent: Amounts = NOTHING, *, taken: Amounts = NOTHING, given: Amounts = NOTHING) -> Sums:
    """What is spent more, newly reserved, and no longer reserved."""
    return Sums(*spent, taken[0] - given[0], taken[1] - given[1], taken[2] - given[2])


class Balance:
    """One account."""

    __slots__ = (
        "declared", "epoch", "folded", "key", "limits", "opened_ms",
        "rules", "session", "subjects", "sums", "tally", "tripped",
    )  # fmt: skip

    def __init__(self, key: str, now_ms: int) -> None:
        self.key = key
        self.session = is_session(key)
        self.sums = ZERO
        self.subjects: dict[Subject, Sums] = {}
        self.tally: dict[str, int] = {}
        # By limit key: as it was declared (None: set later), as it is in force (None: dropped).
        self.limits: dict[tuple[str, ...], tuple[Limit | None, Limit | None]] = {}
        self.declared: tuple[Limit, ...] = ()  # the declaration that was last found to agree
        self.rules: tuple[int, list[Rule]] = (0, [])  # what holds on the path to here, and since which change
        self.epoch = 0
        self.tripped: str | None = None
        self.folded = NOTHING
        self.opened_ms = now_ms

    def in_force(self) -> Iterator[Limit]:
        """Its limits, as they hold now."""
        return (limit for _, limit in self.limits.values() if limit is not None)


class Rule(NamedTuple):
    """A limit in force on an account.

    Attributes:
        unit: the index of its unit in `Sums`.
        plain: True when every call counts, so that the sums of the account are those of the limit.
    """

    balance: Balance
    limit: Limit
    unit: int
    plain: bool

    def used(self) -> tuple[int, int]:
        """Spent and reserved of what the limit counts, in its unit."""
        unit = self.unit
        if self.plain:
            return self.balance.sums[unit], self.balance.sums[unit + 3]
        covered = [sums for subject, sums in self.balance.subjects.items() if self.limit.covers(subject)]
        return sum(sums[unit] for sums in covered), sum(sums[unit + 3] for sums in covered)


def rule(balance: Balance, limit: Limit) -> Rule:
    """A limit as it is checked on an account."""
    return Rule(balance, limit, UNITS.index(limit.unit), limit.unit != "calls" and not limit.selective)


class Record:
    """One hold or charge, for as long as its id is remembered."""

    __slots__ = ("accounts", "epochs", "held", "id", "lease_ms", "origin", "outcome", "subject")

    def __init__(
        self,
        entry: Entry,
        accounts: tuple[Balance, ...],
        held: Amounts,
        state: State,
        lease_ms: int = 0,
        origin: object = None,
    ) -> None:
        self.id = entry.id
        self.accounts = accounts
        self.epochs = [balance.epoch for balance in accounts]
        self.subject = entry.subject
        self.held = held
        self.lease_ms = lease_ms
        self.origin = origin
        self.outcome = Outcome(state, NOTHING, {})

    def current(self) -> Iterator[tuple[Balance, bool]]:
        """Its accounts, and whether each is still in the epoch that the hold was made in."""
        for balance, epoch in zip(self.accounts, self.epochs, strict=True):
            yield balance, balance.epoch == epoch


class Outcome(NamedTuple):
    """Where a record stands: what was booked for it, and which counters were added up."""

    state: State
    booked: Amounts
    tally: Mapping[str, int]


class Plan:
    """The writes of one verb: decided first, then made.

    Each puts a final value, so that a plan cut short by an interrupt can simply be
    carried out again by the next verb: a verb happens whole or not at all.
    """

    __slots__ = ("writes",)

    def __init__(self) -> None:
        self.writes: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def set(self, target: object, name: str, value: object) -> None:
        self.writes.append((setattr, (target, name, value)))

    def put(self, mapping: dict[Any, Any], key: object, value: object) -> None:
        self.writes.append((mapping.__setitem__, (key, value)))

    def drop(self, mapping: dict[Any, Any], key: object) -> None:
        self.writes.append((mapping.pop, (key, None)))

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """A call that does no harm when it is made twice."""
        self.writes.append((function, arguments))

    def move(self, balance: Balance, subject: Subject, more: Sums, tally: Mapping[str, int]) -> None:
        """Change one account; at most once a plan and account."""
        writes, subjects, counters = self.writes, balance.subjects, balance.tally
        before = subjects.get(subject)
        writes.append((setattr, (balance, "sums", balance.sums.plus(more))))
        writes.append((subjects.__setitem__, (subject, before.plus(more) if before else more)))
        for name, amount in tally.items():
            if amount:
                writes.append((counters.__setitem__, (name, counters.get(name, 0) + amount)))
