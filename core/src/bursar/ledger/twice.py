"""Tells that a call is charged twice, by hand and by a covered SDK: the charges just made in this context."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import Any, TypeAlias

from ..runtime.log import logger
from ..values.charge import Charge
from ..values.usage import Usage

_CHARGES, _RECENT_S = 32, 60

_Charged: TypeAlias = "tuple[float, str | None, str | None, Usage | None]"  # when; asked, answered
_charges: ContextVar[deque[_Charged] | None] = ContextVar("bursar_charges", default=None)


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
