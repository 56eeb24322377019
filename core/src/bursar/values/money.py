"""Money as integers: nano-dollars (1e-9 USD) everywhere inside.

Nanos are the finest unit that stays exact where a store compares in doubles:
2**52 nanos are $4.5 million, hence the cap on one amount.
"""

from __future__ import annotations

import operator
import re
from decimal import Context, Decimal
from typing import Any, SupportsIndex, TypeAlias

from ..errors import InvalidAmount
from ..redaction import redacted

NANOS_PER_USD = 10**9
MAX_USD = 4_500_000
MAX_NANOS = MAX_USD * NANOS_PER_USD

Money: TypeAlias = "str | int | float | Decimal | SupportsIndex"

# The caller's own decimal context may round to three digits, or trap what is fine here.
_CONTEXT = Context(prec=32, Emin=-999_999, Emax=999_999, traps=[])
_NANO = Decimal("1E-9")

_NUMBER = r"((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]{1,9})?)"
_TEXT = re.compile(rf"\$?{_NUMBER}|{_NUMBER} *(?:\$|USD)|{_NUMBER} +dollars?|USD +{_NUMBER}", re.ASCII)
_KINDS = tuple("eEfFgGn%")  # with any other format, a plain Decimal falls back to an exponent


class Dollars(Decimal):
    """A ``Decimal`` of USD that prints without an exponent: ``0.0000005``, never ``5E-7``."""

    __slots__ = ()

    def __str__(self) -> str:
        return super().__format__("f")

    def __format__(self, spec: str, /) -> str:  # type: ignore[override]
        return super().__format__(spec if spec.endswith(_KINDS) else f"{spec}f")


def to_nanos(value: Money) -> int:
    """The amount in nano-dollars.

    Args:
        value: USD as text (``"$1,000.50"``, ``"0.5"``, ``"5 dollars"``, ``"USD 5"``), int, Decimal, or
            float (rounded to the nearest nano-dollar).

    Raises:
        InvalidAmount: not a finite amount from $0 to $4,500,000 with at most nine decimals.
    """
    nanos = _parse(value)
    if nanos > MAX_NANOS:
        raise InvalidAmount(f"{shown(value)} is above ${MAX_USD:,}, the most that one amount can be")
    return nanos


def to_signed_nanos(value: Money) -> int:
    """The same for an amount that may be negative: ``"-$0.20"``, ``-0.2``.

    Raises:
        InvalidAmount: as `to_nanos`.
    """
    if isinstance(value, str) and value.strip(" ").startswith("-"):
        return -to_nanos(value.strip(" ")[1:])
    number: Any = value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and number < 0:
        return -to_nanos(-number)
    return to_nanos(value)


def _parse(value: object) -> int:
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip(" "))
        if match is None:
            raise InvalidAmount(
                f"{shown(value)} is not an amount of dollars; write it like '$5', '$0.05' or '$1,000.50'"
                " (at most nine decimals)"
            )
        whole, _, decimals = match[match.lastindex or 0].replace(",", "").partition(".")
        if len(whole) > 16:  # far above the cap, and int() of a huge text is slow
            return MAX_NANOS + 1
        return int(whole) * NANOS_PER_USD + int(decimals.ljust(9, "0"))
    if isinstance(value, bool) or value is None:
        raise InvalidAmount(f"{value!r} is not an amount of dollars; write it like '$5' or 0.5")
    if isinstance(value, float | Decimal):
        number = value if isinstance(value, Decimal) else Decimal.from_float(value)
        if not number.is_finite():
            raise InvalidAmount(f"{shown(value)} is not a finite amount of dollars")
        if number < 0:
            raise InvalidAmount(f"{shown(value)} is negative; an amount is $0 or more")
        if number > MAX_USD:
            return MAX_NANOS + 1
        rounded = number.quantize(_NANO, context=_CONTEXT)
        if rounded != number and isinstance(value, Decimal):
            raise InvalidAmount(f"{shown(value)} has more than nine decimals")
        return int(rounded.scaleb(9, _CONTEXT))
    try:
        whole_usd = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidAmount(
            f"a {type(value).__name__} is not an amount of dollars; write it like '$5' or 0.5"
        ) from None
    if whole_usd < 0:
        raise InvalidAmount(f"{shown(whole_usd)} is negative; an amount is $0 or more")
    return min(whole_usd, MAX_USD + 1) * NANOS_PER_USD


def to_usd(nanos: int) -> Dollars:
    """Nano-dollars as a ``Decimal`` of USD, exact, without trailing zeros."""
    return Dollars(_CONTEXT.divide(nanos, NANOS_PER_USD))


def float_usd(nanos: int) -> float:
    """Nano-dollars as the nearest float of USD: ``float(to_usd(nanos))``, in a tenth of its time."""
    return nanos / NANOS_PER_USD


NO_USD = to_usd(0)


def show_usd(nanos: int) -> str:
    """Nano-dollars for people: ``$0.0035``, ``-$1.50``; at least two decimals, exact."""
    text = str(to_usd(abs(nanos)))
    whole, _, decimals = text.partition(".")
    return f"{'-' if nanos < 0 else ''}${whole}.{decimals.ljust(2, '0')}"


def shown(value: object) -> str:
    """A hostile value, short and printable."""
    try:
        text = str(redacted(repr(value)))
    except ValueError:  # an int of more digits than Python converts
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
