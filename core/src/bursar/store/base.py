"""What a store has to do: every verb is one atomic step.

A hold lives ``reserved -> settled | released | in_doubt``. A store moves the
amounts of a hold through every account on its path at once, and checks every
limit of every account before the first change: all admit, or nothing happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from ..values.amounts import Amounts
from ..values.limits import Limit
from ..values.policy import Terms
from .entry import PLAIN, Ask, Entry, Path
from .results import Booked, Contended, Granted, Refused, StalePeriod
from .views import MOST_AT_ONCE, Finding, HistoryView, HoldPage, SessionPage, Snapshot

Verb = Literal[
    "reserve", "probe", "settle", "book", "doubt", "release", "extend", "set_limit", "drop_limit", "trip",
    "untrip", "reset", "acknowledge", "end", "read", "sessions", "audit", "facts", "roots", "holds",
    "history", "alerts", "claim", "delivered",
]  # fmt: skip


@runtime_checkable
class Store(Protocol):
    """Where balances live. Times are milliseconds, money is nano-dollars.

    Attributes:
        durability: what survives: ``"memory"`` ends with the process.
    """

    durability: str

    def reserve(
        self,
        entry: Entry,
        minimum: Amounts,
        terms: Terms = PLAIN,
        floor: Amounts | None = None,
        ask: Ask = "last",
    ) -> Granted | Contended | Refused | StalePeriod:
        """Set the worst case of a call aside, or a share of what is left, or refuse.

        Each limit has a room: its amount, less what is spent, kept and reserved. It refuses where the
        minimum does not even fit what is not spent. It is contended where others hold so much that the
        room is below the floor. Else it grants ``min(entry.amounts, room, max(share of the room, floor))``.
        Over all limits any refusal wins, then any contention, else the smallest grant. A repeated call
        is refused before any limit is asked.

        Creates accounts that do not exist. After the lease the hold is booked in full,
        in doubt. The breaker of the session decides in the same step.

        Args:
            entry: the call at its worst case.
            minimum: less than that is of no use.
            terms: of the budget, among them the share.
            floor: less than that is not granted while others hold the rest; `minimum` by default.
            ask: ``"first"`` counts a contended call, ``"again"`` writes nothing where it is still
                contended, ``"last"`` takes what is there down to the minimum, and is never contended.

        Raises:
            HoldClosed: the id belongs to another call, or was released before it arrived.
            LimitConflict: an account was declared with other limits.
        """
        ...

    def probe(
        self, entry: Entry, minimum: Amounts, terms: Terms = PLAIN, floor: Amounts | None = None
    ) -> Granted | Refused | StalePeriod:
        """What the last `reserve` would answer now; nothing is held, counted or told.

        Raises:
            LimitConflict: an account was declared with other limits.
        """
        ...

    def settle(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        """Book what the call cost. Always: the bill exists.

        An unknown or released hold is booked as a charge of its own, an overrun; one in
        doubt is corrected by the exact difference.

        Raises:
            HoldClosed: it was settled before, with other amounts.
        """
        ...

    def book(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        """Book a charge that nobody held, or a correction (negative amounts). Never refused."""
        ...

    def doubt(self, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        """Book a call whose cost cannot be known; a later settle corrects it.

        Does nothing when the call is settled already.

        Raises:
            HoldClosed: it was released before.
        """
        ...

    def release(self, id: str, path: Path, tally: Mapping[str, int]) -> None:
        """Give a hold back: the call was never sent, or cost nothing.

        An unknown id is remembered, so that a reserve of it that arrives late is refused.

        Raises:
            HoldClosed: it was settled, or booked in doubt, before.
        """
        ...

    def extend(self, id: str, path: Path, lease_ms: int) -> None:
        """Start the lease of an open hold anew.

        Raises:
            HoldClosed: it is not open.
        """
        ...

    def set_limit(self, path: Path, limit: Limit) -> None:
        """Put a limit in force in the last account: instead of the same one, or beside the others."""
        ...

    def drop_limit(self, path: Path, limit: Limit) -> None:
        """Take a limit of the last account out of force."""
        ...

    def trip(self, path: Path, reason: str) -> None:
        """Stop the last account, and with it all below: every reserve is refused."""
        ...

    def untrip(self, path: Path, reason: str) -> None:
        """Let the last account go on, and close its breaker."""
        ...

    def reset(self, path: Path, reason: str) -> None:
        """Start a new epoch of the last account: spent is zero, reserved stays.

        Calls that were reserved before it are booked above this account only.
        """
        ...

    def acknowledge(self, root: str, reason: str) -> None:
        """An operator accepts that this store lost data; its balances hold from here."""
        ...

    def end(self, root: str, keys: tuple[str, ...]) -> None:
        """These sessions have ended, and nobody can name them again; unknown ones are left out.

        A day later they are dropped, with the sessions below them, unless something is held there or somebody
        has used them since. What they spent stays in the accounts above them.
        """
        ...

    def read(self, key: str, keys: tuple[str, ...] | None = None) -> Snapshot:
        """A budget, those above it and all budgets below it, at one moment; none of their sessions.

        Args:
            key: of the budget; with `keys`, of any account of the tree.
            keys: the accounts to read instead. Unknown ones are left out.
        """
        ...

    def sessions(self, key: str, after: str = "", limit: int = MOST_AT_ONCE) -> SessionPage:
        """The sessions right below an account, the newest first; none where it is not known.

        Args:
            key: of the account.
            after: that of the page before.
            limit: how many; `MOST_AT_ONCE` at most.
        """
        ...

    def audit(self, root: str) -> tuple[Finding, ...]:
        """What does not add up: reserved against open holds, spent against charges. Empty when clean."""
        ...

    async def acall(self, verb: Verb, *arguments: Any) -> Any:
        """What a verb answers, without blocking the event loop.

        Args:
            verb: its name.
            arguments: those of the verb, by position; what is left out has its default.
        """
        ...


@runtime_checkable
class HasRoots(Protocol):
    """A store that can list its trees; a store need not."""

    def roots(self) -> tuple[str, ...]:
        """The keys of the roots, in no order. Not one moment: a tree that is made meanwhile may be left out.

        Raises:
            StoreUnavailable: it cannot be reached.
        """
        ...


@runtime_checkable
class HasHolds(Protocol):
    """A store that can list what is in flight; a store need not."""

    def holds(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> HoldPage:
        """The open holds of a tree, those first whose leases end first.

        Args:
            root: the key of the tree.
            after: that of the page before.
            limit: how many; `MOST_AT_ONCE` at most.
        """
        ...


@runtime_checkable
class HasHistory(Protocol):
    """A store that keeps totals by day; a store need not."""

    def history(self, root: str, keys: tuple[str, ...], days: int, tz: str = "UTC") -> HistoryView:
        """What was booked in budgets, day by day; their children and sessions included.

        A charge counts on the day on which it was booked first; what corrects it changes that day while
        its id is remembered. A reset changes no day.

        Args:
            root: the key of the tree.
            keys: of the budgets; `other_account` has what those beyond the first 10,000 spent.
            days: how many, today and back; times the keys no more than `MOST_DAYS`.
            tz: whose days; only those of UTC and of the time zones of budgets (`Terms.tz`) are counted.
        """
        ...
