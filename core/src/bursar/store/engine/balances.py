"""`Balance`: the sums, limits, windows and breaker of one account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ...values.account import is_session
from ...values.amounts import NOTHING, Amounts
from ...values.call import Subject
from ...values.limits import Limit
from .breaker import CircuitBreaker
from .plan import Count, Plan
from .windows import Rolling, Slot, Window


class Balance:
    """One account."""

    __slots__ = (
        "below", "breaker", "declared", "ended_ms", "epoch", "folded", "key", "limits", "marks", "number",
        "opened_ms", "session", "subjects", "tally", "total", "tripped", "used_ms", "windows",
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
        self.windows: dict[tuple[str, ...], Window] = {}  # of the limits over windows, by limit key
        # Which fractions were told, by limit key: of which amount, and since when.
        self.marks: dict[tuple[tuple[str, ...], int], tuple[int, int]] = {}
        self.breaker: CircuitBreaker | None = None
        self.epoch = 0  # the number of its last reset among all of the store
        self.tripped: str | None = None
        self.folded = NOTHING
        self.opened_ms = now_ms
        self.number = 0  # of a session, among all that were ever made
        self.below = 0  # how many sessions are right below it
        self.used_ms: int | None = None  # when a session was last noted to be in use
        self.ended_ms: int | None = None  # when it was said to have ended, if it was not used since

    def in_force(self) -> Iterator[Limit]:
        """Its limits, as they hold now."""
        return (limit for _, limit in self.limits.values() if limit is not None)


class Touched(NamedTuple):
    """A count that a call takes part in: of an account of its path, in one unit."""

    part: Slot | Rolling
    unit: int
    account: int


def hold(plan: Plan, counts: Iterable[Count], amounts: Amounts) -> None:
    """Set aside so much more; each count at most once a plan."""
    usd, tokens, calls = amounts
    move = plan.moves.append
    for count in counts:
        a, b, c, d, e, f = count.sums
        move((count, (a, b, c, d + usd, e + tokens, f + calls)))


def book(plan: Plan, counts: Iterable[Count], spent: Amounts, held: Amounts) -> None:
    """So much more is spent, for which so much was held; each count at most once a plan."""
    usd, tokens, calls = spent
    held_usd, held_tokens, held_calls = held
    move = plan.moves.append
    for count in counts:
        a, b, c, d, e, f = count.sums
        move((count, (a + usd, b + tokens, c + calls, d - held_usd, e - held_tokens, f - held_calls)))


def add_up(plan: Plan, balance: Balance, tally: Mapping[str, int]) -> None:
    """Count further in the named counters of an account."""
    counters, put = balance.tally, plan.puts.append
    for name, amount in tally.items():
        put((counters, name, counters.get(name, 0) + amount))
