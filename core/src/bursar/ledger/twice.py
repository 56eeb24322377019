"""Keeps a call from being charged twice by hand and by a covered SDK: holds not entered, charges just made.

Both are kept by context: that of the thread or task in which the hold was reserved, or the call was sent.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import Any, TypeAlias
from weakref import ref

from ..runtime.log import logger
from ..values.charge import Charge
from ..values.usage import Usage

_HOLDS, _CHARGES, _RECENT_S = 32, 32, 60
_MANY = 8  # where there are so many, those that are over are sorted out

_offered: ContextVar[tuple[ref[Any], ...]] = ContextVar("bursar_offered", default=())
_Charged: TypeAlias = "tuple[float, str | None, str | None, Usage | None]"  # when; asked, answered
_charges: ContextVar[deque[_Charged] | None] = ContextVar("bursar_charges", default=None)


def offer(hold: Any) -> None:
    """A hold was reserved in this context: a covered call of its session and model is made on it, once."""
    offered = _offered.get()
    if len(offered) >= _MANY:
        kept = [one for one in offered if (known := one()) is not None and known.state == "reserved"]
        offered = tuple(kept[1 - _HOLDS :])
    _offered.set((*offered, ref(hold)))


def taken(session: Any, model: object) -> Any:
    """The newest unused hold of a session and model that was reserved in this context, or None."""
    if not isinstance(model, str):
        return None
    for one in reversed(_offered.get()):
        hold = one()
        if hold is None or hold.used or hold.session is None or not hold._open:
            continue
        same_model = hold.call.model == session._ledger.prices.canonical(model)
        if same_model and hold.session.is_same_account(session):
            return hold
    return None


def remember_charges() -> deque[_Charged]:
    """Have the tasks that start from here share what they remember."""
    charges = _charges.get()
    if charges is None:
        charges = deque(maxlen=_CHARGES)
        _charges.set(charges)
    return charges


def note_charge(hold: Any, charge: Charge, model: str | None) -> None:
    """A covered SDK has charged a call of this context, which this model answered."""
    ledger = hold._ledger
    answered = None if model is None else ledger.prices.canonical(model)
    remember_charges().append((ledger.clock.now(), hold.call.model, answered, charge.usage))


def was_just_charged(model: str, usage: Usage, now_s: float) -> bool:
    """True where a covered SDK has charged a call of this model and these counts in this context lately."""
    counts = (usage.input_tokens, usage.output_tokens)
    for at_s, asked, answered, charged in _charges.get() or ():
        lately = model in (asked, answered) and abs(now_s - at_s) <= _RECENT_S
        if lately and charged is not None and (charged.input_tokens, charged.output_tokens) == counts:
            return True
    return False


def warn_of_twice(ledger: Any) -> None:
    """Say once in a budget that something was booked by hand beside the charge of a covered SDK."""
    if not ledger.twice_told:
        ledger.twice_told = True
        logger.warning(
            "this call was charged already, and is booked once more as you say: drop the line, or use"
            " session(cover=False)"
        )
