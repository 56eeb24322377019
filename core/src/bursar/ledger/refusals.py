"""Makes the error of a refusal: which limit refuses, what was asked, what is left, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..errors import BudgetExceeded, CallVetoed, LoopDetected, Tripped, VelocityExceeded
from ..pricing.quote import Quote
from ..store.base import Path, Refused
from ..values.account import shown_key
from ..values.call import Call
from ..values.charge import Charge
from ..values.limits import Limit
from ..values.money import show_usd, to_nanos, to_usd

_CHEAPER = {
    "usd": "raise the limit, ask for fewer output tokens, or use a cheaper model",
    "tokens": "raise the limit, or ask for fewer output tokens",
    "calls": "raise the limit",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that is not made.

    Attributes:
        call: what was asked for, at its worst case.
        error: what its caller gets.
        at: seconds since the epoch, by the clock of the budget.
    """

    call: Call
    error: BudgetExceeded
    at: float


def refusal(refused: Refused, call: Call, loop_s: float | None = None) -> BudgetExceeded:
    """`BudgetExceeded`, or one of its kinds, with everything that is known.

    Args:
        refused: what the store said.
        call: what was asked for.
        loop_s: the seconds within which repeated calls are counted.
    """
    known: dict[str, Any] = {
        "account": shown_key(refused.account),
        "retry_after": refused.retry_after_s,
        "model": call.model,
        "tool": call.tool,
    }
    what = _named(call)
    if refused.limit is not None:
        known |= _figures(refused.limit, refused)
    if refused.tripped is not None:
        wait = "untrip it to go on"
        if refused.retry_after_s is not None:
            wait = f"one call is tried again in {refused.retry_after_s:.1f} s"
        return Tripped(
            f"{what} was not made: {known['account']!r} is stopped ({refused.tripped}); {wait}",
            reason=refused.tripped,
            cause=None if refused.cause == "tripped" else refused.cause,
            **known,
        )
    if refused.cause == "loop":
        return LoopDetected(
            f"{what} was not made: {refused.reason}, in {known['account']!r}; vary the call, or raise"
            " max_repeated_calls=",
            key=call.model or call.tool,
            count=refused.times,
            window=loop_s,
            **known,
        )
    if refused.cause == "velocity":
        return VelocityExceeded(
            f"{what} was not made: {_what_is_left(refused)}; spend more slowly, or raise max_velocity=",
            **known,
        )
    advice = _CHEAPER[refused.limit.unit] if refused.limit is not None and call.model else "raise the limit"
    if refused.retry_after_s is not None:
        advice = f"wait {refused.retry_after_s:,.0f} s, or {advice}"
    return BudgetExceeded(f"{what} was not made: {_what_is_left(refused)}; {advice}", **known)


def veto(why: str, asked: Quote, path: Path) -> CallVetoed:
    """The refusal of a call because a plugin that may refuse it failed."""
    error = CallVetoed(
        f"{_named(asked.call)} was not made: {why}; mend that plugin, or take it away", reason=why
    )
    complete(error, asked, path)
    return error


def complete(error: CallVetoed, asked: Quote, path: Path) -> None:
    """Fill in what a plugin that refuses a call has left open."""
    call = asked.call
    known = {
        "reason": str(error),
        "account": shown_key(path[-1].key),
        "asked": to_usd(asked.minimum.usd),
        "model": call.model,
        "tool": call.tool,
    }
    for name, value in known.items():
        if getattr(error, name) is None:
            setattr(error, name, value)


def booked_refusal(refused: Refused, charge: Charge) -> BudgetExceeded:
    """The refusal after the fact: the charge is booked, and passes a limit."""
    account, limit = shown_key(refused.account), refused.limit
    known: dict[str, Any] = {"account": account, "model": charge.call.model, "tool": charge.call.tool}
    text = f"{_named(charge.call)} cost {show_usd(to_nanos(charge.cost))} and is booked; "
    if limit is not None:
        known |= _figures(limit, refused)
        spent, reserved = limit.show(refused.spent), limit.show(refused.reserved)
        text += f"{limit} in {account!r} is passed: {spent} spent, {reserved} reserved. "
    kind = VelocityExceeded if refused.cause == "velocity" else BudgetExceeded
    return kind(f"{text}nothing more is admitted; raise the limit to go on", **known)


def _named(call: Call) -> str:
    if call.model is not None:
        return f"a call to {call.model!r}"
    return f"a run of {call.tool!r}" if call.tool is not None else "this call"


def _what_is_left(refused: Refused) -> str:
    """What was asked, and what is left of which limit."""
    limit = refused.limit
    if limit is None:
        return f"{shown_key(refused.account)!r} refuses it"
    kept = f", {limit.show(refused.kept)} of it kept for finalize()" if refused.kept else ""
    return (
        f"it may take {limit.show(refused.asked)}, and of {limit} in {shown_key(refused.account)!r}"
        f" {limit.show(refused.remaining)} is left{kept} ({limit.show(refused.spent)} spent,"
        f" {limit.show(refused.reserved)} reserved)"
    )


def _figures(limit: Limit, refused: Refused) -> dict[str, Any]:
    return {
        "limit": str(limit),
        "spent": _in_unit(limit, refused.spent),
        "reserved": _in_unit(limit, refused.reserved),
        "asked": _in_unit(limit, refused.asked),
        "remaining": _in_unit(limit, refused.remaining),
    }


def _in_unit(limit: Limit, amount: int) -> Decimal | int:
    return to_usd(amount) if limit.unit == "usd" else amount
