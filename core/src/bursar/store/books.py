"""What the memory store writes into: balances and records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..account import is_session
from ..amounts import NOTHING, Amounts
from ..call import Subject
from ..limits import Limit
from .base import Entry, State
from .circuit import Fuse
from .plan import Plan
from .spans import Rolling, Slot, Span

if TYPE_CHECKING:
    from .rules import Rule


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
        "declared", "epoch", "folded", "fuse", "key", "limits", "marks", "opened_ms",
        "rules", "session", "spans", "subjects", "sums", "tally", "tripped",
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
        self.spans: dict[tuple[str, ...], Span] = {}  # of the limits over windows, by limit key
        # Which fractions were told, by limit key: of which amount, and since when.
        self.marks: dict[tuple[tuple[str, ...], int], tuple[int, int]] = {}
        self.fuse: Fuse | None = None
        self.rules: tuple[int, list[Rule]] = (0, [])  # what holds on the path to here, and since which change
        self.epoch = 0
        self.tripped: str | None = None
        self.folded = NOTHING
        self.opened_ms = now_ms

    def in_force(self) -> Iterator[Limit]:
        """Its limits, as they hold now."""
        return (limit for _, limit in self.limits.values() if limit is not None)


class Touched(NamedTuple):
    """A count that a call takes part in: of an account of its path, in one unit."""

    part: Slot | Rolling
    unit: int
    account: int


class Record:
    """One hold or charge, for as long as its id is remembered."""

    __slots__ = (
        "accounts", "epochs", "fuse", "held", "id", "lease_ms", "origin", "outcome", "subject", "touched",
    )  # fmt: skip

    def __init__(
        self,
        entry: Entry,
        accounts: tuple[Balance, ...],
        held: Amounts,
        state: State,
        touched: tuple[Touched, ...] = (),
        fuse: Fuse | None = None,
        lease_ms: int = 0,
        origin: object = None,
    ) -> None:
        self.id = entry.id
        self.accounts = accounts
        self.epochs = [balance.epoch for balance in accounts]
        self.subject = entry.subject
        self.touched = touched
        self.fuse = fuse
        self.held = held
        self.lease_ms = lease_ms
        self.origin = origin
        self.outcome = Outcome(state, NOTHING, {}, 0)

    def current(self) -> Iterator[tuple[Balance, bool]]:
        """Its accounts, and whether each is still in the epoch that the hold was made in."""
        for balance, epoch in zip(self.accounts, self.epochs, strict=True):
            yield balance, balance.epoch == epoch


class Outcome(NamedTuple):
    """Where a record stands: what was booked for it, which counters were added up, and when."""

    state: State
    booked: Amounts
    tally: Mapping[str, int]
    at_ms: int


def move(plan: Plan, balance: Balance, subject: Subject, more: Sums, tally: Mapping[str, int]) -> None:
    """Change one account; at most once a plan and account."""
    writes, subjects, counters = plan.writes, balance.subjects, balance.tally
    before = subjects.get(subject)
    writes.append((setattr, (balance, "sums", balance.sums.plus(more))))
    writes.append((subjects.__setitem__, (subject, before.plus(more) if before else more)))
    for name, amount in tally.items():
        if amount:
            writes.append((counters.__setitem__, (name, counters.get(name, 0) + amount)))
