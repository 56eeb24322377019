"""The arithmetic of prices, and which price a name has."""

from __future__ import annotations

import json
import math
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import InvalidAmount, UnknownModel
from bursar.pricing import overrides as registry
from bursar.pricing.book import (
    PriceBook,
    check_tier,
    known_models,
    prices_date,
    register_model,
    register_models,
)
from bursar.pricing.bundled import bundled
from bursar.pricing.price import Price, Rates, cost_nanos, rates_of
from bursar.values.call import Subject
from bursar.values.usage import MAX_TOKENS, Usage


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.delenv("BURSAR_PRICES", raising=False)


@pytest.fixture
def book() -> PriceBook:
    return PriceBook()


# -- Price --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usd", "pico"),
    [
        ("2.50", 2_500_000),
        ("$2.50", 2_500_000),
        ("1,000", 1_000_000_000),
        (3, 3_000_000),
        (0, 0),
        (0.1, 100_000),
        (0.18000000000000002, 180_000),
        (3 * 0.06, 180_000),
        (1 / 12, 83_334),
        (1e-30, 1),
        (Decimal("0.0375"), 37_500),
        (Decimal("0.18000000000000002"), 180_001),
        (Decimal("1E-7"), 1),
        ("0.0000001", 1),
    ],
)
def test_prices_round_up(usd: str | float | Decimal, pico: int) -> None:
    """A price becomes whole pico-dollars a token, upwards; the dust of a float is not a price."""
    assert rates_of(Price(usd, "1")).input == pico


@pytest.mark.parametrize(
    "hostile",
    [-1, -0.01, "-1", math.nan, math.inf, Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), True, None, "",
     "1e3", "١", "1,00", [1], 4_500_001, "9" * 400, 1e300, 1j],
)  # fmt: skip
def test_hostile_prices(hostile: Any) -> None:
    """What is no finite amount of dollars from $0 up is no price, whichever class it is given for."""
    with pytest.raises(InvalidAmount, match="input"):
        Price(hostile, 1)
    with pytest.raises(InvalidAmount, match="output"):
        Price(1, hostile)
    if hostile is not None:
        with pytest.raises(InvalidAmount, match="cache_write_1h"):
            Price(1, 1, cache_write_1h=hostile)


def test_price_reads_back() -> None:
    """A price is a frozen value of Decimals, without exponents in print."""
    price = Price("0.0000005", 10.0, cached_input="$1.25", context_window=8, max_output_tokens=4)
    assert (price.input, price.output, price.cached_input) == (
        Decimal("0.000001"),
        Decimal(10),
        Decimal("1.25"),
    )
    assert str(price.input) == "0.000001"
    assert price == Price("0.000001", 10, "1.25", context_window=8, max_output_tokens=4)
    with pytest.raises(AttributeError):
        price.input = 1  # type: ignore[misc]


@pytest.mark.parametrize("size", [0, -1, True, 1.0, "8", MAX_TOKENS + 1])
def test_hostile_sizes(size: Any) -> None:
    """A size is a whole number of tokens from 1 up."""
    assert Price(1, 1, context_window=1, max_output_tokens=MAX_TOKENS).context_window == 1
    with pytest.raises(ValueError, match="context_window"):
        Price(1, 1, context_window=size)
    with pytest.raises(ValueError, match="max_output_tokens"):
        Price(1, 1, max_output_tokens=size)


# -- cost ---------------------------------------------------------------------------------------

FULL = Rates(
    input=2_500_000,
    output=10_000_001,
    cached_input=1_250_000,
    cache_write=3_125_000,
    cache_write_1h=5_000_000,
    audio_input=40_000_000,
    audio_output=80_000_000,
    cached_audio_input=20_000_000,
    tiers=((1_000, Rates(5_000_000, 20_000_000, 2_500_000, 6_250_000, 10_000_000, 80_000_000, 160_000_000)),),
    requests={"web_search": 10_000_000},
    call_fee=7,
)


def split(total: int, parts: list[int]) -> list[int]:
    """Cut parts down so that they add up to at most the total."""
    left, cut = total, []
    for part in parts:
        cut.append(min(part, left))
        left -= cut[-1]
    return cut


counts = st.integers(0, 3_000)
prices = st.integers(0, 10**9)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    sent, made = draw(counts), draw(counts)
    cached, short, long = split(sent, [draw(counts) for _ in range(3)])
    return Usage(
        sent,
        made,
        cached,
        short,
        long,
        reasoning_tokens=min(draw(counts), made),
        audio_input_tokens=min(draw(counts), sent),
        audio_output_tokens=min(draw(counts), made),
    )


def rates_in_full() -> st.SearchStrategy[Rates]:
    part = st.builds(Rates, *[prices] * 8)
    steps = st.dictionaries(st.integers(1, 3_000), part, max_size=3)
    tiers = steps.map(lambda listed: tuple(sorted(listed.items(), key=lambda step: step[0])))
    return st.builds(Rates, *[prices] * 8, tiers=tiers, call_fee=st.integers(0, 10**7))


@given(rates_in_full(), usages())
def test_cost_is_exact(rates: Rates, usage: Usage) -> None:
    """With disjoint classes the cost is the exact rational sum, rounded up once to a nano-dollar."""
    parts = usage.cached_input_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    audio = min(usage.audio_input_tokens, usage.input_tokens - parts)
    usage = Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.reasoning_tokens,
        audio,
        usage.audio_output_tokens,
    )
    at = rates
    for above, higher in rates.tiers:
        at = higher if usage.input_tokens > above else at
    classes = [
        (usage.input_tokens - parts - audio, at.input),
        (usage.cached_input_tokens, at.cached_input),
        (usage.cache_write_tokens, at.cache_write),
        (usage.cache_write_1h_tokens, at.cache_write_1h),
        (audio, at.audio_input),
        (usage.output_tokens - usage.audio_output_tokens, at.output),
        (usage.audio_output_tokens, at.audio_output),
    ]
    exact = sum((Fraction(count * (price or 0), 1_000) for count, price in classes), Fraction(rates.call_fee))
    assert cost_nanos(rates, usage) == math.ceil(exact)


@given(rates_in_full(), usages(), counts, counts)
def test_worst_is_an_upper_bound(rates: Rates, usage: Usage, more_in: int, more_out: int) -> None:
    """No usage within the bounds costs more than the worst case, and the worst case grows with both bounds."""
    bound = rates.worst_case(audio=True)
    worst = bound.nanos(usage.input_tokens, usage.output_tokens)
    assert cost_nanos(rates, usage) <= worst
    assert worst <= bound.nanos(usage.input_tokens + more_in, usage.output_tokens + more_out)


@given(rates_in_full(), counts, counts, counts, counts)
def test_worst_without_audio_and_writes(rates: Rates, sent: int, cached: int, made: int, more: int) -> None:
    """Without audio and cache writes the bound is tighter, holds for text, and still grows."""
    usage = Usage(sent, made, min(cached, sent))
    bound = rates.worst_case(cache_writes=False)
    worst = bound.nanos(sent, made)
    assert cost_nanos(rates, usage) <= worst <= rates.worst_case().nanos(sent, made)
    assert worst <= bound.nanos(sent + more, made + more)


@given(rates_in_full(), counts, st.integers(1, 8), st.integers(0, 10**10), st.booleans(), st.booleans())
def test_output_cap_is_the_largest(
    rates: Rates, sent: int, n: int, nanos: int, writes: bool, audio: bool
) -> None:
    """The worst case at the cap fits, and at one token more it does not."""
    worst = rates.worst_case(cache_writes=writes, audio=audio)
    cap = worst.output_cap(sent, n, nanos)
    if cap == -1:
        assert worst.nanos(sent, 0) > nanos
    else:
        assert worst.nanos(sent, n * cap) <= nanos
        assert cap == MAX_TOKENS or worst.nanos(sent, n * (cap + 1)) > nanos


def test_output_cap_edges() -> None:
    """Free output is capped by what a count can be; -1 says that not even the input fits."""
    assert Rates(1_000, 0).worst_case().output_cap(10, 1, 10) == MAX_TOKENS
    assert Rates(1_000, 1_000).worst_case().output_cap(10, 1, 10) == 0
    assert Rates(1_000, 1_000).worst_case().output_cap(10, 1, 9) == -1
    assert Rates(0, 1).worst_case().output_cap(0, 1, 10**10) == MAX_TOKENS


def test_rounded_up_once() -> None:
    """Two classes of half a nano-dollar cost one nano-dollar, not two."""
    assert cost_nanos(Rates(500, 500), Usage(1, 1)) == 1
    assert cost_nanos(Rates(1, 1), Usage(1, 0)) == 1
    assert cost_nanos(Rates(1, 1), Usage(0, 0)) == 0


def test_reasoning_is_output() -> None:
    """Reasoning tokens are part of the output and cost the output price, once."""
    assert cost_nanos(Rates(0, 1_000), Usage(0, 10, reasoning_tokens=10)) == 10


def test_cached_without_a_price() -> None:
    """Cached input without a price of its own costs the full input price."""
    assert cost_nanos(Rates(1_000, 0), Usage(10, 0, cached_input_tokens=10)) == 10
    assert cost_nanos(Rates(1_000, 0, 100), Usage(10, 0, cached_input_tokens=10)) == 1


@pytest.mark.parametrize(
    ("audio", "cached", "short", "long", "nanos"),
    [
        (100, 0, 0, 0, 100 * 40_000),
        (50, 50, 0, 0, 50 * 40_000 + 50 * 1_250),
        (60, 50, 0, 0, 50 * 40_000 + 40 * 1_250 + 10 * 20_000),
        (60, 0, 50, 0, 60 * 40_000 + 40 * 3_125),
        (60, 0, 0, 50, 60 * 40_000 + 40 * 5_000),
        (100, 30, 30, 40, 30 * 20_000 + 70 * 40_000),
    ],
)
def test_audio_that_was_cached(audio: int, cached: int, short: int, long: int, nanos: int) -> None:
    """Audio and cache overlap only as far as they must, and what was both has the dearer price."""
    usage = Usage(100, 0, cached, short, long, audio_input_tokens=audio)
    assert usage.flaw is None
    assert cost_nanos(FULL, usage) == nanos + 7


def test_cached_audio_without_a_price() -> None:
    """Cached audio without a price of its own costs as much as audio."""
    assert cost_nanos(Rates(1_000, 0, 100, audio_input=9_000), Usage(10, 0, 10, audio_input_tokens=10)) == 90


@pytest.mark.parametrize(
    ("usage", "kind"),
    [
        (Usage(1, 0), "input"),
        (Usage(0, 1), "output"),
        (Usage(1, 0, cached_input_tokens=1), "cached input"),
        (Usage(1, 0, cache_write_tokens=1), "cache writes"),
        (Usage(1, 0, cache_write_1h_tokens=1), "an hour"),
        (Usage(1, 0, audio_input_tokens=1), "audio input"),
        (Usage(1, 0, 1, audio_input_tokens=1), "cached audio"),
        (Usage(1, 0, 0, 1, audio_input_tokens=1), "writes of audio"),
        (Usage(0, 1, audio_output_tokens=1), "audio output"),
        (Usage(0, 0, requests={"web_search": 1}), "web_search"),
    ],
)
def test_a_class_without_a_price(usage: Usage, kind: str) -> None:
    """Usage of a class without a price is unknown, never $0; the same class at zero costs nothing."""
    with pytest.raises(UnknownModel, match=kind):
        cost_nanos(Rates(None, None), usage)
    assert cost_nanos(FULL, usage) > 7
    assert cost_nanos(Rates(None, None), Usage(0, 0, requests={"web_search": 0})) == 0


def test_worst_without_a_price() -> None:
    """A bound over tokens that have no price is refused; over none of them it is $0."""
    nothing = Rates(None, None).worst_case()
    for sent, made in ((1, 0), (0, 1)):
        with pytest.raises(UnknownModel):
            nothing.nanos(sent, made)
    with pytest.raises(UnknownModel):
        nothing.output_cap(1, 1, 10**9)
    assert nothing.nanos(0, 0) == 0
    with pytest.raises(UnknownModel, match="audio"):
        Rates(1_000, 1_000).worst_case(audio=True).nanos(1, 1)
    assert Rates(1_000, 1_000, audio_input=9_000).worst_case(audio=True).nanos(1, 1) == 10


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "provider", "same_as", "at"),
    [
        ("gpt-4o-2025-06-15", None, "gpt-4o", "openai"),
        ("openai/gpt-4o-2024-08-06", None, "gpt-4o", "openai"),
        ("GPT-4o", "OpenAI", "gpt-4o", "openai"),
        ("gpt-4o", "azure", "gpt-4o", "azure"),
        ("azure/gpt-4o", None, "gpt-4o", "azure"),
        ("azure/gpt-4o", "azure_openai", "gpt-4o", "azure"),
        ("models/gemini-2.5-flash", None, "gemini-2.5-flash", "google"),
        ("gemini/gemini-2.5-flash", None, "gemini-2.5-flash", "google"),
        ("gemini-2.5-flash", "google_genai", "gemini-2.5-flash", "google"),
        ("publishers/google/models/gemini-2.5-flash", "vertex_ai", "gemini-2.5-flash", "vertex"),
        ("anthropic/claude-3.5-sonnet", None, "claude-3-5-sonnet", "anthropic"),
        ("anthropic/claude-3-5-sonnet", None, "claude-3-5-sonnet", "anthropic"),
        ("anthropic/claude-3.5-sonnet", "openrouter", "anthropic/claude-3-5-sonnet", "openrouter"),
        ("anthropic/claude-3-5-sonnet", "openrouter", "anthropic/claude-3-5-sonnet", "openrouter"),
        ("openrouter/openai/o1-mini-2024-09-12", None, "openai/o1-mini", "openrouter"),
        ("openrouter/openai/ft:gpt-4.1-2025-04-14", None, "ft:gpt-4.1-2025-04-14", "openai"),
        ("Azure/GPT-4o", None, "gpt-4o", "azure"),
        ("openrouter/anthropic/claude-sonnet-4.5", None, "anthropic/claude-sonnet-4-5", "openrouter"),
        ("claude-3-5-sonnet-latest", None, "claude-3-5-sonnet", "anthropic"),
        ("vertex_ai/claude-sonnet-4-5@20250929", None, "claude-sonnet-4-5", "vertex"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", None,
         "us.anthropic.claude-haiku-4-5-20251001-v1:0", "bedrock"),
        ("bedrock/us.anthropic.claude-3-haiku-20240307-v1:0", None,
         "regional.anthropic.claude-3-haiku-20240307-v1:0", "bedrock"),
        ("ft:gpt-4o-mini-2024-07-18:acme:x:1", None, "ft:gpt-4o-mini-2024-07-18", "openai"),
        ("groq/llama-3.3-70b-versatile", None, "llama-3.3-70b-versatile", "groq"),
    ],
)  # fmt: skip
def test_names_that_resolve(book: PriceBook, model: str, provider: str | None, same_as: str, at: str) -> None:
    """Prefixes, dates and spellings lead to the price of the model at whoever bills."""
    rates = book.rates(model, provider)
    assert rates == bundled(at, same_as, None)
    assert rates == book.find(model, provider)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o-audio", None),
        ("gpt-4", "groq"),
        ("gpt-4o", "my-vllm"),
        ("gpt-4o", "openrouter"),
        ("azure/gpt-4o", "groq"),
        ("ft:gpt-4-turbo:acme::1", None),
        ("ft:", None),
        ("whisper-1", None),
        ("us.anthropic.claude-99-v1:0", "bedrock"),
        ("us.anthropic.claude-opus-4-6-v1", "openai"),
        ("my-model", "azure"),
        ("nobody/nothing", "openrouter"),
    ],
)
def test_names_that_do_not(book: PriceBook, model: str, provider: str | None) -> None:
    """Nothing is matched by its beginning, a fine-tuned model not by its base, a host not by the vendor's price."""
    with pytest.raises(UnknownModel, match="register_model") as refused:
        book.rates(model, provider)
    assert refused.value.model == model
    assert len(refused.value.near) <= 5
    assert book.find(model, provider) is None


def test_near(book: PriceBook) -> None:
    """A refusal names the closest known models, first the same model at other providers."""
    with pytest.raises(UnknownModel, match="gpt-4o-mini") as misspelt:
        book.rates("gpt-4o-minni")
    assert misspelt.value.near[0] == "gpt-4o-mini"
    with pytest.raises(UnknownModel, match="groq/") as homeless:
        book.rates("llama-3.3-70b-versatile")
    assert homeless.value.near[0] == "groq/llama-3.3-70b-versatile"
    with pytest.raises(UnknownModel) as nonsense:
        book.rates("qqqqqqqqqqqqqqqqqqqq")
    assert nonsense.value.near == ()


def test_bedrock_profiles(book: PriceBook) -> None:
    """A US or global profile without a price of its own costs a tenth more than the plain model, rounded up."""
    plain = book.rates("amazon.titan-text-lite-v1", "bedrock", "batch")
    profile = book.rates("us.amazon.titan-text-lite-v1", tier="batch")
    assert plain.input is not None
    assert profile.input == -(-plain.input * 11 // 10)
    assert profile.audio_input is None
    published = book.rates("us.anthropic.claude-haiku-4-5-20251001-v1:0")
    assert published == bundled("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", None)


@pytest.mark.parametrize("bad", ["", "a\n", "x" * 201, "\ud800", None, 5, ["gpt-4o"]])
def test_hostile_names(book: PriceBook, bad: Any) -> None:
    """A hostile name is a ValueError from the caller, and simply not found from an answer."""
    with pytest.raises(ValueError, match="model"):
        book.rates(bad)
    assert book.find(bad) is None
    if bad is not None:
        with pytest.raises(ValueError, match="provider"):
            book.rates("gpt-4o", bad)
        assert book.find("gpt-4o", bad) is None


# -- tiers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [None, "default", "standard", "auto", "scale", "on_demand"])
def test_standard_tiers(book: PriceBook, word: str | None) -> None:
    """The words for the standard tier all mean the standard price."""
    assert check_tier(word) is None
    assert book.rates("gpt-4o", tier=word) == book.rates("gpt-4o")


@pytest.mark.parametrize("word", ["turbo", "", "Batch", 1, ["batch"], True])
def test_no_tiers(book: PriceBook, word: Any) -> None:
    """An unknown tier is a ValueError from the caller, and simply not found from an answer."""
    with pytest.raises(ValueError, match="tier="):
        check_tier(word)
    with pytest.raises(ValueError, match="tier="):
        book.rates("gpt-4o", tier=word)
    assert book.find("gpt-4o", tier=word) is None
    assert check_tier("batch") == "batch"


def test_tiers_without_prices(book: PriceBook) -> None:
    """Batch and flex without a price cost the standard one; priority without one is unknown, but not with Anthropic."""
    standard = book.rates("gpt-4o")
    assert book.rates("gpt-4o", tier="flex") == standard
    assert book.rates("gpt-4", tier="batch") != book.rates("gpt-4")
    with pytest.raises(UnknownModel, match="'priority'") as refused:
        book.rates("gpt-4", tier="priority")
    assert refused.value.model == "gpt-4"
    claude = book.rates("claude-sonnet-4-5", tier="priority")
    assert claude == book.rates("claude-sonnet-4-5")
    assert book.rates("gpt-4o", tier="fast") == book.rates("gpt-4o", tier="priority")
    with pytest.raises(UnknownModel, match="'fast'"):
        book.rates("claude-sonnet-4-5", tier="fast")


def test_cheaper_tiers_are_never_dearer() -> None:
    """For every model and token class batch and flex cost at most, priority and fast at least, the standard price."""
    classes = ("input", "output", "cached_input", "audio_input", "audio_output")
    for provider, name in known_models():
        standard = bundled(provider, name, None)
        assert standard is not None
        for tier in ("priority", "fast"):
            dear = bundled(provider, name, tier)
            for kind in classes:
                usual, own = getattr(standard, kind), getattr(dear, kind) if dear else None
                assert own is None or usual is None or own >= usual, (provider, name, tier, kind)


def test_the_table_is_sound() -> None:
    """Every bundled row has prices for input and output, no write or audio below input, ascending tiers, and sane sizes."""
    for provider, name in known_models():
        for tier in (None, "batch", "flex"):
            rates = bundled(provider, name, tier)
            assert rates is not None
            assert rates.input and rates.output is not None, (provider, name)
            starts = [above for above, _ in rates.tiers]
            assert starts == sorted(set(starts))
            for part in (rates, *(part for _, part in rates.tiers)):
                assert part.input and part.output is not None
                for special in (part.cache_write, part.cache_write_1h, part.audio_input):
                    assert special is None or special >= part.input, (provider, name)
            for size in (rates.context_window, rates.max_output_tokens):
                assert size is None or 0 < size <= MAX_TOKENS, (provider, name)
    assert bundled("openai", "nothing", None) is None
    assert bundled("nobody", "gpt-4o", None) is None


def test_automatic_caching(book: PriceBook) -> None:
    """Where caching is automatic a write costs the input price; with Claude it costs what Anthropic says."""
    assert book.rates("gpt-4o").cache_write == book.rates("gpt-4o").input
    assert book.rates("claude-sonnet-4-5").cache_write == 3_750_000
    assert book.rates("anthropic/claude-sonnet-4.5", "openrouter").cache_write == 3_750_000


# -- sources ------------------------------------------------------------------------------------


def test_order_of_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget's own price wins over the registered one, that over the file, that over the table."""
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"gpt-4o": [3, 3]}))
    assert PriceBook().rates("gpt-4o").input == 2_500_000
    monkeypatch.setenv("BURSAR_PRICES", str(file))
    assert PriceBook().rates("gpt-4o").input == 3_000_000
    register_model("gpt-4o", 4, 4)
    assert PriceBook().rates("gpt-4o").input == 4_000_000
    assert PriceBook({"gpt-4o": (5, 5)}).rates("gpt-4o").input == 5_000_000
    assert (
        PriceBook({"gpt-4o": Price(6, 6)}).rates("gpt-4o-2024-08-06", "azure", "priority").input == 6_000_000
    )


def test_register_is_seen_at_once(book: PriceBook) -> None:
    """A registration is seen by books made before it, also where they had cached another price."""
    assert book.rates("gpt-4o").input == 2_500_000
    register_model(
        "GPT-4o",
        5,
        20,
        cached_input_price_per_million=1,
        cache_write_price_per_million=6,
        cache_write_1h_price_per_million=7,
        context_window=100,
        max_output_tokens=10,
    )
    assert book.rates("gpt-4o") == Rates(
        5_000_000, 20_000_000, 1_000_000, 6_000_000, 7_000_000, context_window=100, max_output_tokens=10
    )
    assert book.rates("gpt-4o-mini").input == 150_000


def test_register_is_all_or_nothing(book: PriceBook) -> None:
    """One wrong price among several registers none of them."""
    with pytest.raises(InvalidAmount):
        register_models({"new-one": (1, 1), "new-two": (1, -1)})
    assert book.find("new-one") is None
    register_models({"new-one": (1, 1), "new-two": Price(2, 2)})
    assert (book.rates("new-one").input, book.rates("new-two").input) == (1_000_000, 2_000_000)


def test_register_for_a_provider(book: PriceBook) -> None:
    """A name with a provider in front is a price for that provider only."""
    register_models({"groq/gpt-4o": (9, 9), "openrouter/anthropic/claude-3.5-sonnet": (8, 8)})
    assert book.rates("gpt-4o", "groq").input == 9_000_000
    assert book.rates("gpt-4o").input == 2_500_000
    assert book.rates("anthropic/claude-3.5-sonnet", "openrouter").input == 8_000_000


def test_register_in_one_book(book: PriceBook) -> None:
    """A book's own registration is seen at once, and by no other book."""
    assert book.find("my-model") is None
    book.register("my-model", (1, 2))
    assert book.rates("my-model").output == 2_000_000
    assert PriceBook().find("my-model") is None
    with pytest.raises(ValueError, match="register"):
        book.register("my-model", 1)  # type: ignore[arg-type]


def test_a_price_for_a_fine_tuned_model(book: PriceBook) -> None:
    """A registered base leaves its fine-tuned models unknown; a registered ``ft:base`` prices them."""
    register_models({"tiny": (1, 1)})
    assert book.find("ft:tiny:acme::1") is None
    register_models({"ft:tiny": (2, 2)})
    assert book.rates("ft:tiny:acme::1").input == 2_000_000


def test_files(tmp_path: Path) -> None:
    """A price file holds pairs or the fields of a Price."""
    file = tmp_path / "prices.json"
    file.write_text('{"a": [1, "2.5"], "b": {"input": 0.1, "output": 1, "cached_input": "0.05"}}')
    for path in (file, str(file)):
        book = PriceBook(path)
        assert book.rates("a") == Rates(1_000_000, 2_500_000)
        assert book.rates("b") == Rates(100_000, 1_000_000, 50_000)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": 1}', '{"a": [1]}', '{"a": {"input": 1}}', '{"a": {"input": 1, "output": 1, "x": 1}}',
     '{"a": [1, -1]}', '{"a": [1, NaN]}', '{"": [1, 1]}', '{"a": [1, null]}'],
)  # fmt: skip
def test_wrong_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A file that is not that is a ValueError, wherever it was named."""
    file = tmp_path / "prices.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"."):
        PriceBook(file)
    monkeypatch.setenv("BURSAR_PRICES", str(file))
    with pytest.raises(ValueError, match=r"."):
        PriceBook()
    monkeypatch.setenv("BURSAR_PRICES", "")
    PriceBook()


def test_absent_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there is a ValueError that names the setting."""
    with pytest.raises(ValueError, match="prices="):
        PriceBook(tmp_path / "absent.json")
    monkeypatch.setenv("BURSAR_PRICES", str(tmp_path / "absent.json"))
    with pytest.raises(ValueError, match="BURSAR_PRICES"):
        PriceBook()


@pytest.mark.parametrize("wrong", [1, ["gpt-4o"], {"gpt-4o": 1}, {"gpt-4o": (1, 2, 3)}, {1: (1, 1)}])
def test_wrong_prices(wrong: Any) -> None:
    """`prices=` is a mapping of names to prices; anything else is a ValueError."""
    assert PriceBook({}).find("my-model") is None
    with pytest.raises(ValueError, match="prices=|model"):
        PriceBook(wrong)


def test_unknown_model_policies() -> None:
    """Unknown models are refused, free, or have the given price; a known model keeps its own."""
    usage = Usage(1_000, 1_000, 10, 10, 10, 0, 10, 10, {"web_search": 3})
    free = PriceBook(unknown_model="free")
    assert cost_nanos(free.rates("my-model"), usage) == 0
    assert free.find("my-model") is None
    assert free.rates("gpt-4o").input == 2_500_000
    assert PriceBook(unknown_model=(1, 2)).rates("my-model", "my-host", "priority") == Rates(
        1_000_000, 2_000_000
    )
    assert PriceBook(unknown_model=Price(1, 2)).rates("my-model").output == 2_000_000
    with pytest.raises(UnknownModel):
        PriceBook(unknown_model="refuse").rates("my-model")


@pytest.mark.parametrize("wrong", ["guess", "", None, 1, (1,), (1, 2, 3), {"input": 1}])
def test_wrong_policies(wrong: Any) -> None:
    """Any other policy is a ValueError that names the setting."""
    with pytest.raises(ValueError, match="unknown_model="):
        PriceBook(unknown_model=wrong)


def test_aliases() -> None:
    """An alias has the price and the names of the model behind it, through prefixes and chains."""
    book = PriceBook(aliases={"prod": "Deploy", "deploy": "gpt-4o-2024-08-06", "mine": "azure/gpt-4o"})
    assert book.canonical("prod") == "gpt-4o-2024-08-06"
    assert book.canonical("azure/PROD") == "azure/gpt-4o-2024-08-06"
    assert book.canonical("azure/mine") == "azure/gpt-4o"
    assert book.canonical("gpt-4o") == "gpt-4o"
    assert book.canonical("azure/gpt-4o") == "azure/gpt-4o"
    assert book.rates("prod", "azure") == PriceBook().rates("gpt-4o", "azure")
    assert book.names("prod") == ("prod", "gpt-4o-2024-08-06", "gpt-4o")
    assert PriceBook().names("openai/gpt-4o-2024-08-06") == (
        "openai/gpt-4o-2024-08-06",
        "gpt-4o-2024-08-06",
        "gpt-4o",
    )


def test_subject() -> None:
    """Limits see the model behind an alias, who bills it and its tool; the same call is the same subject."""
    book = PriceBook(aliases={"prod": "gpt-4o-2024-08-06"})
    seen = book.subject("prod", "azure", "search")
    assert seen == Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "azure", "search")
    assert book.subject("prod", "azure", "search") is seen
    assert book.subject("prod", "openai", "search").provider == "openai"
    assert book.subject("prod", "azure").tool is None


@pytest.mark.parametrize("wrong", [{"a": "b", "b": "a"}, {"a": "A"}, ["a"], {"a": 1}, {"": "gpt-4o"}])
def test_wrong_aliases(wrong: Any) -> None:
    """Circles and what is no mapping of names are ValueErrors."""
    with pytest.raises(ValueError, match="alias|model"):
        PriceBook(aliases=wrong)


def test_known_models() -> None:
    """The table lists its models and says when it was made."""
    known = list(known_models())
    assert len(known) == len(set(known)) > 1_000
    assert ("openai", "gpt-4o") in known
    assert len(prices_date().split("-")) == 3


# -- speed and threads --------------------------------------------------------------------------


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless names, all of them priced, do not grow a book without end."""
    monkeypatch.setattr("bursar.pricing.book._CACHE_SIZE", 10)
    book = PriceBook()
    for second in range(60):
        tier = (None, "batch", "auto")[second % 3]
        assert book.rates(f"gpt-4o-2025-01-{second % 28 + 1:02d}", tier=tier).input
        assert book.subject(f"model-{second}").models == (f"model-{second}",)
        assert len(vars(book)["_hits"][-1]) <= 10 and len(vars(book)["_subjects"]) <= 10


def test_a_hit_asks_no_source(book: PriceBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A price that was found once is found again without a search, until something is registered."""
    rates = book.rates("gpt-4o")
    monkeypatch.setattr("bursar.pricing.book._bundled", lambda host, name, tier: iter(()))
    assert book.rates("gpt-4o") is rates
    with pytest.raises(UnknownModel):
        book.rates("gpt-4.1")
    register_model("gpt-4o", 1, 2)
    assert book.rates("gpt-4o") == Rates(1_000_000, 2_000_000)


def test_price_of_an_answer_is_kept_until_a_price_changes(
    book: PriceBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found once by the name that answered, then without a search; never older than what was registered."""
    asked = book.rates("gpt-4o")
    mini = book.rates("gpt-4o-mini")

    def priced() -> Rates | None:
        return book.of_answer(asked, "gpt-4o", "openai", "gpt-4o-mini-2024-07-18", None)

    assert priced() == mini != asked
    monkeypatch.setattr("bursar.pricing.book._bundled", lambda host, name, tier: iter(()))
    assert priced() == mini
    register_model("gpt-4o-mini-2024-07-18", 1, 2)
    assert priced() == Rates(1_000_000, 2_000_000)
    book.register("gpt-4o-mini-2024-07-18", (3, 4))
    assert priced() == Rates(3_000_000, 4_000_000)
    book.register("gpt-4o", (5, 6))
    assert book.of_answer(asked, "gpt-4o", "openai", "gpt-4o-2024-11-20", None) == Rates(5_000_000, 6_000_000)


def test_price_of_an_answer_that_a_plugin_sets_is_asked_for_each_time() -> None:
    """It may change at any time; the price of the requested model is no answer to a name that has none."""
    prices: dict[str, Rates] = {}
    book = PriceBook(ask=lambda model, provider, tier: prices.get(model))
    asked = book.rates("gpt-4o")

    def priced(model: str) -> Rates | None:
        return book.of_answer(asked, "gpt-4o", None, model, None)

    for input in (None, 1, 2, None):
        prices = {} if input is None else {"llama-of-a-house": Rates(input, input)}
        assert priced("llama-of-a-house") == (asked if input is None else Rates(input, input))


@pytest.mark.parametrize("odd", [["gpt-4o"], {"a": 1}, "", 5])
def test_answer_by_an_odd_name_or_tier_has_the_price_that_was_asked_for(book: PriceBook, odd: Any) -> None:
    """Whatever somebody gives to a settle for who answered."""
    asked = book.rates("gpt-4o")

    assert book.of_answer(asked, "gpt-4o", None, odd, None) == asked
    assert book.of_answer(asked, "gpt-4o", None, "gpt-4o-mini", odd) == asked


def test_threads_see_every_registration(book: PriceBook) -> None:
    """Registrations from many threads are all kept, and none is hidden by a stale hit."""
    failures: list[str] = []

    ready = threading.Barrier(9)

    def work(number: int) -> None:
        ready.wait()
        for step in range(30):
            name = f"model-{number}-{step}"
            if book.find(name) is not None:
                failures.append(name)
            register_model(name, step, number)
            if book.rates(name).input != step * 1_000_000:
                failures.append(name)
            book.register(name, (number, number))
            if book.rates(name).input != number * 1_000_000:
                failures.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    with short_switches():  # not while they start: two trace functions would be installed at once
        ready.wait()
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(registry.registered()) == 240


class short_switches:  # noqa: N801
    def __enter__(self) -> None:
        self.before = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)

    def __exit__(self, *error: object) -> None:
        sys.setswitchinterval(self.before)


def test_a_registration_during_a_lookup(book: PriceBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A price found before a book's own registration is not remembered after it."""
    look_up = getattr(book, "_look_up")  # noqa: B009

    def slow(*asked: Any) -> Rates | None:
        found: Rates | None = look_up(*asked)
        monkeypatch.setattr(book, "_look_up", look_up)
        book.register("gpt-4o", (9, 9))
        return found

    monkeypatch.setattr(book, "_look_up", slow)
    assert book.rates("gpt-4o").input == 2_500_000
    assert book.rates("gpt-4o").input == 9_000_000


@given(counts, counts, st.booleans(), st.booleans())
def test_worst_case_is_the_same_with_a_tier_that_is_not_reached(
    sent: int, made: int, audio: bool, writes: bool
) -> None:
    """Rates without size tiers are computed at once, and to the same amount."""
    rates = Rates(2_500_000, 10_000_000, cache_write=3_000_000, audio_input=40_000_000, call_fee=7)
    tiered = replace(rates, tiers=((MAX_TOKENS, replace(rates, input=9_000_000)),))

    worst, by_tiers = (one.worst_case(cache_writes=writes, audio=audio) for one in (rates, tiered))
    assert worst.nanos(sent, made) == by_tiers.nanos(sent, made)
