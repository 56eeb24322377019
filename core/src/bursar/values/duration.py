"""Parses durations as users write them."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TypeAlias

from .money import shown

Duration: TypeAlias = "str | int | float | timedelta"

_UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_TEXT = re.compile(
    r"([1-9][0-9]{0,8}) *(?:(s|sec|seconds?)|(min|minutes?)|(h|hours?)|(d|days?))", re.ASCII
)  # one group a unit, in the order of the units
_PARTS = re.compile(r"([0-9]{1,9}\.[0-9]{1,9}) *(?:s|sec|seconds?)", re.ASCII)  # of a second


def to_seconds(value: Duration, setting: str) -> float:
    """The span in seconds.

    Args:
        value: ``"90s"``, ``"1.5s"``, ``"15min"``, ``"24h"``, ``"24 hours"``, ``"30d"``, a number of
            seconds, or a timedelta.
        setting: what the span is for, to be named in the error.

    Raises:
        ValueError: not a positive, finite span of time.
    """
    seconds = math.nan
    given: object = value
    if isinstance(value, str):
        written, parts = short(value), _PARTS.fullmatch(value.strip(" "))
        if written is not None:
            count, unit = written
            seconds = float(count * _UNITS_S[unit])
        elif parts is not None:
            seconds = float(parts[1])
    elif isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < math.inf:
        seconds = float(min(given, 1e12))
    if not 0 < seconds < math.inf:
        raise ValueError(
            f"{setting}={shown(value)} is not a span of time; write it like '90s', '15min', '24h' or 900"
        )
    return seconds


def short(text: str) -> tuple[int, str] | None:
    """A span as a number and ``s``, ``min``, ``h`` or ``d``; None where the text is none."""
    match = _TEXT.fullmatch(text.strip(" "))
    if match is None or match.lastindex is None:
        return None
    return int(match[1]), tuple(_UNITS_S)[match.lastindex - 2]
