"""What the verbs write into: balances and records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..account import is_session
from ..amounts import NOTHING, Amounts
from ..call import Subject
from ..limits import Limit
from .base import Entry, State
from .circuit import Fuse
from .plan import Plan
from .spans import Rolling, Slot, Span

if TYPE_CHECKING:
    from .lanes import Lane, Line


Sums: TypeAlias = tuple[int, int, int, int, int, int]
ZERO: Sums = (0, 0, 0, 0, 0, 0)


class Count:
    """What was spent and what is reserved.

    Attributes:
        sums: spent USD, tokens and calls, then the reserved ones; replaced as a whole.
    """

    __slots__ = ("sums",)

    def __init__(self) -> None:
        self.sums = ZERO

    @property
    def spent(self) -> Amounts:
        return Amounts(*self.sums[:3])

    @property
    def reserved(self) -> Amounts:
        return Amounts(*self.sums[3:])

    def forget(self, plan: Plan) -> None:
        """Nothing was spent; what is reserved stays."""
        plan.moves.append((self, (0, 0, 0, *self.sums[3:])))


class Balance:
    """One account."""

    __slots__ = (
        "below", "declared", "epoch", "folded", "fuse", "key", "limits", "line", "marks",
        "opened_ms", "session", "spans", "subjects", "tally", "total", "tripped", "used_ms",
    )  # fmt: skip

    def __init__(self, key: str, now_ms: int) -> None:
        self.key = key
        self.session = is_session(key)
        self.total = Count()
        self.subjects: dict[Subject, Count] = {}
        self.tally: dict[str, int] = {}
        # By limit key: as it was declared (None: set later), as it is in force (None: dropped).
        self.limits: dict[tuple[str, ...], tuple[Limit | None, Limit | None]] = {}
        self.declared: tuple[Limit, ...] = ()  # the declaration that was last found to agree
        self.spans: dict[tuple[str, ...], Span] = {}  # of the limits over windows, by limit key
        # Which fractions were told, by limit key: of which amount, and since when.
        self.marks: dict[tuple[tuple[str, ...], int], tuple[int, int]] = {}
        self.fuse: Fuse | None = None
        self.line: Line | None = None  # the path to here, as it was last opened
        self.epoch = 0  # the number of its last reset among all of the store
        self.tripped: str | None = None
        self.folded = NOTHING
        self.opened_ms = now_ms
        self.below = 0  # how many sessions are right below a session
        self.used_ms: int | None = None  # when a session was last noted to be in use

    def in_force(self) -> Iterator[Limit]:
        """Its limits, as they hold now."""
        return (limit for _, limit in self.limits.values() if limit is not None)


class Touched(NamedTuple):
    """A count that a call takes part in: of an account of its path, in one unit."""

    part: Slot | Rolling
    unit: int
    account: int


class Record:
    """One hold or charge, for as long as its id is remembered.

    Attributes:
        entry: as it was reserved or booked.
        lane: where it counts; None for a release that came first.
        held: what was set aside.
        minimum: what would have sufficed.
        touched: the counts of windows that it takes part in.
        fuse: the breaker that let it through.
        lease_ms: when its hold ends.
        epoch: the number of resets before it.
        outcome: where it stands.
    """

    __slots__ = ("entry", "epoch", "fuse", "held", "lane", "lease_ms", "minimum", "outcome", "touched")

    def __init__(
        self,
        entry: Entry,
        lane: Lane | None,
        outcome: Outcome,
        epoch: int,
        held: Amounts = NOTHING,
        minimum: Amounts = NOTHING,
        touched: tuple[Touched, ...] = (),
        fuse: Fuse | None = None,
        lease_ms: int = 0,
    ) -> None:
        self.entry = entry
        self.lane = lane
        self.outcome = outcome
        self.epoch = epoch
        self.held = held
        self.minimum = minimum
        self.touched = touched
        self.fuse = fuse
        self.lease_ms = lease_ms

    def is_of(self, entry: Entry, minimum: Amounts) -> bool:
        """True for the very reserve that made it."""
        mine = self.entry
        return (mine.subject, mine.amounts, mine.path[-1].key, self.minimum) == (
            entry.subject,
            entry.amounts,
            entry.path[-1].key,
            minimum,
        )

    def accounts(self) -> Iterator[tuple[Balance, bool]]:
        """Where it counts, and whether that is still in the epoch that it was made in."""
        for balance in self.lane.line.accounts if self.lane is not None else ():
            yield balance, balance.epoch <= self.epoch


class Outcome(NamedTuple):
    """Where a record stands: what was booked for it, which counters were added up, and when."""

    state: State
    booked: Amounts
    tally: Mapping[str, int]
    at_ms: int


RESERVED = Outcome("reserved", NOTHING, {}, 0)
RELEASED = Outcome("released", NOTHING, {}, 0)


def hold(plan: Plan, counts: Iterable[Count], amounts: Amounts) -> None:
    """Set aside so much more; each count at most once a plan."""
    usd, tokens, calls = amounts
    for count in counts:
        a, b, c, d, e, f = count.sums
        plan.moves.append((count, (a, b, c, d + usd, e + tokens, f + calls)))


def book(plan: Plan, counts: Iterable[Count], spent: Amounts, held: Amounts) -> None:
    """So much more is spent, for which so much was held; each count at most once a plan."""
    usd, tokens, calls = spent
    held_usd, held_tokens, held_calls = held
    for count in counts:
        a, b, c, d, e, f = count.sums
        sums = (a + usd, b + tokens, c + calls, d - held_usd, e - held_tokens, f - held_calls)
        plan.moves.append((count, sums))


def add_up(plan: Plan, balance: Balance, tally: Mapping[str, int]) -> None:
    """Count further in the named counters of an account."""
    counters = balance.tally
    for name, amount in tally.items():
        plan.puts.append((counters, name, counters.get(name, 0) + amount))
