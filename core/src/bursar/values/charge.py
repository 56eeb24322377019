"""What a call really cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ..runtime.fast_init import maker
from .call import Call
from .usage import Usage


@dataclass(frozen=True, slots=True)
class Charge:
    """The result of a settle.

    Attributes:
        id: the id of the hold.
        call: the call that was paid for.
        cost: USD.
        usage: the tokens it was priced by; None where a cost was given or assumed.
        estimated: True when the provider's own numbers were missing or unusable.
        overrun: the part of the cost above the hold, in USD.
        saved: what a cache saved, in USD.
        at: seconds since the epoch, by the clock of the store.
        clamped: True when the budget had lowered the output cap of the call.
        truncated: True when the answer ended at that lowered cap.
    """

    id: str
    call: Call
    cost: Decimal
    usage: Usage | None
    estimated: bool
    overrun: Decimal
    saved: Decimal
    at: float
    clamped: bool = False
    truncated: bool = False


new_charge = maker(Charge)
