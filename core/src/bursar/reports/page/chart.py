"""The spend of each day as a chart in SVG, drawn for a width, with a limit as a line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .escape import escaped, usd

_HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 260, 34, 44, 74, 12
_LABEL = 62  # the width that the label of a day needs


class Bar(NamedTuple):
    """One day.

    Attributes:
        day: as ``2026-03-29``.
        spent: in USD.
        refusals: how many calls were refused.
        alerts: how many alerts were sent.
    """

    day: str
    spent: float
    refusals: int
    alerts: int


def day_chart(bars: Sequence[Bar], limit: tuple[str, float] | None, width: int, shown: str) -> str:
    """The SVG of the days, oldest first.

    Args:
        bars: the days.
        limit: the text of a limit for one day and its amount in USD; drawn as a line.
        width: of the drawing, in pixels.
        shown: the class of the drawing, by which the page chooses one that fits.
    """
    return "\n".join(_drawn(bars, limit, width, shown))


def _drawn(bars: Sequence[Bar], limit: tuple[str, float] | None, width: int, shown: str) -> Iterator[str]:
    most = max([bar.spent for bar in bars] + ([limit[1]] if limit else []), default=0.0)
    step, top = _scale(most)
    inner, tall = width - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def y(amount: float) -> float:
        return _TOP + tall - amount / top * tall

    def line(kind: str, amount: float) -> str:
        ends = f'x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y(amount):.1f}" y2="{y(amount):.1f}"'
        return f'<line class="{kind}" {ends}/>'

    yield (
        f'<svg class="{shown}" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" role="img"'
        ' aria-label="Spend by day in USD; the table below has the same figures">'
    )
    yield '<text class="unit" x="0" y="14">USD a day</text>'
    for number in range(round(top / step) + 1):
        amount = number * step
        yield line("grid", amount)
        yield f'<text class="tick" x="{_LEFT - 8}" y="{y(amount) + 4:.1f}">{usd(amount, step)}</text>'
    slot = inner / len(bars)
    every = max(1, math.ceil(_LABEL / slot))
    for place, bar in enumerate(bars):
        left, wide = _LEFT + place * slot + slot * 0.1, slot * 0.8
        height = max(0.0, bar.spent / top * tall)
        yield (
            f'<rect class="bar" x="{left:.1f}" y="{y(bar.spent):.1f}" width="{wide:.1f}"'
            f' height="{height:.1f}"><title>{_told(bar)}</title></rect>'
        )
        middle = left + wide / 2
        if bar.refusals:
            yield _mark("refused", middle, y(bar.spent) - 6, f"{bar.day}: {bar.refusals} refused")
        elif bar.alerts:
            yield _mark("alerted", middle, y(bar.spent) - 6, f"{bar.day}: {bar.alerts} alerts")
        if (len(bars) - 1 - place) % every == 0 and middle - _LABEL / 2 >= 0:
            kind, at = ("day", middle) if middle + _LABEL / 2 <= width else ("day last", width - 1)
            yield f'<text class="{kind}" x="{at:.1f}" y="{_HEIGHT - 24}">{escaped(bar.day[5:])}</text>'
    yield f'<text class="axis" x="{_LEFT + inner / 2:.0f}" y="{_HEIGHT - 4}">day</text>'
    if limit is not None:
        yield line("limit", limit[1])
        yield f'<text class="limit" x="{width - _RIGHT}" y="14">limit {escaped(limit[0])}</text>'
    yield "</svg>"


def _told(bar: Bar) -> str:
    told = f"{bar.day}: {usd(bar.spent)}"
    told += f", {bar.refusals} refused" if bar.refusals else ""
    return escaped(told + (f", {bar.alerts} alerts" if bar.alerts else ""))


def _mark(kind: str, x: float, y: float, title: str) -> str:
    points = f"{x - 4:.1f},{y - 6:.1f} {x + 4:.1f},{y - 6:.1f} {x:.1f},{y:.1f}"
    return f'<polygon class="{kind}" points="{points}"><title>{escaped(title)}</title></polygon>'


def _scale(most: float) -> tuple[float, float]:
    """The step between the lines of the axis, and its top: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(times * power for times in (1, 2, 5, 10) if times * power * 4 >= most)
    return step, step * math.ceil(round(most / step, 6))
