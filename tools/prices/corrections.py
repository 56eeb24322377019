"""The reviewed exceptions of price_corrections.json."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from .names import undated
from .rows import Row, ceil

CORRECTION_FIELDS = {
    "input": "i", "output": "o", "cached_input": "c", "cache_write": "w", "cache_write_1h": "h",
    "audio_input": "a", "audio_output": "b", "context_window": "x", "max_output_tokens": "m",
}  # fmt: skip


def correct(table: dict[str, dict[str, Row]], corrections: dict[str, Any]) -> None:
    """Apply the reviewed exceptions: `set` replaces, `fill` only completes, `drop` removes."""
    for entry in corrections["corrections"]:
        models = table.setdefault(entry["provider"], {})
        date.fromisoformat(entry["date"])
        assert entry["source"], entry
        named = {*entry["names"]}
        for name in sorted(named | {name for name in models if undated(name) in named}):
            if entry.get("drop"):
                del models[name]
                continue
            row = models.setdefault(name, {}) if "set" in entry else models[name]
            for kind in ("set", "fill"):
                for field, value in entry.get(kind, {}).items():
                    letter = CORRECTION_FIELDS[field]
                    number = value if letter in "xm" else ceil(Decimal(value) * 10**6)
                    if kind == "set" or letter not in row:
                        row[letter] = number
            if entry.get("audio_as_input"):
                row["a"] = row["i"]
                for _, classes in row.get("t", ()):
                    classes["a"] = classes["i"]
            if "fees" in entry:
                row.setdefault("q", {}).update(
                    {tool: ceil(Decimal(cost) * 10**9) for tool, cost in entry["fees"].items()}
                )
            if "call_fee" in entry:
                row["fee"] = ceil(Decimal(entry["call_fee"]) * 10**9)
