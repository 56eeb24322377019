"""`Policy` and `Terms`: the decisions of a budget that pricing and the store need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .limits import Limit

UnknownOutcome = Literal["worst", "observed", "release"]

WHOLE_PPM = 1_000_000  # fractions of a limit are whole millionths: no float decides


class Breaker(NamedTuple):
    """What stops a session although its money would suffice.

    Attributes:
        max_repeated: how often a call may be made with the same input within `loop_ms`; None: no end.
        loop_ms: milliseconds.
        velocity: a limit over a rolling span; a call that would pass it stops the session.
        cooldown_ms: milliseconds after which one call at a time is tried again; None: never.
        loop_trips: True stops the session at the first call that is repeated too often; False refuses that
            call, and stops the session where it is refused `max_repeated` times in a row within `loop_ms`.
    """

    max_repeated: int | None
    loop_ms: int
    velocity: Limit | None
    cooldown_ms: int | None
    loop_trips: bool = False


class Terms(NamedTuple):
    """The decisions that a store acts on, in the same step as a reserve.

    Attributes:
        lease_ms: how long a hold lives without a settle.
        enforce: False admits what it would refuse, and says so.
        finalizing: True when the finalization reserve may be spent.
        kept_ppm: the finalization reserve as a fraction of a session's own limit in USD, in millionths.
        kept_nanos: or as an amount.
        soft_ppm: the fractions of a limit that are announced when they are reached, in millionths.
        breaker: what else stops a session.
        share_ppm: the largest part of what a limit has left that one call may hold where others hold
            something, in millionths; at least a half of it where nobody does.
        others_wait: True where other calls wait for the same room: nobody takes a half of it then.
        tz: the time zone of the budget, whose days the history counts by, beside those of UTC.
        history_days: how many days the history keeps.
    """

    lease_ms: int = 900_000
    enforce: bool = True
    finalizing: bool = False
    kept_ppm: int = 0
    kept_nanos: int = 0
    soft_ppm: tuple[int, ...] = ()
    breaker: Breaker | None = None
    share_ppm: int = WHOLE_PPM
    others_wait: bool = False
    tz: str = "UTC"
    history_days: int = 400

    def kept(self, amount: int) -> int:
        """The part of a session's own limit that only its finalization may spend, in nano-dollars."""
        if self.finalizing:
            return 0
        return self.kept_nanos + amount * self.kept_ppm // WHOLE_PPM

    def share(self, room: int, reserved: int) -> int:
        """The most that one call may hold of what a limit has left, unless its floor is more."""
        shared = reserved or self.others_wait
        ppm = self.share_ppm if shared else max(self.share_ppm, WHOLE_PPM // 2)
        return room * ppm // WHOLE_PPM


@dataclass(frozen=True, slots=True)
class Policy:
    """The decisions that the ledger acts on.

    Attributes:
        terms: those that it hands on to the store.
        unknown_outcome: what a call costs whose cost cannot be known.
        smallest_cap: the smallest useful output cap to clamp to; None never clamps.
        clamps_formats: False does not clamp calls whose answer is to have a format.
        floor_cap: the output cap that is worth waiting for, in tokens of one choice.
        wait_s: how long a call waits for others in flight without progress, in seconds; 0: not at all.
        tier: the service tier that every call is priced at; None asks the call.
        tool_prices: nano-dollars a run, by tool.
        tz: the time zone of its calendar limits.
        allow: the endpoints that pass although nothing bounds what they cost.
    """

    terms: Terms
    unknown_outcome: UnknownOutcome
    smallest_cap: int | None
    tier: str | None
    tool_prices: Mapping[str, int]
    tz: str = "UTC"
    allow: frozenset[str] = frozenset()
    clamps_formats: bool = True
    floor_cap: int = 8_192
    wait_s: float = 60
