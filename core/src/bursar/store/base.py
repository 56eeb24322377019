"""What a store has to do: every verb is one atomic step.

A hold lives ``reserved -> settled | released | in_doubt``. A store moves the
amounts of a hold through every account on its path at once, and checks every
limit of every account before the first change: all admit, or nothing happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from ..runtime.fast_init import maker
from ..values.account import Account
from ..values.amounts import NOTHING, Amounts
from ..values.call import Subject
from ..values.limits import Limit
from ..values.policy import Terms
from ..values.window import Calendar

Path = tuple[Account, ...]
State = Literal["reserved", "settled", "released", "in_doubt"]
Cause = Literal["limit", "loop", "velocity", "tripped"]
Circuit = Literal["closed", "open", "half_open", "forced_open"]
Ask = Literal["first", "again", "last"]

Verb = Literal[
    "reserve", "probe", "settle", "book", "doubt", "release", "extend", "set_limit", "drop_limit", "trip",
    "untrip", "reset", "acknowledge", "end", "read", "sessions", "audit", "facts", "roots", "holds",
    "history", "alerts", "claim", "delivered",
]  # fmt: skip

UNITS = ("usd", "tokens", "calls")  # of `Amounts`, in order
MOST_AT_ONCE = 200  # sessions or holds that one step of a store lists
MOST_DAYS = 400  # of accounts that one step of a store reads of a history: accounts times days
OTHER = "other"  # in a history: models, tools or accounts beyond those that it names
PLAIN = Terms()
NO_TALLY: Mapping[str, int] = MappingProxyType({})


class Entry(NamedTuple):
    """One line of the ledger: what is moved, and through which accounts.

    Attributes:
        id: made by the client before the call is sent; a repeated verb with the same id
            is applied once.
        path: the accounts from the root to the leaf.
        subject: what the selectors of limits look at.
        amounts: the worst case (`Store.reserve`), or what is booked (the others).
        tally: named counters that are added up in each account beside the amounts
            (token classes, estimates, savings), and taken back when a booking is corrected.
        periods: the calendar of now by time zone, as the client computes it.
        fingerprint: what tells a repeated call; None where its input is not known.
    """

    id: str
    path: Path
    subject: Subject
    amounts: Amounts
    tally: Mapping[str, int] = NO_TALLY
    periods: Mapping[str, Calendar] = MappingProxyType({})
    fingerprint: str | None = None


class Mark(NamedTuple):
    """A fraction of a limit was reached; told once a period.

    Attributes:
        account: the key of the account.
        limit: the limit.
        fraction_ppm: in millionths.
        spent: charged against the limit, in its unit.
    """

    account: str
    limit: Limit
    fraction_ppm: int
    spent: int


class StalePeriod(NamedTuple):
    """The calendar of the client is missing or over; nothing was changed. Ask again with that of `now_ms`.

    Attributes:
        now_ms: the store's time, milliseconds since the epoch.
        zones: the time zones that are needed.
    """

    now_ms: int
    zones: tuple[str, ...]


class Granted(NamedTuple):
    """The hold exists.

    Attributes:
        amounts: what is held: the worst case, or what was left of it.
        state: where the hold stands; a repeated reserve may find it closed already.
        repeated: True when this id had been granted before; nothing was changed.
        now_ms: the store's time, milliseconds since the epoch.
        ignored: the refusal that was not enforced.
    """

    amounts: Amounts
    state: State
    repeated: bool
    now_ms: int
    ignored: Refused | None = None

    @property
    def news(self) -> bool:
        """True when somebody should be told."""
        return self.ignored is not None and self.ignored.first


class Refused(NamedTuple):
    """A limit has no room, or an account is stopped. No balance was changed.

    Attributes:
        account: the key of the account that refused.
        limit: the limit without room; None when the account is stopped.
        spent: charged against the limit, in its unit.
        reserved: held by others, in its unit.
        asked: the worst case of the call, in its unit.
        tripped: why the account is stopped.
        retry_after_s: seconds until there may be room; None if waiting does not help.
        cause: a limit, a repeated call, spending too fast, or the kill switch; an open
            breaker names what opened it.
        kept: the part of what is left that only a finalization may spend, in nano-dollars.
        first: True when nobody was told of this before: of a limit in its period, of a trip.
        times: how often a repeated call was asked for, with this time.
        reason: what opened the breaker.
    """

    account: str
    limit: Limit | None = None
    spent: int = 0
    reserved: int = 0
    asked: int = 0
    tripped: str | None = None
    retry_after_s: float | None = None
    cause: Cause = "limit"
    kept: int = 0
    first: bool = False
    times: int = 0
    reason: str | None = None

    @property
    def remaining(self) -> int:
        """What the limit has left, in its unit; negative after an overrun."""
        return self.limit.amount - self.spent - self.reserved if self.limit else 0


class HeldLimit(NamedTuple):
    """A limit whose room others hold just now.

    Attributes:
        account: the key of the account that has it.
        limit: the limit, or the velocity of a breaker.
        spent: charged against it, in its unit.
        reserved: held there, in its unit.
        kept: the part of it that only a finalization may spend, in nano-dollars.
    """

    account: str
    limit: Limit
    spent: int
    reserved: int
    kept: int = 0


class Contended(NamedTuple):
    """Only calls in flight are in the way. No balance was changed.

    Attributes:
        limits: those in the way, the leaf's first.
        now_ms: the store's time, milliseconds since the epoch.
        expires_ms: no lease of the tree ends before that; None where nothing is known of it.
    """

    limits: tuple[HeldLimit, ...]
    now_ms: int
    expires_ms: int | None = None


class Booked(NamedTuple):
    """A charge is in the books.

    Attributes:
        held: what the hold had set aside; nothing for a charge without a hold.
        overrun_usd: nano-dollars booked above the hold.
        repeated: True when this very booking had been made before; nothing was changed.
        over: the first limit that is now exceeded, or the breaker that is now open, if any.
        now_ms: the store's time, milliseconds since the epoch.
        marks: fractions of limits that are reached, and were not told before.
    """

    held: Amounts
    overrun_usd: int
    repeated: bool
    over: Refused | None
    now_ms: int
    marks: tuple[Mark, ...] = ()

    @property
    def news(self) -> bool:
        """True when somebody should be told."""
        _, overrun_usd, repeated, over, _, marks = self
        return bool(marks) or (over is not None and over.first) or (overrun_usd > 0 and not repeated)


@dataclass(frozen=True, slots=True)
class LimitView:
    """Where a limit stands, in its unit.

    Attributes:
        frees_ms: when all that was spent in a rolling window has left it, milliseconds since
            the epoch; None for the other windows.
    """

    limit: Limit
    spent: int
    reserved: int
    frees_ms: int | None = None

    @property
    def remaining(self) -> int:
        """What is left; negative after an overrun."""
        return self.limit.amount - self.spent - self.reserved


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account at one moment.

    Attributes:
        spent: charged since the last reset.
        reserved: held by calls in flight.
        subjects: spent and reserved, by what the calls asked for; none of which both are nothing.
        tally: the named counters of `Entry`, and ``refusals``, ``overruns``, ``overrun_usd``; no zeros.
        limits: the limits in force here; for a session, those of its budgets for each session too.
        for_sessions: the limits that a budget sets for each of its sessions.
        tripped: why it is stopped, or None.
        opened_ms: when it was first used, milliseconds since the epoch.
        circuit: of its breaker; ``"forced_open"`` by the kill switch.
        sessions: how many sessions are right below it.
    """

    key: str
    spent: Amounts
    reserved: Amounts
    subjects: Mapping[Subject, tuple[Amounts, Amounts]]
    tally: Mapping[str, int]
    limits: tuple[LimitView, ...]
    for_sessions: tuple[Limit, ...]
    tripped: str | None
    opened_ms: int
    circuit: Circuit = "closed"
    sessions: int = 0


new_view = maker(AccountView)  # which readers make a thousand times

EMPTY_VIEW = AccountView("", NOTHING, NOTHING, MappingProxyType({}), MappingProxyType({}), (), (), None, 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Accounts at one and the same moment; `now_ms` is the store's time."""

    now_ms: int
    accounts: Mapping[str, AccountView]


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some of the sessions right below an account, the newest first.

    Attributes:
        now_ms: the store's time, milliseconds since the epoch.
        accounts: the sessions, by key.
        count: how many there are in all.
        after: what to ask for the next page with; empty when there is none.
    """

    now_ms: int
    accounts: Mapping[str, AccountView]
    count: int
    after: str


class OpenHold(NamedTuple):
    """A hold that is open.

    Attributes:
        id: of the call.
        account: the key of the account that it was made in.
        subject: what the call asks for.
        amounts: what is held.
        until_ms: when its lease ends, milliseconds since the epoch.
    """

    id: str
    account: str
    subject: Subject
    amounts: Amounts
    until_ms: int


@dataclass(frozen=True, slots=True)
class HoldPage:
    """Some of the open holds of a tree, by the end of their leases.

    Attributes:
        now_ms: the store's time, milliseconds since the epoch.
        holds: the one whose lease ends first comes first.
        after: what to ask for the next page with; empty when there is none.
    """

    now_ms: int
    holds: tuple[OpenHold, ...]
    after: str


@dataclass(frozen=True, slots=True)
class DayView:
    """What was booked in one account on one day.

    Attributes:
        day: its number: days after 1970-01-01, in the time zone that was asked for.
        spent: all that was booked, corrections by hand included.
        models: what calls to models cost, by the requested model; `OTHER` for those beyond 50.
        tools: what runs of tools cost, likewise.
        tally: the named counters of `AccountView`, and ``in_doubt`` (calls that are booked without a
            known cost, until a settle corrects them), ``alerts``; no zeros.
    """

    day: int
    spent: Amounts
    models: Mapping[str, Amounts]
    tools: Mapping[str, Amounts]
    tally: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HistoryView:
    """What was booked in accounts, day by day.

    Attributes:
        now_ms: the store's time, milliseconds since the epoch.
        since: the number of the first day that the history knows all of: that of the first booking
            of the tree, or of the upgrade of a ledger that had none.
        accounts: the days on which something was booked or refused, the oldest first, by key.
    """

    now_ms: int
    since: int
    accounts: Mapping[str, tuple[DayView, ...]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of an audit: a balance, or the days of a history, that something else does not add up to."""

    account: str
    what: Literal["spent", "reserved", "history"]
    balance: Amounts
    records: Amounts


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
