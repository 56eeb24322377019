"""Every error that bursar raises.

BursarError
  BudgetExceeded            a reserve did not fit; the call was never made
    LoopDetected            the same call, again and again
    VelocityExceeded        too much in too short a time
    CallVetoed              a plugin refused
    Tripped                 somebody or something stopped the account
  UnpriceableCall           no upper bound can be given beforehand
  InvalidAmount             (ValueError) not an amount of money, tokens or calls
  UsageMissing              (ValueError) an answer without usable usage
  UnknownModel              (LookupError) no price: refused rather than guessed
  HoldClosed                settled or released twice, with different amounts
  StoreError
    StoreUnavailable        the store could not be reached in time; make no call
    LedgerRolledBack        the store lost data; nothing is admitted
    LimitConflict           one account, declared with different limits

One ``except BudgetExceeded`` catches every refusal. None of them is a
``RuntimeError``, because agent frameworks catch that. Each can be built from a
message alone, and survives ``pickle`` and ``copy``. No message has a key, a password or a token in it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .redaction import redacted


class BursarError(Exception):
    """The root of every error of this library."""

    def __init__(self, message: str = "", /, **facts: Any) -> None:
        super().__init__(redacted(message))
        for name, value in facts.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name!r}")
            setattr(self, name, value)


class BudgetExceeded(BursarError):
    """A reserve did not fit into a limit, so the call was never made.

    Money is in USD as ``Decimal``; for a limit of tokens or calls the same
    attributes are ``int``. An attribute that is not known is ``None``.

    Attributes:
        limit: the limit that refused, as text (``"$5/session"``).
        account: the account that the limit belongs to.
        spent: what was already charged against the limit.
        reserved: what open holds keep from it.
        asked: what the refused call could have cost, at the least.
        remaining: limit - spent - reserved; negative after an overrun.
        retry_after: seconds until the same call may fit; None if waiting does not help.
        model: the model that was asked for.
        tool: the tool that was to run.
        result: the paid answer, where the charge was booked after the fact.
        status_code: 402, "payment required": libraries that look at it do not repeat the call.
    """

    status_code = 402
    limit: str | None = None
    account: str | None = None
    spent: Decimal | int | None = None
    reserved: Decimal | int | None = None
    asked: Decimal | int | None = None
    remaining: Decimal | int | None = None
    retry_after: float | None = None
    model: str | None = None
    tool: str | None = None
    result: Any = None


class LoopDetected(BudgetExceeded):
    """The same call, with the same input, was made too often in a short time.

    Attributes:
        key: the model or the tool.
        count: how often it was asked for, with this time.
        window: the time that counts, in seconds.
    """

    key: str | None = None
    count: int | None = None
    window: float | None = None


class VelocityExceeded(BudgetExceeded):
    """The call would spend more within a short span than `max_velocity` allows."""


class CallVetoed(BudgetExceeded):
    """A plugin refused the call, whatever is left.

    Attributes:
        reason: why, in the words of the plugin.
    """

    reason: str | None = None


class Tripped(BudgetExceeded):
    """The account was stopped, whatever is left in it.

    Attributes:
        reason: why, in the words of whoever stopped it.
        cause: ``"loop"`` or ``"velocity"`` where the breaker did; None for the kill switch.
    """

    reason: str | None = None
    cause: str | None = None


class UnpriceableCall(BursarError):
    """The cost of the call has no upper bound that could be reserved beforehand.

    Attributes:
        endpoint: what was asked for; the message says how to allow it.
    """

    endpoint: str | None = None


class InvalidAmount(BursarError, ValueError):
    """Not an amount of USD, tokens or calls that a limit or a charge can have."""


class UsageMissing(BursarError, ValueError):
    """An answer carries no usable usage, and no hold stands in for it."""


class UnknownModel(BursarError, LookupError):
    """The model, or one of its token classes, has no price. Never guessed, never $0.

    Attributes:
        model: the name that could not be priced.
        near: the closest known names, best first.
    """

    model: str | None = None
    near: tuple[str, ...] = ()


class HoldClosed(BursarError):
    """The hold was already settled or released, with another amount."""


class StoreError(BursarError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The store could not be reached in time; the call must not be made."""


class LedgerRolledBack(StoreError):
    """The store lost data that this client has seen; nothing is admitted."""


class LimitConflict(StoreError):
    """The same account was declared with other limits."""
