"""The prices that ship with bursar, read when the first model is looked up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from .price import Rates

# Here a write to a cache is part of every request and billed as ordinary input, unless a price
# for it is published. Elsewhere (Anthropic's models wherever they run, Bedrock, OpenRouter)
# a write without a price stays unpriced.
_AUTOMATIC_CACHING = frozenset(
    {"azure", "cerebras", "cohere", "deepseek", "fireworks", "google", "groq", "mistral",
     "moonshot", "openai", "perplexity", "together", "vertex", "xai", "zai"}
)  # fmt: skip
_DEAR = frozenset({"priority", "fast"})


class KnownModel(NamedTuple):
    """A name of the bundled table, and who bills it."""

    provider: str
    name: str


class _Table(NamedTuple):
    head: dict[str, str]
    rows: dict[str, dict[str, dict[str, Any]]]  # by provider and name


@cache
def _table() -> _Table:
    from pathlib import Path  # an import of bursar does not need it

    loaded = json.loads(Path(__file__).with_name("prices.json").read_text("utf-8"))
    rows = {
        provider: {name: row for names, row in shared for name in names}
        for provider, shared in loaded["models"].items()
    }
    return _Table(loaded["head"], rows)


def bundled(provider: str, name: str, tier: str | None) -> Rates | None:
    """The rates of exactly this name; None where the table has none for it and the tier.

    What a cheaper tier does not list costs the standard price.
    """
    row = _table().rows.get(provider, {}).get(name)
    return None if row is None else _read(row, provider, name, tier)


def _read(row: dict[str, Any], provider: str, name: str, tier: str | None) -> Rates | None:
    if tier is not None:
        listed = row.get(tier)
        if listed == "priority":
            listed = row["priority"]
        if listed is not None:
            row = {**row, **listed}
        elif tier in _DEAR and not (tier == "priority" and provider == "anthropic"):
            return None  # Anthropic's priority tier is the standard price
    writes_free = provider in _AUTOMATIC_CACHING and "claude" not in name
    tiers = tuple((above, _rates({**row, **part}, writes_free)) for above, part in row.get("t", ()))
    return _rates(row, writes_free, tiers)


def has_model(provider: str, name: str) -> bool:
    """True when the table has the name, at whatever tier."""
    return name in _table().rows.get(provider, {})


def known_models() -> Iterator[KnownModel]:
    """Every model of the bundled table, by provider and name."""
    for provider, rows in _table().rows.items():
        for name in rows:
            yield KnownModel(provider, name)


def prices_date() -> str:
    """The day that the bundled table was made, as ``YYYY-MM-DD``."""
    return _table().head["date"]


def _rates(row: dict[str, Any], writes_free: bool, tiers: tuple[tuple[int, Rates], ...] = ()) -> Rates:
    plain, short, long = row["i"], row.get("w"), row.get("h")
    if writes_free:
        short = plain if short is None else short
        long = short if long is None else long
    audio = row.get("a")
    # A source may call a surcharge the price of a write, or lag behind with that of audio: neither
    # costs less than plain input.
    return Rates(
        input=plain,
        output=row["o"],
        cached_input=row.get("c"),
        cache_write=None if short is None else max(short, plain),
        cache_write_1h=None if long is None else max(long, plain),
        audio_input=None if audio is None else max(audio, plain),
        audio_output=row.get("b"),
        cached_audio_input=row.get("d"),
        tiers=tiers,
        requests=MappingProxyType(row.get("q", {})),
        call_fee=row.get("fee", 0),
        context_window=row.get("x"),
        max_output_tokens=row.get("m"),
        published=True,
    )
