"""Random true counts, told wrongly in every way that the page of prices names: never below the cost."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar import Budget, Price, UsageMissing

from ..scale import scaled
from ..wrong_usage import QUESTION, WAYS, Counts, counts

PRICES: Any = {"acme": Price("2", "8", cached_input="0.5")}
# What nothing tells of: the output that an answer neither shows nor counts.
SILENT = {"no output", "zeros", "null", "absent"}


def cost(sent: int, read: int, made: int) -> Decimal:
    """By literal rates: $2, $0.50 from a cache, and $8 a million."""
    nanos = Fraction(2_000) * (sent - read) + Fraction(500) * read + Fraction(8_000) * made
    return Decimal(-(-nanos.numerator // nanos.denominator)).scaleb(-9)


def answer_of(true: Counts, way: str) -> dict[str, Any]:
    """An answer with the text that is shown, and a usage that is told in this way."""
    told = WAYS[way](true)
    usage = {} if told == "absent" else {"usage": None if told == "null" else told}
    message = {"role": "assistant", "content": "x" * true.shown}
    return {"id": "1", "created": 1, "model": "acme", "choices": [{"message": message}], **usage}


def as_object(value: Any) -> Any:
    """The same answer as an SDK gives it."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(part) for name, part in value.items()})
    return [as_object(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=scaled(10, 2_000), deadline=None, database=None)
@given(true=counts(), is_object=st.booleans())
def test_what_is_booked_is_never_below_the_cost(way: str, true: Counts, is_object: bool) -> None:
    """Exact where it is not marked; where nothing tells of hidden output, marked and not below what was sent and seen."""
    answer = answer_of(true, way)
    session = Budget("$9", prices=PRICES).session()
    hold = session.reserve("acme", messages=QUESTION, max_output_tokens=9_000)
    charge = hold.settle(as_object(answer) if is_object else answer)
    true_cost, seen = cost(true.sent, true.read, true.made), cost(true.sent, true.read, true.shown)
    assert charge.cost >= (seen if way in SILENT else true_cost)
    assert charge.estimated or charge.cost == true_cost
    assert session.spent == charge.cost and session.reserved == 0


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=scaled(5, 1_000), deadline=None, database=None)
@given(true=counts())
def test_what_is_wrapped_is_never_below_the_cost(way: str, true: Counts) -> None:
    """Without a hold that says what was sent, what cannot be true is not booked at all, and says so."""
    session = Budget("$9999", prices=PRICES).session()
    try:
        session.wrap(answer_of(true, way), model="acme")
    except UsageMissing:
        assert session.spent == 0 and way != "rightly"
    else:
        assert session.spent >= cost(true.sent, true.read, true.made)
