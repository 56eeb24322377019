"""The spend of each day as a chart in SVG, drawn for a width, with a limit as a line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .escape import escaped, usd

_HEIGHT, _TOP, _BOTTOM, _RIGHT = 270, 46, 44, 12
_LABEL, _DIGIT = 62, 8  # the width that the label of a day needs, and at most a letter of an amount
_WIDEST = 60  # bar
_FAR = 3  # times the dearest day; a limit beyond would leave no room for the bars


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


def day_chart(
    bars: Sequence[Bar], limit: tuple[str, float] | None, width: int, shown: str, axis: str = "day"
) -> str:
    """The SVG of the days, oldest first.

    Args:
        bars: the days.
        limit: the text of a limit for one day and its amount in USD: drawn as a line, or, where that
            were far above the bars, as words.
        width: of the drawing, in pixels.
        shown: the class of the drawing, by which the page chooses one that fits.
        axis: what the days are.
    """
    return "\n".join(_drawn(bars, limit, width, shown, axis))


def _drawn(
    bars: Sequence[Bar], limit: tuple[str, float] | None, width: int, shown: str, axis: str
) -> Iterator[str]:
    most = max((bar.spent for bar in bars), default=0.0)
    far = limit is not None and 0 < _FAR * most < limit[1]
    step, top = _scale(most if limit is None or far else max(most, limit[1]))
    ticks = [(number * step, usd(number * step, step)) for number in range(round(top / step) + 1)]
    start = 12 + _DIGIT * max(len(text) for _, text in ticks)
    inner, tall = width - start - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def y(amount: float) -> float:
        return _TOP + tall - amount / top * tall

    def line(kind: str, amount: float) -> str:
        ends = f'x1="{start}" x2="{width - _RIGHT}" y1="{y(amount):.1f}" y2="{y(amount):.1f}"'
        return f'<line class="{kind}" {ends}/>'

    yield (
        f'<svg class="{shown}" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" role="img">'
        f"<title>Spend by day in USD; the table below has the same figures</title>"
    )
    yield '<text class="unit" x="0" y="14">USD a day</text>'
    for amount, text in ticks:
        yield line("grid", amount)
        yield f'<text class="tick" x="{start - 8}" y="{y(amount) + 4:.1f}">{text}</text>'
    slot = inner / len(bars)
    every = max(1, math.ceil(_LABEL / slot))
    for place, bar in enumerate(bars):
        middle, wide = start + (place + 0.5) * slot, min(_WIDEST, slot * 0.8)
        height = max(0.0, bar.spent / top * tall)
        yield (
            f'<rect class="bar" x="{middle - wide / 2:.1f}" y="{_TOP + tall - height:.1f}" width="{wide:.1f}"'
            f' height="{height:.1f}"><title>{_told(bar)}</title></rect>'
        )
        yield from _marks(bar, middle, _TOP + tall - height)
        if (len(bars) - 1 - place) % every == 0 and middle - _LABEL / 2 >= 0:
            kind, at = ("day", middle) if middle + _LABEL / 2 <= width else ("day last", width - 1)
            yield f'<text class="{kind}" x="{at:.1f}" y="{_HEIGHT - 24}">{escaped(bar.day[5:])}</text>'
    middle = start + inner / 2
    yield f'<text class="axis" x="{middle:.0f}" y="{_HEIGHT - 4}">{axis}</text>'
    if limit is not None:
        if not far:
            yield line("limit", limit[1])
        words = f"limit {escaped(limit[0])}{', far above' if far else ''}"
        yield f'<text class="limit" x="{width - _RIGHT}" y="14">{words}</text>'
    yield "</svg>"


def _told(bar: Bar) -> str:
    told = f"{bar.day}: {usd(bar.spent)}"
    told += f", {bar.refusals} refused" if bar.refusals else ""
    return escaped(told + (f", {bar.alerts} alerts" if bar.alerts else ""))


def _marks(bar: Bar, x: float, y: float) -> Iterator[str]:
    """Above the bar a triangle where calls were refused, and a dot where alerts were sent."""
    y -= 4
    if bar.refusals:
        points = f"{x - 5:.1f},{y - 8:.1f} {x + 5:.1f},{y - 8:.1f} {x:.1f},{y:.1f}"
        title = f"<title>{escaped(bar.day)}: {bar.refusals} refused</title>"
        yield f'<polygon class="refused" points="{points}">{title}</polygon>'
        y -= 11
    if bar.alerts:
        title = f"<title>{escaped(bar.day)}: {bar.alerts} alerts</title>"
        yield f'<circle class="alerted" cx="{x:.1f}" cy="{y - 4:.1f}" r="4">{title}</circle>'


def _scale(most: float) -> tuple[float, float]:
    """The step between the lines of the axis, and its top: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(times * power for times in (1, 2, 5, 10) if times * power * 4 >= most)
    return step, step * math.ceil(round(most / step, 6))
