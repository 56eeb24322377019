"""Makes the error of a refusal: which limit refuses, what was asked, what is left, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..errors import BudgetExceeded, CallVetoed, LoopDetected, Tripped, VelocityExceeded
from ..pricing.quote import Quote
from ..store.entry import UNITS, Path
from ..store.results import Refused
from ..values.account import is_made_session, shown_key, told_key
from ..values.call import Call
from ..values.charge import Charge
from ..values.limits import Limit
from ..values.money import show_usd, to_nanos, to_usd

_USEFUL_CAP = 16  # tokens: below it no cap is advised


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


def refusal(
    refused: Refused, asked: Quote, loop_s: float | None = None, waited_s: float = 0, why_not: str = ""
) -> BudgetExceeded:
    """`BudgetExceeded`, or one of its kinds, with everything that is known.

    Args:
        refused: what the store said.
        asked: what was asked for.
        loop_s: the seconds within which repeated calls are counted.
        waited_s: how long it waited for calls in flight, in seconds.
        why_not: what kept it from waiting for them, if something did.
    """
    call = asked.call
    known: dict[str, Any] = {
        "account": shown_key(refused.account),
        "retry_after": refused.retry_after_s,
        "model": call.model,
        "tool": call.tool,
    }
    what = f"{_named(call)} was not made"
    if refused.limit is not None:
        known |= _figures(refused.limit, refused)
    if refused.tripped is not None:
        wait = "untrip it to go on"
        if refused.retry_after_s is not None:
            wait = f"one call is tried again in {refused.retry_after_s:.1f} s"
        return Tripped(
            f"{what}: {_place(refused.account)} is stopped ({refused.tripped}); {wait}",
            reason=refused.tripped,
            cause=None if refused.cause == "tripped" else refused.cause,
            **known,
        )
    if refused.cause == "loop":
        wait_s = refused.retry_after_s
        again = "" if wait_s is None else f", or make it again in {wait_s:.1f} s"
        return LoopDetected(
            f"{what}: {refused.reason}, in {_place(refused.account)}; vary the call{again}. Raise"
            " max_repeated_calls= to allow more, or turn this off by max_repeated_calls=None",
            key=call.model or call.tool,
            count=refused.times,
            window=loop_s,
            **known,
        )
    if refused.limit is None:
        return BudgetExceeded(f"{what}: {_place(refused.account)} refuses it; raise the limit", **known)
    needs = _what_is_left(refused.limit, refused, asked)
    if only_held(refused.limit, refused, asked):
        kind = VelocityExceeded if refused.cause == "velocity" else BudgetExceeded
        waited = f"; waited {waited_s:.3g} s" if waited_s else ""
        return kind(f"{what}: {needs}{waited}; {_in_flight(why_not)}", **known)
    if refused.cause == "velocity":
        return VelocityExceeded(f"{what}: {needs}; spend more slowly, or raise max_velocity=", **known)
    return BudgetExceeded(f"{what}: {needs}; {_advice(refused.limit, refused, asked)}", **known)


def only_held(limit: Limit, refused: Refused, asked: Quote) -> bool:
    """True where only calls in flight are in the way: what is spent leaves enough room."""
    least = asked.minimum[UNITS.index(limit.unit)]
    return (
        refused.retry_after_s is None
        and refused.reserved > 0
        and limit.amount - refused.spent - refused.kept >= least
    )


def _in_flight(why_not: str) -> str:
    """What to do about calls that only hold what this one needs."""
    if why_not:
        return why_not
    return "let them end first, send fewer at once, give them output caps, or raise wait= or the limit"


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
        held = f", {limit.show(refused.reserved)} held by calls in flight" if refused.reserved else ""
        text += f"{_which(limit, refused.account)} is passed: {limit.show(refused.spent)} spent{held}. "
    kind = VelocityExceeded if refused.cause == "velocity" else BudgetExceeded
    return kind(f"{text}nothing more is admitted; raise the limit to go on", **known)


def _named(call: Call) -> str:
    if call.model is not None:
        return f"a call to {call.model!r}"
    return f"a run of {call.tool!r}" if call.tool is not None else "this call"


def _what_is_left(limit: Limit, refused: Refused, asked: Quote) -> str:
    """What was asked and why so much, and what is left of which limit."""
    least = min(refused.asked, getattr(asked.minimum, limit.unit)) if _lowered(asked) else refused.asked
    needed, left = _readable(limit, least), _readable(limit, refused.remaining)
    if needed == left:  # once rounded
        needed, left = limit.show(least), limit.show(refused.remaining)
    why = _why(asked) if limit.unit != "calls" else ""
    is_ = "is" if limit.unit == "usd" else "are"
    up_to = "" if limit.unit == "calls" else "up to "
    text = f"it needs {up_to}{needed}{why}, and {left} of {_which(limit, refused.account)} {is_} left"
    if refused.kept:
        text += f", {limit.show(refused.kept)} of it kept for finalize()"
    if refused.reserved:
        text += f", {_readable(limit, refused.reserved)} of it {is_} held by calls in flight"
    return text


def _why(asked: Quote) -> str:
    """Where the worst case of a call comes from; nothing where its cost was given."""
    call, cap = asked.call, asked.call.max_output_tokens
    if asked.rates is None:
        return ""
    if asked.others:
        fewest = asked.others[-1]
        run = "one run" if fewest.runs == 1 else f"{fewest.runs} runs"
        return f" (with {run} of the provider's tools, for which {show_usd(fewest.minimum.usd)} would do)"
    times = f", {call.n} times" if call.n > 1 else ""
    if not cap:
        return f" ({call.input_tokens:,} tokens of input at the most)"
    if _lowered(asked):
        lowered = f"with its output cap lowered to {asked.smallest:,} tokens{times}"
        return f" ({lowered}, and {call.input_tokens:,} tokens of input at the most)"
    if not asked.given:
        no_cap = "no output cap was set" if asked.cap_name else "it takes no output cap"
        return f" ({no_cap}: the model's own {cap:,} tokens{times})"
    return f" ({call.input_tokens:,} tokens of input and {cap:,} of output at the most{times})"


def _lowered(asked: Quote) -> bool:
    """True for a call whose output cap could be lowered, and that did not even fit so."""
    return asked.rates is not None and 0 < asked.smallest < asked.call.max_output_tokens


def _advice(limit: Limit, refused: Refused, asked: Quote) -> str:
    """What to do about it."""
    wait = None if refused.retry_after_s is None else f"wait {refused.retry_after_s:,.0f} s"
    fits = _fitting_cap(limit, refused, asked)
    if fits >= _USEFUL_CAP:
        return f"with {asked.cap_name}={fits:,} it would fit" + (f"; or {wait}" if wait else "")
    ways = [wait] if wait else []
    ways.append("raise the limit")
    if asked.rates is not None and limit.unit != "calls":
        ways.append("shorten the input")
    if asked.rates is not None and limit.unit == "usd":
        ways.append("use a cheaper model")
    if len(ways) < 3:
        return ", or ".join(ways)
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"


def _fitting_cap(limit: Limit, refused: Refused, asked: Quote) -> int:
    """The largest output cap with two digits that count whose worst case fits what is left; 0: none does."""
    room, want = refused.remaining - refused.kept, asked.want
    if asked.worst is None or not asked.cap_name or limit.unit == "calls" or room <= 0:
        return 0
    granted = want._replace(usd=room) if limit.unit == "usd" else want._replace(tokens=room)
    cap = asked.cap(granted)
    if cap >= asked.call.max_output_tokens:
        return 0
    unit: int = 10 ** max(len(str(cap)) - 2, 0)
    return cap // unit * unit


def _which(limit: Limit, account: str) -> str:
    """A limit in a sentence: that of the session at hand needs no name."""
    text, _, narrowed = str(limit).partition(" (")
    owner = "" if is_made_session(account) else f" of {told_key(account)!r}"
    return f"the {text} limit{f' ({narrowed}' if narrowed else ''}{owner}"


def _place(account: str) -> str:
    return "this session" if is_made_session(account) else repr(told_key(account))


def _readable(limit: Limit, amount: int) -> str:
    """An amount for people: of money three digits that count, or the cents."""
    if limit.unit == "usd":
        digits = len(str(abs(amount)))
        unit = 10 ** min(max(digits - 3, 0), 7)
        return show_usd((abs(amount) + unit // 2) // unit * unit * (-1 if amount < 0 else 1))
    return "1 call" if limit.unit == "calls" and amount == 1 else limit.show(amount)


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
