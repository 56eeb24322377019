"""What the verbs of a store answer."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..values.amounts import Amounts
from ..values.limits import Limit

State = Literal["reserved", "settled", "released", "in_doubt"]
Cause = Literal["limit", "loop", "velocity", "tripped"]


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
