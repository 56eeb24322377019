"""A round: a budget that is small enough to be spent in seconds, by everybody at once."""

from __future__ import annotations

import random
from typing import NamedTuple

from bursar import Budget
from bursar.store import Store

from .provider import MEAN

LEASE_S = 1.0
WINDOWS = ("total",) * 4 + ("24h", "day")
TENANTS = 2


class Round(NamedTuple):
    """Limits, the same for whoever works them out.

    Attributes:
        number: of the ledger on the bill.
        limit: nano-dollars for all.
        share: nano-dollars for each tenant; 0 where there are none, and sessions spend from the root.
        window: of the limit for all.
        patient: True where late answers are waited for.
        tz: where the days of all rounds begin and end.
    """

    number: int
    limit: int
    share: int
    window: str
    patient: bool
    tz: str = "UTC"

    @property
    def name(self) -> str:
        """Of its account."""
        return f"round-{self.number}"

    def budget(self, store: Store) -> Budget:
        """The root."""
        return Budget(
            f"{self.limit / 10**9:.9f}/{self.window}",
            name=self.name,
            store=store,
            tz=self.tz,
            lease=LEASE_S,
            max_repeated_calls=None,
        )

    def tenants(self, store: Store) -> list[Budget]:
        """The budgets that sessions spend from."""
        root = self.budget(store)
        if not self.share:
            return [root] * TENANTS
        return [root.child(f"tenant-{n}", f"{self.share / 10**9:.9f}/total") for n in range(TENANTS)]


def round_of(seed: int, number: int, calls: int, tz: str = "UTC") -> Round:
    """What a seed says; `calls` is how many the largest may take, about."""
    dice = random.Random(f"{seed} {number}")
    limit = int(MEAN * calls ** dice.uniform(0.5, 1.0)) + dice.randrange(10**6)
    share = int(limit * dice.uniform(0.5, 0.7)) if dice.random() < 1 / 3 else 0
    return Round(number, limit, share, dice.choice(WINDOWS), dice.random() < 0.25, tz)
