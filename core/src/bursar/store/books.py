"""What the memory store writes into: balances and records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..account import is_session
from ..amounts import NOTHING, Amounts
from ..call import Subject
from ..limits import Limit
from .base import Entry, Path, State
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

    @property
    def spent(self) -> Amounts:
        return Amounts(*self[:3])

    @property
    def reserved(self) -> Amounts:
        return Amounts(*self[3:])


ZERO = Sums()


_new = tuple.__new__  # a named tuple's own constructor takes twice as long


class Balance:
    """One account."""

    __slots__ = (
        "declared", "epoch", "folded", "fuse", "key", "limits", "line", "marks",
        "opened_ms", "session", "spans", "subjects", "sums", "tally", "tripped",
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
        self.line: Line | None = None  # the path to here, as it was last opened
        self.epoch = 0
        self.tripped: str | None = None
        self.folded = NOTHING
        self.opened_ms = now_ms

    def in_force(self) -> Iterator[Limit]:
        """Its limits, as they hold now."""
        return (limit for _, limit in self.limits.values() if limit is not None)


class Line:
    """A path that was opened, and what holds on it.

    Attributes:
        path: as it was declared.
        accounts: from the root to the leaf.
        session: the outermost session among them, and its place.
        rules: the limits in force, the leaf's first; as of `changed`.
        windows: those of them that forget.
    """

    __slots__ = ("accounts", "changed", "path", "rules", "session", "windows")

    def __init__(self, path: Path, accounts: tuple[Balance, ...]) -> None:
        self.path = path
        self.accounts = accounts
        places = (place for place, balance in enumerate(accounts) if balance.session)
        self.session = next(((accounts[place], place) for place in places), None)
        self.changed = 0
        self.rules: list[Rule] = []
        self.windows: list[Rule] = []


class Touched(NamedTuple):
    """A count that a call takes part in: of an account of its path, in one unit."""

    part: Slot | Rolling
    unit: int
    account: int


class Record:
    """One hold or charge, for as long as its id is remembered."""

    __slots__ = (
        "accounts", "entry", "epochs", "fuse", "held", "id", "lease_ms", "line",
        "minimum", "outcome", "touched",
    )  # fmt: skip

    def __init__(
        self,
        entry: Entry,
        line: Line | None,
        held: Amounts,
        state: State,
        touched: tuple[Touched, ...] = (),
        fuse: Fuse | None = None,
        lease_ms: int = 0,
        minimum: Amounts = NOTHING,
    ) -> None:
        self.id = entry.id
        self.entry = entry
        self.minimum = minimum
        self.line = line
        self.accounts = line.accounts if line is not None else ()
        self.epochs = [balance.epoch for balance in self.accounts]
        self.touched = touched
        self.fuse = fuse
        self.held = held
        self.lease_ms = lease_ms
        self.outcome = _OPEN if state == "reserved" else Outcome(state, NOTHING, {}, 0)

    def is_of(self, entry: Entry, minimum: Amounts) -> bool:
        """True for the very reserve that made it."""
        mine = self.entry
        return (mine.subject, mine.amounts, mine.path, self.minimum) == (
            entry.subject,
            entry.amounts,
            entry.path,
            minimum,
        )

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


_OPEN = Outcome("reserved", NOTHING, {}, 0)


def move(
    plan: Plan,
    balance: Balance,
    subject: Subject,
    tally: Mapping[str, int],
    spent: Amounts,
    taken: Amounts = NOTHING,
    given: Amounts = NOTHING,
) -> None:
    """Change one account; at most once a plan and account.

    Args:
        plan: takes the writes.
        balance: the account.
        subject: what the call is.
        tally: counters to add up.
        spent: what is spent more.
        taken: what is newly reserved.
        given: what is no longer reserved.
    """
    usd, tokens, calls = spent
    held_usd, held_tokens, held_calls = taken[0] - given[0], taken[1] - given[1], taken[2] - given[2]
    add, subjects = plan.writes.append, balance.subjects
    a, b, c, d, e, f = balance.sums
    sums = (a + usd, b + tokens, c + calls, d + held_usd, e + held_tokens, f + held_calls)
    add((setattr, (balance, "sums", _new(Sums, sums))))
    a, b, c, d, e, f = subjects.get(subject, ZERO)
    sums = (a + usd, b + tokens, c + calls, d + held_usd, e + held_tokens, f + held_calls)
    add((subjects.__setitem__, (subject, _new(Sums, sums))))
    if tally:
        counters = balance.tally
        for name, amount in tally.items():
            add((counters.__setitem__, (name, counters.get(name, 0) + amount)))
