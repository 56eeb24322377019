"""Caps on an account: an amount of USD, tokens or calls, over a window."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from .call import Subject
from .errors import InvalidAmount
from .money import MAX_NANOS, Money, show_usd, to_nanos
from .names import check_name

Unit = Literal["usd", "tokens", "calls"]
Window = Literal["session", "total"]
LimitLike: TypeAlias = "Limit | Money"

_COUNT = re.compile(r"([0-9][0-9,.]*)([kM]?) +(tokens|calls)", re.ASCII)
_NUMBER = re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,16})(?:\.[0-9]{1,6})?", re.ASCII)
_SCALE = {"": 1, "k": 1_000, "M": 1_000_000}
_WINDOWS = ("session", "total")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Limit:
    """A cap, written as ``AMOUNT[ UNIT][/WINDOW]``.

    ``Limit("$5")`` is five dollars for each session, ``Limit("2M tokens/total")``
    two million tokens over the whole life of the account, and
    ``Limit("20 calls", tool="web_search")`` twenty runs of one tool in a session.

    Attributes:
        unit: ``"usd"``, ``"tokens"`` (input and output, cached included) or ``"calls"``
            (calls to models; with `tool`, runs of that tool).
        amount: nano-dollars, tokens or calls.
        window: ``"session"`` or ``"total"``.
        model: counts only calls to this model and its dated variants.
        tool: counts only runs of this tool; ``"*"`` is any tool.
        provider: counts only calls billed by this provider.

    Raises:
        InvalidAmount: the text is not a limit, or the amount is not one that a limit can have.
        ValueError: a selector is not a name.
    """

    unit: Unit
    amount: int
    window: Window
    model: str | None
    tool: str | None
    provider: str | None

    def __init__(
        self,
        text: Money,
        *,
        model: str | None = None,
        tool: str | None = None,
        provider: str | None = None,
    ) -> None:
        unit, amount, window = _parse(text)
        for selector, name in (("model", model), ("tool", tool), ("provider", provider)):
            if name is not None:
                check_name(selector, name)
        for attribute, value in (
            ("unit", unit), ("amount", amount), ("window", window),
            ("model", model), ("tool", tool), ("provider", provider),
        ):  # fmt: skip
            object.__setattr__(self, attribute, value)

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two limits the same limit: all but the amount."""
        return (self.unit, self.window, self.model or "", self.tool or "", self.provider or "")

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
        return show_usd(amount) if self.unit == "usd" else f"{amount:,} {self.unit}"

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


def _parse(text: Money) -> tuple[Unit, int, Window]:
    if not isinstance(text, str):
        return "usd", to_nanos(text), "session"
    amount, slash, window = text.partition("/")
    if slash and window.strip(" ") not in _WINDOWS:
        raise InvalidAmount(f"{text!r:.60}: the window is one of {', '.join(_WINDOWS)}")
    words = _COUNT.fullmatch(amount.strip(" "))
    chosen = cast("Window", window.strip(" ") or "session")
    if words is None:
        try:
            return "usd", to_nanos(amount), chosen
        except InvalidAmount as error:
            raise InvalidAmount(
                f"{error}. A limit is an amount with an optional unit and window,"
                " like '$5', '50k tokens' or '20 calls/total'"
            ) from None
    if _NUMBER.fullmatch(words[1]) is None:
        raise InvalidAmount(f"{text!r:.60} is not a number of {words[3]}")
    whole, _, decimals = words[1].replace(",", "").partition(".")
    millionths = int(whole + decimals.ljust(6, "0")) * _SCALE[words[2]]
    count, rest = divmod(millionths, 10**6)
    if rest or count > MAX_NANOS:
        raise InvalidAmount(f"{text!r:.60} is not a whole number of {words[3]} up to {MAX_NANOS:,}")
    return cast("Unit", words[3]), count, chosen


def _short(limit: Limit) -> str:
    """The amount as a user would write it."""
    if limit.unit == "usd":
        return show_usd(limit.amount).removesuffix(".00")
    for letter in ("M", "k"):
        if limit.amount and limit.amount % _SCALE[letter] == 0:
            return f"{limit.amount // _SCALE[letter]}{letter} {limit.unit}"
    return f"{limit.amount} {limit.unit}"
