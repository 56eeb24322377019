"""Sums of a limit over a window: calendar periods, and rolling windows in buckets."""

from __future__ import annotations

from typing import TypeAlias

from ...values.limits import Limit
from ...values.window import Period
from .constants import BUCKETS
from .plan import Plan


class Slot:
    """A limit in one calendar period."""

    __slots__ = ("period", "reserved", "spent")

    def __init__(self, period: Period) -> None:
        self.period = period
        self.spent = 0
        self.reserved = 0

    def move(
        self, plan: Plan, *, reserved: int = 0, at_ms: int = 0, spent: int = 0, was_ms: int = 0, was: int = 0
    ) -> None:
        """Change both; see `Rolling.move`."""
        plan.set(self, "reserved", self.reserved + reserved)
        plan.set(self, "spent", self.spent + spent - was)


class Periodic:
    """A limit over calendar periods. A call counts in the period in which it was reserved."""

    __slots__ = ("slot",)

    def __init__(self) -> None:
        self.slot = Slot(Period(0, 0))

    @property
    def spent(self) -> int:
        return self.slot.spent

    @property
    def reserved(self) -> int:
        return self.slot.reserved

    def part(self) -> Slot:
        """What a call that is reserved now counts in."""
        return self.slot

    def begin(self, plan: Plan, period: Period) -> None:
        """A new period, in which nothing was spent."""
        plan.set(self, "slot", Slot(period))

    def clear(self, plan: Plan) -> None:
        """Forget what was spent."""
        plan.set(self.slot, "spent", 0)


class Rolling:
    """A limit over a rolling span, in buckets.

    A bucket leaves when it is wholly outside the span, so that whatever any span of that
    length has seen is counted. Memory stays the same however many calls there are.
    """

    __slots__ = ("buckets", "first", "reserved", "span_ms", "spent", "width_ms")

    def __init__(self, span_ms: int) -> None:
        self.span_ms = span_ms
        self.width_ms = -(-span_ms // BUCKETS)
        self.buckets: dict[int, int] = {}
        self.first = 0  # the oldest bucket that counts
        self.spent = 0
        self.reserved = 0

    def part(self) -> Rolling:
        """What a call that is reserved now counts in."""
        return self

    def refresh(self, plan: Plan, now_ms: int) -> None:
        """Let the buckets go that are outside by now; before anything else in a step."""
        first = (now_ms - self.span_ms) // self.width_ms
        if first != self.first:
            live = {bucket: spent for bucket, spent in self.buckets.items() if bucket >= first}
            plan.set(self, "buckets", live)
            plan.set(self, "spent", sum(live.values()))
            plan.set(self, "first", first)

    def move(
        self, plan: Plan, *, reserved: int = 0, at_ms: int = 0, spent: int = 0, was_ms: int = 0, was: int = 0
    ) -> None:
        """Change both.

        Args:
            plan: takes the writes.
            reserved: what is held more, or less.
            at_ms: when `spent` is booked.
            spent: what is booked.
            was_ms: when `was` was booked.
            was: what the new booking replaces.
        """
        plan.set(self, "reserved", self.reserved + reserved)
        changes = {was_ms // self.width_ms: -was} if was else {}
        if spent:
            bucket = at_ms // self.width_ms
            changes[bucket] = changes.get(bucket, 0) + spent
        total = self.spent
        for bucket, change in changes.items():
            if bucket >= self.first:
                plan.put(self.buckets, bucket, self.buckets.get(bucket, 0) + change)
                total += change
        plan.set(self, "spent", total)

    def clear(self, plan: Plan) -> None:
        """Forget what was spent."""
        plan.set(self, "buckets", {})
        plan.set(self, "spent", 0)

    def frees_ms(self, amount: int) -> int | None:
        """When so much of what was spent has left; None if there is not so much."""
        left = amount
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return (bucket + 1) * self.width_ms + self.span_ms
        return None


Window: TypeAlias = "Periodic | Rolling"


def window(limit: Limit) -> Window | None:
    """The empty count of a limit over a window; None where the account itself counts."""
    if limit.span_ms:
        return Rolling(limit.span_ms)
    return Periodic() if limit.tz else None
