"""What is read of a store: accounts, holds and days at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from ..runtime.fast_init import maker
from ..values.amounts import NOTHING, Amounts
from ..values.call import Subject
from ..values.limits import Limit

Circuit = Literal["closed", "open", "half_open", "forced_open"]

MOST_AT_ONCE = 200  # sessions or holds that one step of a store lists
MOST_DAYS = 400  # of accounts that one step of a store reads of a history: accounts times days
OTHER = "other"  # in a history: models, tools or accounts beyond those that it names


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
