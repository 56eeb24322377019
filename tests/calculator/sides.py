"""The two calculators, asked the same question: bursar, and genai-prices with its own arithmetic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from genai_prices import Usage as TheirUsage
from genai_prices.data_snapshot import get_snapshot

import bursar.pricing.bundled
from bursar import Usage
from bursar.errors import UnknownModel
from bursar.pricing.book import PriceBook, known_models
from bursar.pricing.model_names import undated
from bursar.pricing.price import cost_nanos

BOOK = PriceBook()
SNAPSHOT = get_snapshot()
CORRECTIONS = json.loads((Path(__file__).parents[2] / "tools" / "price_corrections.json").read_text("utf-8"))

_TABLE = json.loads(Path(bursar.pricing.bundled.__file__).with_name("prices.json").read_text("utf-8"))
# What rows say of how they were chosen, where the two sources disagree.
CHOSEN = {
    (provider, name): row["from"]
    for provider, rows in _TABLE["models"].items()
    for names, row in rows
    for name in names
    if "from" in row
}

# Who bills, by bursar's word and by theirs.
PROVIDERS = {
    "anthropic": "anthropic", "azure": "azure", "bedrock": "aws", "cerebras": "cerebras", "cohere": "cohere",
    "deepseek": "deepseek", "fireworks": "fireworks", "google": "google", "groq": "groq", "minimax": "minimax",
    "mistral": "mistral", "moonshot": "moonshotai", "openai": "openai", "openrouter": "openrouter",
    "perplexity": "perplexity", "together": "together", "vertex": "google", "voyage": "voyageai",
    "xai": "x-ai", "zai": "zai",
}  # fmt: skip
# What they want to be told about a request for it to be priced at one of our tiers.
TIERS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}


@dataclass(frozen=True)
class Model:
    """A model that both know, by a name that both take."""

    provider: str
    name: str
    tier: str | None
    theirs: Any
    their_provider: Any

    @property
    def embedding(self) -> bool:
        """True where bursar prices no output, because the model gives none."""
        return not BOOK.rates(self.name, self.provider, self.tier).output

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}" + (f" at {self.tier}" if self.tier else "")


def models(provider: str) -> Iterator[Model]:
    """All of a provider, at the standard tier and at each that both price."""
    for name in sorted(_names(provider)):
        try:
            theirs, model = SNAPSHOT.find_provider_model(name, None, PROVIDERS[provider], None)
        except LookupError:
            continue
        own = any(model is listed for listed in theirs.models)  # else they price it without its tiers
        for tier in (None, *TIERS):
            known = tier is None or any(
                own and variant.when.items() <= TIERS[tier].items() for variant in model.price_variants or ()
            )
            if known and BOOK.find(name, provider, tier) is not None:
                yield Model(provider, name, tier, model, theirs)


def _names(provider: str) -> set[str]:
    """What either of them calls a model."""
    mine = {known.name for known in known_models() if known.provider == provider}
    source = next(source for source in SNAPSHOT.providers if source.id == PROVIDERS[provider])
    return mine | {name for model in source.models for name in (model.id, *_spelled_out(model.match))}


def _spelled_out(match: Any) -> Iterator[str]:
    for part in (*getattr(match, "or_", ()), *getattr(match, "and_", ())):
        yield from _spelled_out(part)
    if hasattr(match, "equals"):
        yield match.equals


def my_nanos(model: Model, usage: Usage) -> int | None:
    """Nano-dollars by bursar; None where it refuses to name a price, and books the hold."""
    try:
        return cost_nanos(BOOK.rates(model.name, model.provider, model.tier), usage)
    except UnknownModel:
        return None


def their_nanos(model: Model, usage: Usage, at: datetime) -> Fraction:
    """Nano-dollars by genai-prices, not rounded."""
    parts = usage.cached_input_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    asked = TheirUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        input_audio_tokens=usage.audio_input_tokens,
        output_audio_tokens=usage.audio_output_tokens,
        cache_audio_read_tokens=max(parts + usage.audio_input_tokens - usage.input_tokens, 0),
        web_searches=usage.requests.get("web_search", 0),
    )
    priced = model.theirs.calc_price(
        asked,
        model.their_provider,
        genai_request_timestamp=at,
        auto_update_timestamp=None,
        price_context=TIERS[model.tier] if model.tier else None,
    )
    return Fraction(priced.total_price) * 10**9


def corrected(model: Model) -> bool:
    """True where a reviewed correction replaces what a class of its tokens costs, also of a dated variant."""
    return any(
        entry["provider"] == model.provider
        and not {model.name, undated(model.name)}.isdisjoint(entry["names"])
        and (entry.get("drop") or set(entry.get("set", ())) - {"context_window", "max_output_tokens"})
        for entry in CORRECTIONS["corrections"]
    )


def outdated(model: Model) -> bool:
    """True where the row says that theirs is outdated, also of a dated variant."""
    return any(
        CHOSEN.get((model.provider, name), "").startswith("litellm of")
        for name in (model.name, undated(model.name))
    )
