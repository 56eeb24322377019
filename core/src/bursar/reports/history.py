"""What a budget spent day by day, as people and `json.dumps` take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..redaction import redacted
from ..runtime.sharing import in_turns
from ..store.views import OTHER, DayView, HistoryView
from ..values.account import name_of, other_account
from ..values.amounts import Amounts
from ..values.money import float_usd
from ..values.window import day_number, day_text

_CLASSES = ("input", "output", "cached_input", "cache_write", "reasoning", "audio_input", "audio_output")
_COUNTED = (
    *("estimated", "in_doubt", "overruns", "refusals", "would_refuse", "contended"),
    *("clamped", "truncated", "alerts"),
)


def build_history(view: HistoryView, key: str, days: int, tz: str) -> dict[str, Any]:
    """The days of an account, each with what the accounts right below it spent; money in USD as float."""
    today = day_number(view.now_ms, tz)
    own = {day.day: day for day in view.accounts[key] if today - days < day.day <= today}
    begin = max(today - days + 1, min((view.since, *own)))
    below = {
        _name(other): {day.day: day for day in found}
        for other, found in in_turns(view.accounts.items())
        if other != key
    }
    numbers = in_turns(range(begin, today + 1))
    return {
        "tz": redacted(tz),
        "since": day_text(view.since),
        "days": [redacted(_day(number, own.get(number), below)) for number in numbers],
    }


def _day(number: int, found: DayView | None, below: Mapping[str, Mapping[int, DayView]]) -> dict[str, Any]:
    day = found or DayView(number, Amounts(), {}, {}, {})
    children = {name: _usd(days[number].spent) for name, days in below.items() if number in days}
    return {
        "day": day_text(number),
        "spent": _usd(day.spent),
        "calls": sum(sums.calls for sums in day.models.values()),
        "tokens": {name: day.tally.get(name, 0) for name in _CLASSES},
        "by_model": {name or "unnamed": _usd(sums) for name, sums in day.models.items()},
        "by_tool": {name or "unnamed": _usd(sums) for name, sums in day.tools.items()},
        "by_child": children,
        **{name: day.tally.get(name, 0) for name in _COUNTED},
    }


def _name(key: str) -> str:
    return OTHER if key == other_account(key.partition("/")[0]) else name_of(key)


def _usd(sums: Amounts) -> float:
    return float_usd(sums.usd)
