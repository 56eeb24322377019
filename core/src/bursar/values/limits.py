"""Caps on an account: an amount of USD, tokens or calls, over a window."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from typing import TypeAlias

from .call import Subject
from .limit_text import SCALE, Unit, read_limit
from .money import Money, show_usd, to_nanos
from .names import check_name
from .window import CALENDAR

LimitLike: TypeAlias = "Limit | Money"


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Limit:
    """A cap, written as ``AMOUNT[ UNIT][/WINDOW]``.

    ``Limit("$5")`` is five dollars for each session, ``Limit("2M tokens/day")`` two
    million tokens a calendar day, ``Limit("$20/24h")`` twenty dollars in any 24 hours, and
    ``Limit("20 calls", tool="web_search")`` twenty runs of one tool in a session.

    Two limits are equal when they cap the same thing at the same amount, however written.

    Attributes:
        unit: ``"usd"``, ``"tokens"`` (input and output, cached included) or ``"calls"``
            (calls to models; with `tool`, runs of that tool).
        amount: nano-dollars, tokens or calls.
        window: ``"session"``, ``"total"``, a calendar period (``"hour"``, ``"day"``, ``"week"``,
            ``"month"``) or a rolling span as it was written (``"24h"``).
        model: counts only calls to this model and its dated variants.
        tool: counts only runs of this tool; ``"*"`` is any tool.
        provider: counts only calls billed by this provider.
        span_ms: the length of a rolling window in milliseconds; 0 for the others.
        implied: no window was written, so that it is for each session.
        tz: the time zone of a calendar period, as the budget has it; empty for the others.
        key: what makes two limits the same limit: all but the amount and the zone.

    Raises:
        InvalidAmount: the text is not a limit, or the amount is not one that a limit can have.
        ValueError: a selector is not a name.
    """

    unit: Unit = field(compare=False)
    amount: int
    window: str = field(compare=False)
    model: str | None = field(compare=False)
    tool: str | None = field(compare=False)
    provider: str | None = field(compare=False)
    span_ms: int = field(compare=False)
    implied: bool = field(compare=False)
    tz: str
    key: tuple[str, ...]

    def __init__(
        self,
        text: Money,
        *,
        model: str | None = None,
        tool: str | None = None,
        provider: str | None = None,
    ) -> None:
        if isinstance(text, str):
            unit, amount, window, span_ms, implied = read_limit(text)
        else:
            unit, amount, window, span_ms, implied = "usd", to_nanos(text), "session", 0, True
        for selector, name in (("model", model), ("tool", tool), ("provider", provider)):
            if name is not None:
                check_name(selector, name)
        counted_over = f"{span_ms}ms" if span_ms else window
        for attribute, value in (
            ("unit", unit), ("amount", amount), ("window", window), ("span_ms", span_ms),
            ("implied", implied), ("model", model), ("tool", tool), ("provider", provider),
            ("tz", "UTC" if window in CALENDAR else ""),
            ("key", (unit, counted_over, model or "", tool or "", provider or "")),
        ):  # fmt: skip
            object.__setattr__(self, attribute, value)

    def in_zone(self, tz: str) -> Limit:
        """The same limit with its calendar period in a time zone."""
        if not self.tz or self.tz == tz:
            return self
        moved = copy(self)
        object.__setattr__(moved, "tz", tz)
        return moved

    @property
    def windowed(self) -> bool:
        """True when what it counts is forgotten after a time."""
        return bool(self.span_ms or self.tz)

    @property
    def selective(self) -> bool:
        """True when it counts only some calls."""
        return self.model is not None or self.tool is not None or self.provider is not None

    def covers(self, subject: Subject) -> bool:
        """True when a call to this subject counts against the limit."""
        if self.model is not None and self.model not in subject.models:
            return False
        if self.provider is not None and self.provider != subject.provider:
            return False
        if self.tool is not None:
            return subject.tool is not None and self.tool in ("*", subject.tool)
        return self.unit != "calls" or subject.kind == "model"

    def show(self, amount: int) -> str:
        """An amount of this limit's unit, for people: ``$1.50``, ``1,200 tokens``."""
        return show_usd(amount) if self.unit == "usd" else f"{amount:,} {_counted(self.unit, amount)}"

    def __str__(self) -> str:
        text = f"{_short(self)}/{self.window}"
        narrowed = [f"{name}={value}" for name, value in self._selectors()]
        return f"{text} ({', '.join(narrowed)})" if narrowed else text

    def __repr__(self) -> str:
        narrowed = "".join(f", {name}={value!r}" for name, value in self._selectors())
        return f"Limit('{_short(self)}/{self.window}'{narrowed})"

    def _selectors(self) -> list[tuple[str, str]]:
        named = (("model", self.model), ("tool", self.tool), ("provider", self.provider))
        return [(name, value) for name, value in named if value is not None]


def as_limit(value: LimitLike) -> Limit:
    """A limit as it is, or from its text or a plain number of dollars."""
    return value if isinstance(value, Limit) else Limit(value)


def parse_limits(limits: LimitLike | Iterable[LimitLike], tz: str = "UTC") -> tuple[Limit, ...]:
    """Limits from what users write, one or several; of two over the same thing the smaller one counts."""
    smallest: dict[tuple[str, ...], Limit] = {}
    several = limits if isinstance(limits, Iterable) and not isinstance(limits, str) else (limits,)
    for limit in map(as_limit, several):
        known = smallest.get(limit.key)
        if known is None or limit.amount < known.amount:
            smallest[limit.key] = limit.in_zone(tz)
    return tuple(smallest.values())


def stored_limit(
    unit: str,
    amount: int,
    window: str,
    *,
    model: str | None = None,
    tool: str | None = None,
    provider: str | None = None,
    tz: str = "",
) -> Limit:
    """The limit whose attributes were written down; empty selectors are none."""
    cap = f"{amount // 10**9}.{amount % 10**9:09d}" if unit == "usd" else f"{amount} {unit}"
    limit = Limit(f"{cap}/{window}", model=model or None, tool=tool or None, provider=provider or None)
    return limit.in_zone(tz)


def _short(limit: Limit) -> str:
    """The amount as a user would write it."""
    if limit.unit == "usd":
        return show_usd(limit.amount).removesuffix(".00")
    for letter in ("M", "k"):
        if limit.amount and limit.amount % SCALE[letter] == 0:
            return f"{limit.amount // SCALE[letter]}{letter} {limit.unit}"
    return f"{limit.amount} {_counted(limit.unit, limit.amount)}"


def _counted(unit: Unit, amount: int) -> str:
    return unit.removesuffix("s") if abs(amount) == 1 else unit
