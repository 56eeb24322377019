"""`Rule`: one limit in force on an account of a path."""

from __future__ import annotations

from ...values.limits import Limit
from .balances import Balance
from .plan import Count
from .windows import Window


class Rule:
    """A limit in force on an account.

    Attributes:
        balance: of the account.
        limit: the limit.
        unit: the index of its unit in `Amounts`, and in the sums of a count.
        plain: True when every call counts.
        total: the count of its account, where that is what the limit counts; else None.
        window: what a limit over a window has counted; else None.
        own: True for a session's own limit in USD, from which its finalization reserve is kept.
        account: the place of its account on the path, from the root.
    """

    __slots__ = ("account", "balance", "limit", "own", "plain", "total", "unit", "window")

    def __init__(
        self,
        balance: Balance,
        limit: Limit,
        unit: int,
        plain: bool,
        total: Count | None,
        window: Window | None,
        own: bool,
        account: int,
    ) -> None:
        self.balance = balance
        self.limit = limit
        self.unit = unit
        self.plain = plain
        self.total = total
        self.window = window
        self.own = own
        self.account = account

    def used(self) -> tuple[int, int]:
        """Spent and reserved of what the limit counts, in its unit."""
        unit, total = self.unit, self.total
        if total is not None:
            sums = total.sums
            return sums[unit], sums[unit + 3]
        if self.window is not None:
            return self.window.spent, self.window.reserved
        covered = [
            count.sums for subject, count in self.balance.subjects.items() if self.limit.covers(subject)
        ]
        return sum(sums[unit] for sums in covered), sum(sums[unit + 3] for sums in covered)
