"""The circuit breaker of a session."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from ...values.limits import Limit
from ...values.policy import Breaker
from ..entry import UNITS, Entry
from ..results import Cause, Refused
from ..views import Circuit
from .constants import MOST_CALLS
from .plan import Plan
from .windows import Rolling


class Trip(NamedTuple):
    """What opened a breaker, and which call is trying whether it may close."""

    state: Circuit
    cause: Cause
    reason: str
    opened_ms: int
    probe: str | None


REFUSED, TOLD = "!", "?"
"""After the fingerprint of a call: when it was refused in a row, and when that was told last."""

CLOSED = Trip("closed", "tripped", "", 0, None)


class CircuitBreaker:
    """The circuit breaker pattern for a session: stops calls that repeat, or that spend too fast.

    States: ``closed`` (calls pass), ``open`` (every call is refused, until `cooldown` is over),
    ``half_open`` (one call at a time may try; its settle closes the breaker, others are refused).
    ``forced_open``, the kill switch, is kept by the account and not here. All of it belongs to the
    account of the outermost session of a path and changes in the step of the store that reserves, so
    that every process sees one breaker: in memory here, as rows in SQLite, as a hash in Redis, where
    ``lua/breaker.lua`` has the same rules.

    Args:
        account: the key of the session.
        place: of its account on a path, from the root.
    """

    __slots__ = ("account", "calls", "place", "rates", "trip")

    def __init__(self, account: str, place: int) -> None:
        self.account = account
        self.place = place
        self.trip = CLOSED
        # When, by fingerprint; the latest call is last. Ordered, since a dict looks through all that have
        # left before it finds the oldest.
        self.calls: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self.rates: dict[tuple[str, ...], Rolling] = {}  # what was spent lately, by velocity

    def refusal(self, policy: Breaker, now_ms: int) -> Refused | None:
        """Why an open breaker refuses; None where it is closed or may be tried."""
        trip = self.trip
        if trip.state == "closed" or (trip.state == "half_open" and trip.probe is None):
            return None
        wait_s = None
        if trip.state == "open" and policy.cooldown_ms is not None:
            left_ms = trip.opened_ms + policy.cooldown_ms - now_ms
            if left_ms <= 0:
                return None
            wait_s = left_ms / 1000
        return Refused(self.account, tripped=trip.reason, retry_after_s=wait_s, cause=trip.cause)

    def repeated(self, plan: Plan, entry: Entry, policy: Breaker, now_ms: int) -> Refused | None:
        """The refusal of a call that was made too often with the same input; it may open the breaker."""
        call, most = entry.fingerprint, policy.max_repeated
        if (
            call is None
            or most is None
            or len(self.calls.get(call, ())) < most
            or self.trip.state != "closed"
        ):
            return None
        made = self._lately(call, policy, now_ms)
        if len(made) < most:
            return None
        name = entry.subject.tool or (entry.subject.models or ("a call",))[0]
        within = f"{policy.loop_ms / 1000:g} s"
        reason = f"{name!r} was called {len(made)} times with the same input within {within}"
        in_a_row = (*self._lately(call + REFUSED, policy, now_ms), now_ms)
        first = not self._lately(call + TOLD, policy, now_ms)  # once a window
        if policy.loop_trips or len(in_a_row) >= most:
            self._open(plan, "loop", reason, now_ms)
            wait_s = _cooldown_s(policy)
        else:
            plan.call(_remember, self.calls, call + REFUSED, in_a_row)
            wait_s = (made[-most] + policy.loop_ms - now_ms) / 1000
        if first:
            plan.call(_remember, self.calls, call + TOLD, (now_ms,))
        return Refused(
            self.account,
            cause="loop",
            first=first,
            times=len(made) + 1,
            reason=reason,
            retry_after_s=wait_s,
        )

    def _lately(self, key: str, policy: Breaker, now_ms: int) -> tuple[int, ...]:
        return tuple(at_ms for at_ms in self.calls.get(key, ()) if at_ms > now_ms - policy.loop_ms)

    def exceeded(self, plan: Plan, entry: Entry, policy: Breaker, now_ms: int) -> Refused | None:
        """The velocity that a charge without a hold has passed; that opens the breaker, too."""
        limit = policy.velocity
        if limit is None or self.trip.state == "open" or not limit.covers(entry.subject):
            return None
        rate = self.rate(limit, now_ms)
        if rate.spent <= limit.amount:
            return None
        return self.too_fast(plan, policy, rate, entry.amounts[UNITS.index(limit.unit)], now_ms)

    def too_fast(self, plan: Plan, policy: Breaker, rate: Rolling, asked: int, now_ms: int) -> Refused:
        """The refusal of a call that would pass the velocity; it opens the breaker."""
        limit = policy.velocity
        reason = f"spending would pass {limit}"
        self._open(plan, "velocity", reason, now_ms)
        return Refused(
            self.account,
            limit,
            rate.spent,
            rate.reserved,
            asked,
            retry_after_s=_cooldown_s(policy),
            cause="velocity",
            first=True,
            reason=reason,
        )

    def rate(self, limit: Limit, now_ms: int) -> Rolling:
        """What was spent within the span of a velocity, as of now."""
        rate = self.rates.get(limit.key)
        if rate is None:
            rate = self.rates[limit.key] = Rolling(limit.span_ms)
        plan = Plan()
        rate.refresh(plan, now_ms)
        plan.carry_out()
        return rate

    def admit(self, plan: Plan, entry: Entry, policy: Breaker, now_ms: int) -> tuple[str, int] | None:
        """A call goes through: it is counted; if the breaker was open, it is the one that tries.

        Returns:
            What was counted, and when; None where its input is not known.
        """
        calls = self.calls
        if self.trip.state != "closed":
            plan.set(self, "trip", self.trip._replace(state="half_open", probe=entry.id))
            calls = OrderedDict()
            plan.set(self, "calls", calls)
        if entry.fingerprint is None or policy.max_repeated is None:
            return None
        call, before = entry.fingerprint, calls.get(entry.fingerprint)
        made = (now_ms,) if before is None else (*before, now_ms)[-policy.max_repeated - 1 :]
        plan.calls.append((_made, (calls, call, made, now_ms - policy.loop_ms)))
        return call, now_ms

    def forget(self, plan: Plan, call: str, at_ms: int) -> None:
        """A call that was counted then has cost nothing: it does not count any more."""
        made = self.calls.get(call, ())
        if at_ms in made:
            place = made.index(at_ms)
            left = made[:place] + made[place + 1 :]
            if left:
                plan.put(self.calls, call, left)
            else:
                plan.drop(self.calls, call)

    def over(self, plan: Plan, id: str, *, answered: bool) -> None:
        """A call is over: if it was the one that tried, an answer closes the breaker."""
        if self.trip.probe == id:
            plan.set(self, "trip", CLOSED if answered else self.trip._replace(probe=None))

    def close(self, plan: Plan) -> None:
        """Somebody closes it by hand."""
        plan.set(self, "trip", CLOSED)
        plan.set(self, "calls", OrderedDict())

    def _open(self, plan: Plan, cause: Cause, reason: str, now_ms: int) -> None:
        plan.set(self, "trip", Trip("open", cause, reason, now_ms, None))


def _cooldown_s(policy: Breaker) -> float | None:
    return None if policy.cooldown_ms is None else policy.cooldown_ms / 1000


def _made(calls: dict[str, tuple[int, ...]], call: str, made: tuple[int, ...], before_ms: int) -> None:
    """A call was made, and so is not refused in a row any more; those that left the window are forgotten.

    The oldest go first, and more where there are very many; never this one, which is the last.
    """
    calls.pop(call + REFUSED, None)
    _remember(calls, call, made)
    oldest = next(iter(calls))
    while calls[oldest][-1] <= before_ms or len(calls) > MOST_CALLS:
        calls.pop(oldest, None)
        oldest = next(iter(calls))


def _remember(calls: dict[str, tuple[int, ...]], fingerprint: str, made: tuple[int, ...]) -> None:
    """The latest call is the last one."""
    calls.pop(fingerprint, None)
    calls[fingerprint] = made
