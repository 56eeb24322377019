"""The bundled table against list prices, typed by hand from the vendors' pages.

USD per million tokens, as the pages showed them by January 2026. Nothing here was read
from the data that the table is made of.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from bursar.pricing.book import PriceBook
from bursar.pricing.price import Rates, cost_nanos
from bursar.values.usage import Usage

# (vendor's page, model, tier, class -> USD per million tokens)
PUBLISHED = [
    ("OpenAI: Pricing", "gpt-4o", None, {"input": "2.50", "cached_input": "1.25", "output": "10"}),
    ("OpenAI: Pricing", "gpt-4o-2024-05-13", None, {"input": "5", "output": "15"}),
    ("OpenAI: Pricing", "gpt-4o-mini", None, {"input": "0.15", "cached_input": "0.075", "output": "0.60"}),
    ("OpenAI: Pricing", "gpt-4.1", None, {"input": "2", "cached_input": "0.50", "output": "8"}),
    ("OpenAI: Pricing", "gpt-4.1-mini", None, {"input": "0.40", "cached_input": "0.10", "output": "1.60"}),
    ("OpenAI: Pricing", "gpt-4.1-nano", None, {"input": "0.10", "cached_input": "0.025", "output": "0.40"}),
    ("OpenAI: Pricing", "gpt-4-turbo", None, {"input": "10", "output": "30"}),
    ("OpenAI: Pricing", "gpt-4", None, {"input": "30", "output": "60"}),
    ("OpenAI: Pricing", "gpt-3.5-turbo", None, {"input": "0.50", "output": "1.50"}),
    ("OpenAI: Pricing", "gpt-5", None, {"input": "1.25", "cached_input": "0.125", "output": "10"}),
    ("OpenAI: Pricing", "gpt-5.1", None, {"input": "1.25", "cached_input": "0.125", "output": "10"}),
    ("OpenAI: Pricing", "gpt-5.2", None, {"input": "1.75", "cached_input": "0.175", "output": "14"}),
    ("OpenAI: Pricing", "gpt-5-mini", None, {"input": "0.25", "cached_input": "0.025", "output": "2"}),
    ("OpenAI: Pricing", "gpt-5-nano", None, {"input": "0.05", "cached_input": "0.005", "output": "0.40"}),
    ("OpenAI: Pricing", "gpt-5-pro", None, {"input": "15", "output": "120"}),
    ("OpenAI: Pricing", "o1", None, {"input": "15", "cached_input": "7.50", "output": "60"}),
    ("OpenAI: Pricing", "o1-mini", None, {"input": "1.10", "cached_input": "0.55", "output": "4.40"}),
    ("OpenAI: Pricing", "o1-pro", None, {"input": "150", "output": "600"}),
    ("OpenAI: Pricing", "o3", None, {"input": "2", "cached_input": "0.50", "output": "8"}),
    ("OpenAI: Pricing", "o3-mini", None, {"input": "1.10", "cached_input": "0.55", "output": "4.40"}),
    ("OpenAI: Pricing", "o3-pro", None, {"input": "20", "output": "80"}),
    ("OpenAI: Pricing", "o4-mini", None, {"input": "1.10", "cached_input": "0.275", "output": "4.40"}),
    ("OpenAI: Pricing", "text-embedding-3-small", None, {"input": "0.02", "output": "0"}),
    ("OpenAI: Pricing", "text-embedding-3-large", None, {"input": "0.13", "output": "0"}),
    ("OpenAI: Batch", "gpt-4o", "batch", {"input": "1.25", "output": "5"}),
    ("OpenAI: Batch", "gpt-4.1", "batch", {"input": "1", "output": "4"}),
    ("OpenAI: Flex", "o3", "flex", {"input": "1", "cached_input": "0.25", "output": "4"}),
    ("OpenAI: Flex", "gpt-5", "flex", {"input": "0.625", "cached_input": "0.0625", "output": "5"}),
    ("OpenAI: Priority", "gpt-4o", "priority", {"input": "4.25", "cached_input": "2.125", "output": "17"}),
    ("OpenAI: Priority", "gpt-5", "priority", {"input": "2.50", "cached_input": "0.25", "output": "20"}),
    ("OpenAI: Priority", "o3", "priority", {"input": "3.50", "cached_input": "0.875", "output": "14"}),
    ("OpenAI: Audio tokens", "gpt-4o-audio-preview", None,
     {"input": "2.50", "output": "10", "audio_input": "40", "audio_output": "80"}),
    ("OpenAI: Audio tokens", "gpt-audio", None,
     {"input": "2.50", "output": "10", "audio_input": "32", "audio_output": "64"}),
    ("OpenAI: Audio tokens", "gpt-realtime", None, {"audio_input": "32", "output": "16", "audio_output": "64"}),
    ("OpenAI: Fine-tuning", "ft:gpt-4o-mini-2024-07-18:acme::x", None, {"input": "0.30", "output": "1.20"}),
    ("OpenAI: Fine-tuning", "ft:gpt-4o-2024-08-06:acme::x", None, {"input": "3.75", "output": "15"}),
    ("Anthropic: Pricing", "claude-opus-4-6", None,
     {"input": "5", "cached_input": "0.50", "cache_write": "6.25", "cache_write_1h": "10", "output": "25"}),
    ("Anthropic: Pricing", "claude-opus-4-5", None,
     {"input": "5", "cached_input": "0.50", "cache_write": "6.25", "cache_write_1h": "10", "output": "25"}),
    ("Anthropic: Pricing", "claude-opus-4-1", None,
     {"input": "15", "cached_input": "1.50", "cache_write": "18.75", "cache_write_1h": "30", "output": "75"}),
    ("Anthropic: Pricing", "claude-sonnet-4-5", None,
     {"input": "3", "cached_input": "0.30", "cache_write": "3.75", "cache_write_1h": "6", "output": "15"}),
    ("Anthropic: Pricing", "claude-sonnet-4", None, {"input": "3", "cache_write_1h": "6", "output": "15"}),
    ("Anthropic: Pricing", "claude-haiku-4-5-20251001", None,
     {"input": "1", "cached_input": "0.10", "cache_write": "1.25", "cache_write_1h": "2", "output": "5"}),
    ("Anthropic: Pricing", "claude-3-5-haiku", None,
     {"input": "0.80", "cached_input": "0.08", "cache_write": "1", "cache_write_1h": "1.60", "output": "4"}),
    ("Anthropic: Pricing", "claude-3-haiku", None,
     {"input": "0.25", "cached_input": "0.03", "cache_write": "0.30", "cache_write_1h": "0.50",
      "output": "1.25"}),
    ("Anthropic: Pricing", "claude-3-opus", None, {"input": "15", "cached_input": "1.50", "output": "75"}),
    ("Anthropic: Batch", "claude-sonnet-4-5", "batch", {"input": "1.50", "output": "7.50"}),
    ("Anthropic: Priority tier", "claude-sonnet-4-5", "priority", {"input": "3", "output": "15"}),
    ("Google: Gemini API pricing", "gemini-2.5-pro", None,
     {"input": "1.25", "cached_input": "0.125", "output": "10"}),
    ("Google: Gemini API pricing", "gemini-2.5-flash", None,
     {"input": "0.30", "cached_input": "0.03", "audio_input": "1", "output": "2.50"}),
    ("Google: Gemini API pricing", "gemini-2.5-flash-lite", None,
     {"input": "0.10", "cached_input": "0.01", "audio_input": "0.30", "output": "0.40"}),
    ("Google: Gemini API pricing", "gemini-2.0-flash", None,
     {"input": "0.10", "cached_input": "0.025", "audio_input": "0.70", "output": "0.40"}),
    ("Google: Gemini API pricing", "gemini-1.5-pro", None,
     {"input": "1.25", "audio_input": "1.25", "output": "5"}),
    ("Google: Gemini API pricing", "gemini-1.5-flash", None, {"input": "0.075", "output": "0.30"}),
    ("Google: Batch", "gemini-2.5-flash", "batch", {"input": "0.15", "audio_input": "0.50", "output": "1.25"}),
    ("Mistral: Pricing", "mistral-large-2411", None, {"input": "2", "output": "6"}),
    ("Mistral: Pricing", "mistral-medium-2508", None, {"input": "0.40", "output": "2"}),
    ("Mistral: Pricing", "codestral-latest", None, {"input": "0.30", "output": "0.90"}),
    ("Mistral: Pricing", "mistral-small-2506", None, {"input": "0.10", "output": "0.30"}),
    ("Cohere: Pricing", "command-r-plus", None, {"input": "2.50", "output": "10"}),
    ("Cohere: Pricing", "command-r", None, {"input": "0.15", "output": "0.60"}),
    ("Cohere: Pricing", "command-a", None, {"input": "2.50", "output": "10"}),
    ("Cohere: Pricing", "command-light", None, {"input": "0.30", "output": "0.60"}),
    ("Cohere: Pricing", "command", None, {"input": "1", "output": "2"}),
    ("xAI: Models", "grok-4", None, {"input": "3", "output": "15"}),
    ("Groq: Pricing", "groq/llama-3.3-70b-versatile", None, {"input": "0.59", "output": "0.79"}),
    ("Perplexity: Pricing", "sonar-pro", None, {"input": "3", "output": "15"}),
]  # fmt: skip

# Where the table is dearer on purpose: what the page says, and why it is not enough.
DEARER = [
    # Pictures cost $5 and are not counted apart from text at $4.
    ("OpenAI: Audio tokens", "gpt-realtime", {"input": "4", "cached_input": "0.40"}),
    # Large 3 costs this; the name has also stood for Large 2 at $2/$6.
    ("Mistral: Pricing", "mistral-large-latest", {"input": "0.50", "output": "1.50"}),
    # It was $0.30 before; sources differ on which is in force.
    ("Mistral: Pricing", "open-mistral-nemo", {"input": "0.15", "output": "0.15"}),
    # Medium 3 and 3.1 cost this; the name may select a later and dearer one.
    ("Mistral: Pricing", "mistral-medium", {"input": "0.40", "output": "2"}),
    # Small 3 costs this; the name may select a later and dearer one.
    ("Mistral: Pricing", "mistral-small", {"input": "0.10", "output": "0.30"}),
]

# (page, model, threshold, class -> USD per million tokens of the whole request above it)
SIZE_TIERS = [
    ("Google: Gemini API pricing", "gemini-2.5-pro", 200_000, {"input": "2.50", "output": "15"}),
    ("Google: Gemini API pricing", "gemini-1.5-pro", 128_000, {"input": "2.50", "output": "10"}),
    ("Google: Gemini API pricing", "gemini-1.5-flash", 128_000, {"input": "0.15", "output": "0.60"}),
    ("Anthropic: Long context", "claude-sonnet-4-5", 200_000, {"input": "6", "output": "22.50"}),
]

# (page, model, context window, max output tokens); None: not published
SIZES = [
    ("OpenAI: Models", "gpt-4o", 128_000, 16_384),
    ("OpenAI: Models", "gpt-4", 8_192, 8_192),
    ("OpenAI: Models", "gpt-5", 400_000, 128_000),
    ("OpenAI: Models", "o1-mini", 128_000, 65_536),
    ("OpenAI: Models", "gpt-4.1", 1_047_576, 32_768),
    ("Anthropic: Models overview", "claude-3-opus", 200_000, 4_096),
    ("Anthropic: Models overview", "claude-3-5-sonnet", 200_000, 8_192),
    ("Anthropic: Models overview", "claude-opus-4-5", 200_000, 64_000),
    ("Google: Gemini models", "gemini-1.5-pro", 2_097_152, 8_192),
    ("Google: Gemini models", "gemini-2.5-flash", 1_048_576, 65_536),
    ("Google: Gemini models", "gemini-2.0-flash", 1_048_576, 8_192),
    ("Cohere: Models", "command", 4_096, 4_096),
]

MUST_RESOLVE = """
gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-4o gpt-4o-mini gpt-4-turbo gpt-4 gpt-3.5-turbo gpt-5 gpt-5.1 gpt-5.2
gpt-5-mini gpt-5-nano o1 o1-mini o3 o3-pro o4-mini claude-opus-4-6 claude-opus-4-5 claude-sonnet-4-5
claude-sonnet-4 claude-haiku-4-5 claude-haiku-4-5-20251001 claude-3-opus claude-3-sonnet claude-3-haiku
claude-3-5-sonnet gemini-2.5-pro gemini-2.5-flash gemini-2.5-flash-lite gemini-2.0-flash gemini-1.5-pro
gemini-1.5-flash mistral-large mistral-small mistral-medium codestral open-mistral-nemo command-r-plus command-r
command command-light text-embedding-3-small text-embedding-3-large
""".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook()


def usd(rates: Rates, kind: str) -> Decimal | None:
    pico = getattr(rates, kind)
    return None if pico is None else Decimal(pico) / 10**6


@pytest.mark.parametrize(("page", "model", "tier", "prices"), PUBLISHED)
def test_list_prices(
    book: PriceBook, page: str, model: str, tier: str | None, prices: dict[str, str]
) -> None:
    """The table has exactly the price that the vendor lists."""
    rates = book.rates(model, tier=tier)
    assert {kind: usd(rates, kind) for kind in prices} == {
        kind: Decimal(price) for kind, price in prices.items()
    }, page


@pytest.mark.parametrize(("page", "model", "prices"), DEARER)
def test_never_cheaper_than_listed(book: PriceBook, page: str, model: str, prices: dict[str, str]) -> None:
    """Where the table departs from a list price it does so upwards."""
    rates = book.rates(model)
    for kind, price in prices.items():
        listed = usd(rates, kind)
        assert listed is not None and listed > Decimal(price), page


@pytest.mark.parametrize(("page", "model", "threshold", "prices"), SIZE_TIERS)
def test_size_tiers(book: PriceBook, page: str, model: str, threshold: int, prices: dict[str, str]) -> None:
    """One token above the threshold reprices the whole request; at the threshold nothing changes."""
    rates = book.rates(model)
    assert rates.input is not None and rates.output is not None
    above = {kind: Decimal(price) * 1_000 for kind, price in prices.items()}  # nano-dollars a token
    assert (
        cost_nanos(rates, Usage(threshold, 1_000))
        == (threshold * rates.input + 1_000 * rates.output) // 1_000
    )
    assert (
        cost_nanos(rates, Usage(threshold + 1, 1_000))
        == (threshold + 1) * above["input"] + 1_000 * above["output"]
    ), page


@pytest.mark.parametrize(("page", "model", "context", "output"), SIZES)
def test_sizes(book: PriceBook, page: str, model: str, context: int, output: int) -> None:
    """Context windows and largest outputs are those of the vendor's model pages."""
    rates = book.rates(model)
    assert (rates.context_window, rates.max_output_tokens) == (context, output), page


def test_hosted_tool_fees(book: PriceBook) -> None:
    """A web search costs $10 per thousand with Anthropic's models and with GPT-5."""
    for model in ("claude-sonnet-4-5", "gpt-5"):
        assert book.rates(model).requests["web_search"] == 10_000_000


def test_call_fees(book: PriceBook) -> None:
    """Perplexity's Sonar Pro takes up to $14 per thousand calls beside the tokens."""
    assert book.rates("sonar-pro").call_fee == 14_000_000


@pytest.mark.parametrize("model", MUST_RESOLVE)
def test_well_known_names(book: PriceBook, model: str) -> None:
    """A well-known name has a price without a provider, and a chat model has both sizes."""
    rates = book.rates(model)
    assert rates.input
    assert rates.context_window
    assert rates.max_output_tokens or not rates.output
