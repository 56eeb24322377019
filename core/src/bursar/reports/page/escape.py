"""How amounts and names are written on the page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from ..text import clean

_LONGEST = 64  # letters of a name in a table


def escaped(text: object) -> str:
    """A hostile text as text: no markup, no control characters, nothing that turns the line round."""
    return html.escape(clean(str(text)))


def named(name: str) -> str:
    """A name in a table: a long one is cut, and is there whole for who points at it."""
    shown = clean(name)
    if len(shown) <= _LONGEST:
        return html.escape(shown)
    return f'<span title="{html.escape(shown)}">{html.escape(shown[: _LONGEST - 1])}…</span>'


def usd(amount: float, step: float | None = None) -> str:
    """Dollars: with as many decimals as a step needs, else as many as the amount has, two at least."""
    if step is not None:
        return f"${amount:,.{max(2 if step < 1 else 0, -math.floor(math.log10(step)))}f}".replace("$-", "-$")
    text = f"{amount:,.9f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"${whole}.{decimals.ljust(2, '0')}".replace("$-", "-$")


def column(amounts: Sequence[float | None]) -> list[str]:
    """Dollars below each other: all with as many decimals as one of them needs; nothing for None."""
    known = [usd(amount) for amount in amounts if amount is not None]
    step = 10.0 ** -max((len(text.partition(".")[2]) for text in known), default=2)
    return ["" if amount is None else usd(amount, step) for amount in amounts]


def count(number: float, word: str) -> str:
    """So many of something."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
