"""What a budget and a session have in common: a view of one account in the store."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .errors import BursarError
from .ledger import verbs
from .ledger.ledger import Ledger
from .ledger.reading import read_path
from .ledger.steps import Steps, awaitable, blocking
from .reports.balance import BalanceView, account_views, balance
from .runtime.fork import OneProcess
from .store.entry import Path
from .values.limits import LimitLike, parse_limits
from .values.peer_names import unknown_name


class Handle(OneProcess):
    """An account by its path; the store has the numbers."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        self._ledger = ledger
        self._path = path

    if not TYPE_CHECKING:  # pragma: no branch - a checker knows which names there are

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(unknown_name(f"a {type(self).__name__}", name, dir(type(self))))

    def _balance(self) -> Steps[BalanceView]:
        """What was spent and what is left, at one moment."""
        snapshot = yield from read_path(self._path)
        return balance(account_views(snapshot, self._path))

    balance, abalance = blocking(_balance), awaitable(_balance)

    @property
    def spent(self) -> Decimal:
        """USD charged to this account, and to those below it."""
        return self.balance().spent

    @property
    def reserved(self) -> Decimal:
        """USD held by calls in flight."""
        return self.balance().reserved

    @property
    def remaining(self) -> Decimal | None:
        """USD left: the smallest over the USD limits of this account and all above it.

        Negative after an overrun; None without such a limit.
        """
        return self.balance().remaining

    @property
    def tokens_spent(self) -> int:
        """Input and output tokens charged here."""
        return self.balance().tokens_spent

    @property
    def calls(self) -> int:
        """Answered, paid calls to models."""
        return self.balance().calls

    def _report(self) -> Steps[dict[str, Any]]:
        """The cost report."""
        raise NotImplementedError

    def _repr_html_(self) -> str | None:
        """The figures of the report for a notebook, which shows the repr where the store cannot be asked."""
        from .reports.page import small_report  # only a notebook needs it

        with suppress(BursarError):
            return small_report(self._ledger.run(self._report()))
        return None

    def _set_limit(self, limit: LimitLike) -> Steps[None]:
        """Put a limit in force, for every process from its next reserve on.

        It replaces the limit over the same unit, window and selectors, or is added: over
        ``total`` it counts what was spent before, over a window it begins at zero. Programs
        that still declare the old one go on.

        Raises:
            InvalidAmount: it is not one.
        """
        (wanted,) = parse_limits((limit,), self._ledger.policy.tz)
        yield from verbs.set_limit(self._path, wanted)

    def _drop_limit(self, limit: LimitLike) -> Steps[None]:
        """Take the limit over the same unit, window and selectors out of force, for every process.

        Raises:
            InvalidAmount: it is not one.
        """
        (wanted,) = parse_limits((limit,), self._ledger.policy.tz)
        yield from verbs.drop_limit(self._path, wanted)

    def _trip(self, reason: str) -> Steps[None]:
        """Stop this account, and those below it: every reserve is refused from here on."""
        yield from verbs.trip(self._path, reason)

    def _untrip(self, reason: str) -> Steps[None]:
        """Let this account go on after `trip`, or after its breaker opened."""
        yield from verbs.untrip(self._path, reason)

    def _reset(self, reason: str) -> Steps[None]:
        """Begin anew: spent, windows, counters and the breaker; what is reserved stays.

        Accounts above and below keep their balances. Calls that are open are booked above this
        account only, and in its journal.
        """
        yield from verbs.reset(self._path, reason)

    set_limit, aset_limit = blocking(_set_limit), awaitable(_set_limit)
    drop_limit, adrop_limit = blocking(_drop_limit), awaitable(_drop_limit)
    trip, atrip = blocking(_trip), awaitable(_trip)
    untrip, auntrip = blocking(_untrip), awaitable(_untrip)
    reset, areset = blocking(_reset), awaitable(_reset)
