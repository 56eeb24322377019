"""Reads limits as people write them: ``$5``, ``5 dollars per day``, ``20 calls/1h``."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from ..errors import InvalidAmount
from .money import MAX_NANOS, shown, to_nanos
from .window import parse_window

Unit = Literal["usd", "tokens", "calls"]

_PER = re.compile(r" *(?:/| per | an? ) *")
_COUNT = re.compile(r"([0-9][0-9,.]*)([kM]?) +(token|call|request)s?", re.ASCII)
_NUMBER = re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,16})(?:\.[0-9]{1,6})?", re.ASCII)
_UNITS: dict[str, Unit] = {"token": "tokens", "call": "calls", "request": "calls"}
SCALE = {"": 1, "k": 1_000, "M": 1_000_000}

_HOW = "A limit is an amount with an optional unit and window, like '$5', '50k tokens/day' or '20 calls/1h'"

# For the suggestion in an error: what looks like an amount, and words that people write for others.
_LOOKS = re.compile(r"([^0-9 -]*) *([0-9](?:[0-9,.]*[0-9])?) *([kKmM]?) *([^0-9]*)", re.ASCII)
_SIGN = re.compile(r"[$\u00a2-\u00a5\u20a0-\u20bf]")  # of a currency
_SCALES = {"k": "k", "K": "k", "m": "M", "M": "M"}
_ZEROS = {"": "", "k": ",000", "M": ",000,000"}
_MEANT = {
    "h": "hour", "hr": "hour", "hourly": "hour", "d": "day", "daily": "day", "today": "day", "w": "week",
    "weekly": "week", "mo": "month", "monthly": "month", "year": "365d", "yearly": "365d", "run": "session",
    "all": "total", "ever": "total", "forever": "total", "lifetime": "total", "overall": "total",
}  # fmt: skip
_WINDOWS = ("session", "total", "hour", "day", "week", "month", "minute", "second")
_LONGEST_GUESS = 60


class LimitText(NamedTuple):
    """What a text says.

    Attributes:
        unit: ``"usd"``, ``"tokens"`` or ``"calls"``.
        amount: nano-dollars, tokens or calls.
        window: as `parse_window` writes it.
        span_ms: the length of a rolling window in milliseconds; 0 for the others.
        implied: no window was written.
    """

    unit: Unit
    amount: int
    window: str
    span_ms: int
    implied: bool = False


def read_limit(text: str) -> LimitText:
    """Unit, amount and window of a limit.

    Raises:
        InvalidAmount: it is none; the message has the nearest right text, or how one is written.
    """
    try:
        return _read(text)
    except InvalidAmount as error:
        near = _nearest(text)
        if near is None:
            raise InvalidAmount(f"{error}. {_HOW}") from None
        raise InvalidAmount(f"{shown(text)} is not a limit; did you mean {near!r}? {_HOW}") from None


def split_window(text: str) -> tuple[str, str | None]:
    """The amount and the window, as they are written; None without a window."""
    amount, *windows = _PER.split(text, maxsplit=1)
    return amount, windows[0] if windows else None


def _read(text: str) -> LimitText:
    amount, written = split_window(text)
    window, span_ms = ("session", 0) if written is None else parse_window(written)
    count = _COUNT.fullmatch(amount.strip(" "))
    if count is None:
        return LimitText("usd", to_nanos(amount), window, span_ms, written is None)
    unit = _UNITS[count[3]]
    if _NUMBER.fullmatch(count[1]) is None:
        raise InvalidAmount(f"{text!r:.60} is not a number of {unit}")
    whole, _, decimals = count[1].replace(",", "").partition(".")
    millionths = int(whole + decimals.ljust(6, "0")) * SCALE[count[2]]
    number, rest = divmod(millionths, 10**6)
    if rest or number > MAX_NANOS:
        raise InvalidAmount(f"{text!r:.60} is not a whole number of {unit} up to {MAX_NANOS:,}")
    return LimitText(unit, number, window, span_ms, written is None)


def _nearest(text: str) -> str | None:
    """A limit that somebody who wrote this may have meant; None where that is anybody's guess."""
    if len(text) > _LONGEST_GUESS:
        return None
    amount, window = split_window(text.strip(" "))
    if window is None:
        amount, _, last = text.strip(" ").rpartition(" ")
        amount, window = (amount, last) if last in _MEANT else (text, None)
    for cap in (amount, _amount_near(amount)):
        for over in (window, _window_near(window or "")):
            if cap is not None and (over is None) is (window is None):
                near = cap if over is None else f"{cap}/{over}"
                try:
                    _read(near)
                except InvalidAmount:
                    continue
                return near
    return None


def _amount_near(amount: str) -> str | None:
    from difflib import get_close_matches  # only an error needs it, an import of bursar does not

    parts = _LOOKS.fullmatch(amount.strip(" "))
    if parts is None:
        return None
    before, number, scale, word = parts[1], parts[2], _SCALES.get(parts[3], ""), parts[4].lower()
    unit = "".join(get_close_matches(word, ("tokens", "calls", "requests"), 1))
    if unit or (scale and not (before or word)):
        return None if before else f"{number}{scale} {unit or 'tokens'}"
    if word and not get_close_matches(word, ("dollars", "usd", "bucks"), 1) and not _SIGN.fullmatch(word):
        return None
    if before and before.lower() != "usd" and not _SIGN.fullmatch(before):
        return None
    return f"${number}{_ZEROS[scale]}"


def _window_near(window: str) -> str | None:
    from difflib import get_close_matches

    word = window.strip(" ").lower()
    if word.isdecimal():
        return f"{word}h"
    near = get_close_matches(word, _WINDOWS, 1) if word.isalpha() else ()
    return _MEANT.get(word) or next(iter(near), None)
