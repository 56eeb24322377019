"""Amounts of money: what is read as one, what is refused, and how it is shown."""

from __future__ import annotations

import copy
import decimal
import pickle
import sys
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import InvalidAmount
from bursar.values.money import MAX_NANOS, Dollars, show_usd, shown, to_nanos, to_usd


class Index:
    """An integer of another library, like those of numpy."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


@pytest.mark.parametrize(
    ("value", "nanos"),
    [
        ("$5", 5_000_000_000),
        ("5", 5_000_000_000),
        (" $5 ", 5_000_000_000),
        ("$0.05", 50_000_000),
        ("$0", 0),
        ("0.000000001", 1),
        ("$1,000.50", 1_000_500_000_000),
        ("1,234,567.123456789", 1_234_567_123_456_789),
        ("$4,500,000", 4_500_000_000_000_000),
        ("5 dollars", 5_000_000_000),
        ("1  dollar", 1_000_000_000),
        ("0.5 USD", 500_000_000),
        ("5USD", 5_000_000_000),
        ("USD 1,000.50", 1_000_500_000_000),
        ("5$", 5_000_000_000),
        (5, 5_000_000_000),
        (0, 0),
        (4_500_000, 4_500_000_000_000_000),
        pytest.param(Index(7), 7_000_000_000, id="index"),
        (0.5, 500_000_000),
        (0.1 + 0.2, 300_000_000),
        (-0.0, 0),
        (1e-10, 0),
        (6e-10, 1),
        (4.5e6, 4_500_000_000_000_000),
        (Decimal("0.50"), 500_000_000),
        (Decimal("1.000000000000000000000000000000000000000000"), 1_000_000_000),
        (Decimal("4.5E+6"), 4_500_000_000_000_000),
        (Decimal("-0"), 0),
        (Decimal("0E-5000"), 0),
        (Decimal("0E+5000"), 0),
        (Dollars("0.0035"), 3_500_000),
    ],
    ids=repr,
)
def test_amount_is_read_exactly(value: object, nanos: int) -> None:
    """Every accepted spelling of an amount is the number of nano-dollars that it says."""
    assert to_nanos(value) == nanos  # type: ignore[arg-type]
    assert type(to_nanos(value)) is int  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "$", "-1", "$-1", "-$1", "+1", "1e3", "1E3", "nan", "$nan", "inf", "$1e309", "1_000", "0x10",
        "1,00", "1,0000", ",100", "1,,000", "1,000,", "1.", ".", "1.2.3", "1.0000000001", "5 dollar s", "5dollars", "5 dollars!", "usd 5", "5 usd", "USD5", "$5 USD", "$5$", "5\n", "\t5",
        "5\x00", "٥", "١٢", "５", "€5", "$$5", "$ 5", "4500000.000000001", "$4,500,001", "9" * 100_000,
        "0." + "0" * 100_000, "\ud800",
        -1, 4_500_001, pytest.param(10**5000, id="huge"), pytest.param(-(10**5000), id="-huge"),
        pytest.param(Index(-1), id="index"), pytest.param(Index(10**5000), id="huge index"),
        -0.01, float("nan"), float("inf"), float("-inf"), 1e308, 4_500_000.01,
        Decimal("NaN"), Decimal("sNaN"), Decimal("-NaN123"), Decimal("Infinity"), Decimal("-Infinity"),
        Decimal("-0.01"), Decimal("1.0000000001"), Decimal("1." + "0" * 40 + "1"), Decimal("1E-10"),
        Decimal("1E-2000000"), Decimal("1E+400"), Decimal("4500000.000000001"),
        True, False, None, b"5", [], {}, pytest.param(object(), id="object"), 5j, Fraction(1, 2), ("5",),
    ],
    ids=lambda value: shown(value)[:40],
)  # fmt: skip
def test_hostile_amount_is_refused(value: object) -> None:
    """What is not plainly an amount raises `InvalidAmount`, a `ValueError`, with a short printable message."""
    with pytest.raises(InvalidAmount) as caught:
        to_nanos(value)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 250
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", ["4,500,000", 4_500_000, 4_500_000.0, Decimal(4_500_000)])
def test_cap_is_the_last_amount(value: object) -> None:
    """$4,500,000 is accepted in every type, and fits the doubles that some stores compare in."""
    assert to_nanos(value) == MAX_NANOS < 2**52  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "nanos"),
    [
        (Decimal("1.234567891"), 1_234_567_891),
        (Decimal("4499999.999999999"), 4_499_999_999_999_999),
        (1234.5678, 1_234_567_800_000),
        ("1234.567891", 1_234_567_891_000),
    ],
)
def test_context_of_the_caller_changes_nothing(value: object, nanos: int) -> None:
    """A decimal context of three digits that traps every signal neither rounds an amount nor breaks it."""
    hostile = decimal.Context(prec=3, Emin=-1, Emax=2, traps=list(decimal.getcontext().traps))
    with decimal.localcontext(hostile):
        assert to_nanos(value) == nanos  # type: ignore[arg-type]
        assert str(to_usd(nanos)) == show_usd(nanos)[1:].replace(",", "").rstrip("0")
        assert f"{to_usd(nanos)}" == str(to_usd(nanos))


@given(st.integers(0, MAX_NANOS))
def test_text_of_an_amount_reads_back(nanos: int) -> None:
    """Every amount that is shown, as text or Decimal, reads back as itself to the nano-dollar."""
    assert to_nanos(str(to_usd(nanos))) == nanos
    assert to_nanos(show_usd(nanos)) == nanos
    assert to_nanos(to_usd(nanos)) == nanos


@given(st.integers(-(10**24), 10**24))
def test_decimal_is_exact(nanos: int) -> None:
    """A balance of any size and sign is the exact quotient, without an exponent or trailing zeros."""
    usd = to_usd(nanos)
    assert Fraction(usd) == Fraction(nanos, 1_000_000_000)
    assert "E" not in str(usd)
    assert "." not in str(usd) or not str(usd).endswith("0")


@given(st.floats(0, 4_500_000))
def test_float_is_rounded_to_the_nearest_nano(value: float) -> None:
    """A float is off by half a nano-dollar at most, whatever its size."""
    assert abs(Fraction(value) * 1_000_000_000 - to_nanos(value)) <= Fraction(1, 2)


@given(st.one_of(st.text(), st.floats(), st.decimals(), st.integers(), st.binary(), st.none(), st.booleans()))
def test_any_value_is_an_amount_or_refused(value: object) -> None:
    """Whatever is given, the answer is an amount within its bounds or `InvalidAmount`, nothing else."""
    try:
        nanos = to_nanos(value)  # type: ignore[arg-type]
    except InvalidAmount:
        return
    assert 0 <= nanos <= 4_500_000 * 10**9


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (3_500_000, "$0.0035"),
        (1_500_000_000, "$1.50"),
        (-1_500_000_000, "-$1.50"),
        (-1, "-$0.000000001"),
        (1_000_000_000_000, "$1000.00"),
    ],
)
def test_amount_for_people(nanos: int, text: str) -> None:
    """People see at least two decimals, every digit that counts, and the sign before the dollar."""
    assert show_usd(nanos) == text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("", "0.0000005"),
        (">12", "   0.0000005"),
        ("f", "0.0000005"),
        (".2f", "0.00"),
        (".7", "0.0000005"),
        ("E", "5E-7"),
    ],
)
def test_dollars_print_without_exponent(spec: str, text: str) -> None:
    """In a message as in `str`, half a millionth of a dollar is written out unless an exponent was asked for."""
    assert format(to_usd(500), spec) == text
    assert str(to_usd(500)) == "0.0000005"


def test_dollars_survive_pickle_and_copy() -> None:
    """An amount stays one that prints plainly after `pickle`, `copy` and `deepcopy`."""
    usd = to_usd(500)
    for twin in (pickle.loads(pickle.dumps(usd)), copy.copy(usd), copy.deepcopy(usd)):
        assert twin == Decimal("0.0000005")
        assert str(twin) == "0.0000005"


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "'x'"), ("\u202e\n", "'\\u202e\\n'"), ("y" * 100, "'" + "y" * 56 + "...")],
)
def test_hostile_value_is_shown_safely(value: object, text: str) -> None:
    """A value in a message is escaped and cut to sixty characters."""
    assert shown(value) == text


@pytest.mark.skipif(
    not hasattr(sys, "set_int_max_str_digits"), reason="this Python converts ints of any length"
)
def test_huge_int_is_named_by_its_type() -> None:
    """An int of more digits than Python converts does not break the message about it."""
    assert shown(10**10_000) == "a very long int"
