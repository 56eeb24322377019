"""Rows from genai-prices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from .rows import Row, assemble, ceil, priced

GENAI_PROVIDERS = {
    "anthropic": "anthropic", "aws": "bedrock", "azure": "azure", "cerebras": "cerebras", "cohere": "cohere",
    "deepseek": "deepseek", "fireworks": "fireworks", "google": "google", "groq": "groq",
    "minimax": "minimax", "mistral": "mistral", "moonshotai": "moonshot", "openai": "openai",
    "openrouter": "openrouter", "perplexity": "perplexity", "together": "together", "voyageai": "voyage",
    "x-ai": "xai", "zai": "zai",
}  # fmt: skip
GENAI_CLASSES = {
    "input_mtok": "i",
    "output_mtok": "o",
    "cache_read_mtok": "c",
    "cache_write_mtok": "w",
    "cache_write_1h_mtok": "h",
    "input_audio_mtok": "a",
    "output_audio_mtok": "b",
    "cache_audio_read_mtok": "d",
}
GENAI_RAISES = {
    "input_image_mtok": "i",
    "input_video_mtok": "i",
    "output_image_mtok": "o",
    "output_video_mtok": "o",
    "output_reasoning_mtok": "o",
    "output_citation_mtok": "o",
    "cache_image_read_mtok": "c",
}
GENAI_FEES = {"web_searches_kcount": "web_search", "storage_searches_kcount": "file_search"}
GENAI_TIERS = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}


def genai_row(model: Any, today: date) -> Row | None:
    """What a model costs now: dearest over the day and over what is announced."""
    conditional = model.prices if isinstance(model.prices, list) else None
    if conditional is None:
        chosen = [model.prices]
    else:
        dated = [c for c in conditional if c.constraint is None or hasattr(c.constraint, "start_date")]
        past = [c for c in dated if c.constraint is None or c.constraint.start_date <= today]
        chosen = [c.prices for c in conditional if c not in dated or c not in past] + [past[-1].prices]
    prices: dict[tuple[str, int], dict[str, int]] = {}
    extra: Row = {}
    for price in chosen:
        genai_classes(price, "", prices, extra)
    for variant in getattr(model, "price_variants", None) or ():  # earlier releases had none
        tier = GENAI_TIERS.get(tuple(*variant.when.items())) if len(variant.when) == 1 else None
        if tier is not None and (variant.constraint is None or variant.constraint.start_date <= today):
            genai_classes(variant.prices, tier, prices, {})
    standard = prices.pop(("", 0), {})
    if not priced(standard, "embed" in model.id or "voyage" in model.id):
        return None
    row: Row = {**standard, **extra}
    assemble(row, prices)
    if model.context_window:
        row["x"] = model.context_window
    return row


def genai_classes(price: Any, tier: str, prices: dict[tuple[str, int], dict[str, int]], extra: Row) -> None:
    raises = []
    for key, value in vars(price).items():
        if value is None:
            continue
        base = getattr(value, "base", value)
        steps = [(0, base)] + [(step.start, step.price) for step in getattr(value, "tiers", ())]
        if key in GENAI_CLASSES and not base and GENAI_CLASSES[key] not in "io":
            continue  # a class of its own at $0 is a missing price, not a gift
        if key in GENAI_CLASSES or key in GENAI_RAISES:
            for above, usd in steps:
                entry = (GENAI_CLASSES.get(key) or GENAI_RAISES[key], above, ceil(usd * 10**6))
                if key in GENAI_RAISES:
                    raises.append(entry)
                    continue
                found = prices.setdefault((tier, above), {})
                found[entry[0]] = max(entry[2], found.get(entry[0], 0))
        elif key in GENAI_FEES:
            extra.setdefault("q", {})[GENAI_FEES[key]] = ceil(max(usd for _, usd in steps) * 10**6)
        elif key == "requests_kcount":
            extra["fee"] = ceil(base * 10**6)
    for letter, above, pico in raises:
        found = prices.get((tier, above), {})
        if letter in found:
            found[letter] = max(found[letter], pico)


def genai_names(match: Any) -> Iterator[str]:
    """The names that a matcher spells out in full."""
    for part in [*getattr(match, "or_", ()), *getattr(match, "and_", ())]:
        yield from genai_names(part)
    if hasattr(match, "equals"):
        yield match.equals
