"""Spans of time: what is read as one, and what is refused."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from bursar.values.duration import to_seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90s", 90),
        ("15min", 900),
        ("24h", 86_400),
        ("30d", 2_592_000),
        (" 1s ", 1),
        ("1.2s", 1.2),
        ("0.25 seconds", 0.25),
        ("999999999s", 999_999_999),
        (900, 900),
        (0.25, 0.25),
        (5e-324, 5e-324),
        (timedelta(minutes=2), 120),
        (timedelta(microseconds=1), 0.000001),
        (timedelta.max, 86_399_999_999_999.999999),
        (1e300, 1e12),
        pytest.param(10**5000, 1e12, id="huge"),
        ("90 sec", 90),
        ("1 second", 1),
        ("15 minutes", 900),
        ("24  hours", 86_400),
        ("30 days", 2_592_000),
    ],
)
def test_span_is_read(value: Any, seconds: float) -> None:
    """Text, numbers of seconds and timedeltas are the span that they say; an endless one is cut to 30,000 years."""
    assert to_seconds(value, "lease") == seconds


@pytest.mark.parametrize(
    "value",
    [
        "", "s", "0s", "0.0s", "1.s", ".5s", "-1.5s", "-5s", "+5s", "1.5h", "1.5min", "1.5", "5", "5 mins", "5m", "5S", "05s", "1h30min", "1w", "٥s", "5s\n", "9999999999s",
        0, -1, 0.0, -0.0, math.nan, math.inf, -math.inf, pytest.param(-(10**5000), id="-huge"),
        timedelta(0), timedelta(seconds=-1), timedelta.min,
        True, False, None, b"90s", [], Fraction(1, 2),
    ],
)  # fmt: skip
def test_what_is_no_span_is_refused(value: Any) -> None:
    """What is not a positive, finite span is a `ValueError` that names the setting."""
    with pytest.raises(ValueError, match=r"^lease=.* is not a span of time"):
        to_seconds(value, "lease")
