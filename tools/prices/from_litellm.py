"""Rows from the model JSON of litellm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from .names import spelled
from .rows import Row, assemble, ceil, priced

LITELLM_PROVIDERS = {
    "ai21": "ai21", "anthropic": "anthropic", "azure": "azure", "azure_ai": "azure", "bedrock": "bedrock",
    "bedrock_converse": "bedrock", "cerebras": "cerebras", "codestral": "mistral", "cohere": "cohere",
    "cohere_chat": "cohere", "deepseek": "deepseek", "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks", "gemini": "google", "groq": "groq", "minimax": "minimax",
    "mistral": "mistral", "moonshot": "moonshot", "openai": "openai", "openrouter": "openrouter",
    "perplexity": "perplexity", "text-completion-openai": "openai",
    "together_ai": "together", "voyage": "voyage", "xai": "xai", "zai": "zai",
}  # fmt: skip
TOKEN_MODES = {
    None,
    "chat",
    "completion",
    "responses",
    "embedding",
    "realtime",
    "audio_transcription",
    "audio_speech",
}
LITELLM_CLASSES = {
    "input_cost_per_token": "i",
    "output_cost_per_token": "o",
    "cache_read_input_token_cost": "c",
    "input_cost_per_token_cache_hit": "c",
    "cache_creation_input_token_cost": "w",
    "cache_creation_input_token_cost_above_1hr": "h",
    "cache_creation_input_token_cost_above_12hr": "h",
    "input_cost_per_audio_token": "a",
    "output_cost_per_audio_token": "b",
    "cache_read_input_audio_token_cost": "d",
}
# Usage does not count these apart, so the class that they are part of is never cheaper than them.
LITELLM_RAISES = {
    "input_cost_per_image_token": "i",
    "input_cost_per_video_token": "i",
    "output_cost_per_reasoning_token": "o",
    "output_cost_per_image_token": "o",
    "output_cost_per_video_token": "o",
    "citation_cost_per_token": "o",
    "cache_read_input_image_token_cost": "c",
}
LITELLM_TIERS = {"batches": "batch", "flex": "flex", "priority": "priority", "ultrafast": "fast"}


def litellm_rows(models: dict[str, Any]) -> Iterator[tuple[str, str, Row]]:
    """(provider, name, row) of every model that is billed by the token."""
    for key, facts in models.items():
        owner = facts.get("litellm_provider") or ""
        provider = "vertex" if owner.startswith("vertex_ai") else LITELLM_PROVIDERS.get(owner)
        if provider is None or facts.get("mode") not in TOKEN_MODES or "tiered_pricing" in facts:
            continue
        name = key.removeprefix(f"{owner}/")
        for prefix in (
            "vertex_ai/",
            "bedrock/",
            "bedrock_converse/",
            "azure/",
            "azure_ai/",
            "gemini/",
            "codestral/",
        ):
            name = name.removeprefix(prefix)
        if provider == "bedrock" and "/" in name:
            continue  # a region, a commitment: not a model id
        row = litellm_row(key, facts, provider)
        if row:
            yield provider, spelled(name), row


def litellm_row(key: str, facts: dict[str, Any], provider: str) -> Row | None:
    prices: dict[tuple[str, int], dict[str, int]] = {}  # (service tier, above) -> classes
    raises: list[tuple[str, int, str, int]] = []
    other = False
    for field, value in facts.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or "cost" not in field:
            continue
        parsed = re.fullmatch(
            r"(?P<base>.+?)(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority|ultrafast))?",
            field,
        )
        assert parsed is not None
        base, above = parsed["base"], int(parsed["above"] or 0) * 1000
        tier = LITELLM_TIERS[parsed["tier"]] if parsed["tier"] else ""
        pico = ceil(Decimal(repr(value)) * 10**12)
        if base in LITELLM_CLASSES and not value and LITELLM_CLASSES[base] not in "io":
            continue  # a class of its own at $0 is a missing price, not a gift
        if base in LITELLM_CLASSES:
            found = prices.setdefault((tier, above), {})
            letter = LITELLM_CLASSES[base]
            found[letter] = max(pico, found.get(letter, 0))
        elif base in LITELLM_RAISES:
            raises.append((tier, above, LITELLM_RAISES[base], pico))
        elif re.search(r"per_(second|character|image|pixel|query|page|video|audio_per|request)", base):
            other = other or value > 0
    for tier, above, letter, pico in raises:
        found = prices.get((tier, above), {})
        if letter in found:
            found[letter] = max(found[letter], pico)
    standard = prices.pop(("", 0), {})
    if not priced(standard, facts.get("mode") == "embedding"):
        return None
    if other and not standard["i"]:
        return None
    row: Row = {**standard}
    assemble(row, prices)
    if facts.get("mode") == "realtime" and "a" not in row:
        return None
    if provider in ("google", "vertex") and facts.get("supports_audio_input") and "a" not in row:
        row["a"] = row["i"]  # Google lists one price for text, image and audio unless it lists audio apart
        for _, tier_row in row.get("t", ()):
            tier_row.setdefault("a", tier_row.get("i", row["i"]))
    for letter, field in (("x", "max_input_tokens"), ("m", "max_output_tokens")):
        if isinstance(facts.get(field), int) and facts[field] > 0:
            row[letter] = facts[field]
    search = facts.get("search_context_cost_per_query")
    if isinstance(search, dict) and search:
        dearest = ceil(max(Decimal(repr(cost)) for cost in search.values()) * 10**9)
        always = provider == "perplexity" or "search-preview" in key or "search-api" in key
        row.update({"fee": dearest} if always else {"q": {"web_search": dearest}})
    if isinstance(facts.get("input_cost_per_request"), float):
        row["fee"] = max(row.get("fee", 0), ceil(Decimal(repr(facts["input_cost_per_request"])) * 10**9))
    return row
