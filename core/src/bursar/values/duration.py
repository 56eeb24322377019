"""Parses durations as users write them."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TypeAlias

from .money import shown

Duration: TypeAlias = "str | int | float | timedelta"

_UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_TEXT = re.compile(r"([1-9][0-9]{0,8})(s|min|h|d)", re.ASCII)


def to_seconds(value: Duration, setting: str) -> float:
    """The span in seconds.

    Args:
        value: ``"90s"``, ``"15min"``, ``"24h"``, ``"30d"``, a number of seconds, or a timedelta.
        setting: what the span is for, to be named in the error.

    Raises:
        ValueError: not a positive, finite span of time.
    """
    seconds = math.nan
    given: object = value
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip(" "))
        if match is not None:
            seconds = float(int(match[1]) * _UNITS_S[match[2]])
    elif isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < math.inf:
        seconds = float(min(given, 1e12))
    if not 0 < seconds < math.inf:
        raise ValueError(
            f"{setting}={shown(value)} is not a span of time; write it like '90s', '15min', '24h' or 900"
        )
    return seconds
