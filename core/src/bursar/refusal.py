"""The store's refusal as an error that says what to do."""

from __future__ import annotations

from decimal import Decimal

from .account import shown_key
from .call import Call
from .errors import BudgetExceeded, Tripped
from .limits import Limit
from .money import to_usd
from .store.base import Refused

_CHEAPER = {
    "usd": "raise the limit, ask for fewer output tokens, or use a cheaper model",
    "tokens": "raise the limit, or ask for fewer output tokens",
    "calls": "raise the limit",
}


def refusal(refused: Refused, call: Call) -> BudgetExceeded:
    """`BudgetExceeded` or `Tripped`, with everything that is known."""
    account, limit = shown_key(refused.account), refused.limit
    what = "this call"
    if call.model is not None:
        what = f"a call to {call.model!r}"
    elif call.tool is not None:
        what = f"a run of {call.tool!r}"
    if limit is None:
        return Tripped(
            f"{what} was not made: {account!r} is stopped ({refused.tripped}); untrip it to go on",
            account=account,
            model=call.model,
            tool=call.tool,
            reason=refused.tripped,
        )
    advice = _CHEAPER[limit.unit] if call.model is not None else "raise the limit"
    return BudgetExceeded(
        f"{what} was not made: it may take {limit.show(refused.asked)}, and of {limit} in {account!r}"
        f" {limit.show(refused.remaining)} is left ({limit.show(refused.spent)} spent,"
        f" {limit.show(refused.reserved)} reserved); {advice}",
        limit=str(limit),
        account=account,
        spent=_in_unit(limit, refused.spent),
        reserved=_in_unit(limit, refused.reserved),
        asked=_in_unit(limit, refused.asked),
        remaining=_in_unit(limit, refused.remaining),
        retry_after=refused.retry_after_s,
        model=call.model,
        tool=call.tool,
    )


def _in_unit(limit: Limit, amount: int) -> Decimal | int:
    return to_usd(amount) if limit.unit == "usd" else amount
