"""The worst case of a call, before it is sent."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar.errors import InvalidAmount, UnknownModel, UnpriceableCall
from bursar.pricing import overrides
from bursar.pricing.book import PriceBook, register_model
from bursar.pricing.price import Price, Rates
from bursar.pricing.quote import Quote, quote
from bursar.pricing.request import CallRequest
from bursar.values.amounts import Amounts
from bursar.values.call import Call, Subject
from bursar.values.policy import Policy, Terms

BOOK = PriceBook(
    {
        "chat": Price("2.5", "10", context_window=128_000, max_output_tokens=16_384),
        "bare": Price("2.5", "10"),
        "windowed": Price("2.5", "10", context_window=8_000),
        "cached": Price("3", "15", cache_write="3.75", cache_write_1h="6", context_window=200_000),
        "claude-mine": Price("3", "15", cache_write="3.75", cache_write_1h="6", context_window=200_000),
        "loud": Price("2.5", "10", audio_input="40", audio_output="80", context_window=128_000),
        "local": (0, 0),
    },
    {"my-deployment": "chat"},
)
POLICY = Policy(
    terms=Terms(), unknown_outcome="worst", smallest_cap=16, tier=None, tool_prices={"search": 10_000_000}
)
SPEECH = [
    {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}
]


def asked(policy: Policy = POLICY, **arguments: Any) -> Quote:
    return quote(CallRequest(**arguments), "id-1", BOOK, policy)


def dollars(usd: str) -> int:
    """Nano-dollars, rounded up."""
    return ceil(Fraction(usd) * 10**9)


def test_worst_case_of_a_model() -> None:
    """All input at its price and every choice at its full length: 1,000 * $2.5/M + 2 * 300 * $10/M."""
    found = asked(model="chat", provider="openai", input_tokens=1_000, max_output_tokens=300, n=2)
    assert found.want == Amounts(dollars("0.0085"), 1_600, 1)
    assert found.minimum == Amounts(dollars("0.00282"), 1_032, 1)  # at 16 tokens a choice
    assert found.call == Call("id-1", "model", "chat", "openai", None, 1_000, 300, 2, None)
    assert found.subject == Subject("model", ("chat",), "openai", None)


@pytest.mark.parametrize(
    ("arguments", "policy", "clamped"),
    [
        ({}, POLICY, True),
        ({"clamp": False}, POLICY, False),
        ({}, Policy(1, "worst", None, None, {}), False),
        ({"max_output_tokens": 16}, POLICY, False),
        ({"max_output_tokens": 5}, POLICY, False),
        ({"max_output_tokens": 17}, POLICY, True),
        ({"clamp": 100, "max_output_tokens": 100}, POLICY, False),
        ({"clamp": 100, "max_output_tokens": 101}, POLICY, True),
        ({"clamp": 5, "max_output_tokens": 16}, POLICY, False),
    ],
)
def test_minimum_is_below_the_worst_case_only_where_it_may_be_clamped(
    arguments: dict[str, Any], policy: Policy, clamped: bool
) -> None:
    """A call may get less than its worst case only if both the budget and the caller allow it, and a cap can shrink."""
    found = asked(policy, model="chat", input_tokens=10, **arguments)
    assert (found.minimum != found.want) is clamped


@pytest.mark.parametrize(("smallest", "lowest"), [(1, 20), (20, 20), (50, 50), (None, None)])
def test_the_lowest_cap_is_that_of_the_budget_or_of_the_api(smallest: int | None, lowest: int | None) -> None:
    """Whichever is higher: below the one the answer is of no use, below the other the request is rejected."""
    found = asked(Policy(Terms(), "worst", smallest, None, {}), model="chat", input_tokens=0, clamp=20)
    assert found.minimum.tokens == (found.want.tokens if lowest is None else lowest)


@pytest.mark.parametrize(
    ("model", "given", "cap"),
    [
        ("chat", None, 16_384),
        ("chat", 100, 100),
        ("chat", 1_000_000, 1_000_000),
        ("chat", 0, 0),
        ("windowed", None, 8_000),
        ("windowed", 9_000, 9_000),
        ("bare", 9_000, 9_000),
        ("local", 50, 50),
        ("local", None, 0),
    ],
)
def test_output_is_what_is_asked_for_or_the_models_own(model: str, given: int | None, cap: int) -> None:
    """A cap of the caller stands, also above what is known of the model; that of a free model may be unbounded."""
    found = asked(model=model, input_tokens=10, max_output_tokens=given)
    assert found.call.max_output_tokens == cap
    assert found.want.tokens == 10 + cap


def test_embedding_has_no_output() -> None:
    """A model without a price for output gives none, and its cap is zero."""

    class Embeddings(PriceBook):
        def rates(self, model: str, provider: str | None = None, tier: str | None = None) -> Rates:
            return Rates(20_000, None, context_window=8_191)

    found = quote(CallRequest(model="embedding", input_tokens=1_000), "id-1", Embeddings(), POLICY)
    assert found.want == found.minimum == Amounts(dollars("0.00002"), 1_000, 1)
    assert found.call.max_output_tokens == found.cap(found.want) == 0


def test_output_of_a_free_model_counts_as_tokens() -> None:
    """Output that costs nothing still takes its tokens from a limit of tokens."""
    found = asked(model="local", input_tokens=10, max_output_tokens=500)
    assert found.want == Amounts(0, 510, 1)
    assert found.cap(Amounts(0, 110, 1)) == 100


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"input_tokens": 7}, 7),
        ({"input_tokens": 0}, 0),
        ({"input_tokens": 7, "messages": "x" * 100}, 7),
        ({"input_tokens": 500_000}, 500_000),
        ({}, 128_000),
        ({"messages": "x" * 200_000}, 200_024),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, 128_000),
        ({"messages": ["x" * 200_000, {"role": "user", "content": [{"type": "file"}]}]}, 200_050),
    ],
)
def test_input_is_what_bounds_it(arguments: dict[str, Any], sent: int) -> None:
    """The number given, else the bytes, also above the window; a file fills the window, or what the text has."""
    found = asked(model="chat", max_output_tokens=1, **arguments)
    assert found.call.input_tokens == sent
    assert found.want.tokens == sent + 1


def test_messages_bound_the_input() -> None:
    """Messages and tools are counted by their bytes, well below the context window."""
    messages = [{"role": "user", "content": "x" * 1_000} for _ in range(2)]
    found = asked(model="chat", messages=messages, tools=[{"name": "f"}])
    assert 2_000 <= found.call.input_tokens < 3_500


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"model": "bare", "max_output_tokens": 5}, "pass input_tokens="),
        ({"model": "bare", "max_output_tokens": 5, "messages": SPEECH}, "pass input_tokens="),
        ({"model": "bare", "input_tokens": 5}, "pass max_output_tokens="),
        ({"model": "chat", "messages": "hi", "tools": [{"type": "web_search"}]}, "explicit cost="),
        ({"model": "chat", "input_tokens": 5, "tools": [{"type": "web_search"}]}, "explicit cost="),
    ],
)
def test_call_without_a_bound_is_refused(arguments: dict[str, Any], advice: str) -> None:
    """What nothing bounds is not guessed; the error says what to pass and what it was about."""
    with pytest.raises(UnpriceableCall, match=advice) as caught:
        asked(**arguments)
    assert caught.value.endpoint in ("bare", "web_search")


def test_bounded_twins_of_the_refused_are_accepted() -> None:
    """With the missing numbers, the same model is priced."""
    assert asked(model="bare", input_tokens=5, max_output_tokens=5).want == Amounts(
        dollars("0.0000625"), 10, 1
    )


@pytest.mark.parametrize(
    ("arguments", "usd"),
    [
        ({"model": "cached", "input_tokens": 1_000}, "0.006"),
        ({"model": "cached", "messages": None}, "1.2"),
        ({"model": "claude-mine", "input_tokens": 1_000}, "0.006"),
        ({"model": "loud", "messages": SPEECH}, "5.12"),
    ],
)
def test_input_is_priced_as_the_dearest_it_can_be(arguments: dict[str, Any], usd: str) -> None:
    """Input of unknown class counts as a cache write or as audio where it may be one."""
    assert asked(max_output_tokens=0, **arguments).want.usd == dollars(usd)


def test_claude_without_cache_control_writes_no_cache() -> None:
    """Messages that ask for no caching are priced as plain input on Claude, those that do as the dearest write."""
    plain = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    cached = [
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}
    ]
    for messages, price in ((plain, "3"), (cached, "6")):
        found = asked(model="claude-mine", messages=messages, max_output_tokens=0)
        assert found.want.usd == dollars(price) * found.call.input_tokens // 10**6


def test_tier_of_the_budget_wins() -> None:
    """A call has the tier of the budget, else its own."""
    batch = Policy(1, "worst", None, "batch", {})
    assert asked(model="chat", input_tokens=1, tier="flex").call.tier == "flex"
    assert asked(batch, model="chat", input_tokens=1, tier="flex").call.tier == "batch"
    assert asked(batch, model="chat", cost=1).call.tier == "batch"


def test_alias_is_the_model_it_stands_for() -> None:
    """A call by an alias is priced and limited as the model behind it."""
    found = asked(model="my-deployment", input_tokens=1_000, max_output_tokens=300)
    assert found.call.model == "chat"
    assert found.want.usd == dollars("0.0055")
    assert "chat" in found.subject.models


def test_unknown_model_is_refused() -> None:
    """A model without a price is refused, unless the caller says what it costs."""
    with pytest.raises(UnknownModel, match="no-such-model"):
        asked(model="no-such-model", input_tokens=1, max_output_tokens=1)
    assert asked(model="no-such-model", cost="$0.5").want == Amounts(dollars("0.5"), 0, 1)


def test_explicit_cost() -> None:
    """A cost given for a call to a model is its worst case and minimum; the tokens given still count."""
    found = asked(model="chat", cost="$0.02", input_tokens=10, max_output_tokens=20, n=3, tool="search")
    assert found.want == found.minimum == Amounts(20_000_000, 70, 1)
    assert found.rates is None
    assert found.worst is None
    assert found.call == Call("id-1", "model", "chat", None, "search", 10, 20, 3, None)
    assert found.cap(found.want) == 20


@pytest.mark.parametrize(
    ("arguments", "nanos"),
    [
        ({"tool": "search"}, 10_000_000),
        ({"tool": "search", "cost": "$0.5"}, 500_000_000),
        ({"tool": "search", "cost": 0}, 0),
        ({"tool": "other"}, 0),
        ({"cost": "$0.25"}, 250_000_000),
    ],
)
def test_tool_costs_its_price_or_what_is_given(arguments: dict[str, Any], nanos: int) -> None:
    """A run of a tool is one call without tokens, at the cost given, else at its price, else free."""
    found = asked(**arguments)
    assert found.want == found.minimum == Amounts(nanos, 0, 1)
    assert found.call == Call("id-1", "tool", tool=arguments.get("tool"))
    assert found.subject == Subject("tool", (), None, arguments.get("tool"))
    assert found.cap(found.want) == 0


def test_wrong_cost_is_refused() -> None:
    """A cost that is no amount is refused for models and tools alike."""
    for model, tool in (("chat", None), (None, "search"), (None, None)):
        with pytest.raises(InvalidAmount):
            asked(model=model, tool=tool, cost=-1)


@given(
    sent=st.integers(0, 10_000),
    cap=st.integers(1, 16_384),
    n=st.integers(1, 5),
    part=st.fractions(0, 1),
    model=st.sampled_from(["chat", "cached"]),
)
def test_cap_fits_what_was_granted(sent: int, cap: int, n: int, part: Fraction, model: str) -> None:
    """Any grant from the minimum up buys a cap whose worst case fits it, and one token more would not."""
    found = asked(model=model, input_tokens=sent, max_output_tokens=cap, n=n)
    low, high = found.minimum, found.want
    granted = Amounts(
        low.usd + int((high.usd - low.usd) * part), low.tokens + int((high.tokens - low.tokens) * part), 1
    )
    sold = found.cap(granted)
    assert min(cap, 16) <= sold <= cap
    price_in, price_out = {"chat": (Fraction("2.5"), 10), "cached": (Fraction(6), 15)}[model]

    def fits(output: int) -> bool:
        cost = (sent * price_in + n * output * price_out) * 1000  # dollars a million = 1,000 nanos a token
        return cost <= granted.usd and sent + n * output <= granted.tokens

    assert fits(sold)
    assert sold == cap or not fits(sold + 1)


@given(tokens=st.integers(1_016, 1_299), usd=st.integers(0, 1))
def test_cap_follows_the_scarcer_of_money_and_tokens(tokens: int, usd: int) -> None:
    """Where only tokens are short they set the cap, money in plenty or not."""
    found = asked(model="chat", input_tokens=1_000, max_output_tokens=300)
    assume(found.want.usd + usd >= found.want.usd)
    assert found.cap(Amounts(found.want.usd + usd, tokens, 1)) == tokens - 1_000


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"windows": 3}, 3 * 8_000),
        ({"windows": 2, "messages": ["x" * 10_000]}, 10_024),
        ({"windows": 2, "messages": ["x" * 50_000]}, 50_024),
        ({"messages": ["x" * 50_000]}, 50_024),
        ({"windows": 3, "input_tokens": 90_000}, 90_000),
        ({"messages": ["x" * 100], "stored_tokens": 500}, 624),
        ({"messages": ["x" * 100], "stored_tokens": 9_000}, 9_124),
        ({"stored_tokens": 500}, 8_000),
    ],
)
def test_input_may_fill_several_windows(arguments: dict[str, Any], sent: int) -> None:
    """Unknown input fills all of them, known input no more than its bytes; a number is what it says."""
    found = asked(model="windowed", max_output_tokens=10, **arguments)
    assert found.want.tokens == sent + 10


def test_runs_of_the_providers_tools_are_held() -> None:
    """Each at its fee, beside the tokens, also where the output is clamped; without a fee the way out is told."""

    class Searching(PriceBook):
        def rates(self, model: str, provider: str | None = None, tier: str | None = None) -> Rates:
            fees = {"web_search": 10_000_000}
            return Rates(2_500_000, 10_000_000, requests=fees, context_window=1_000, max_output_tokens=100)

    found = quote(
        CallRequest(model="m", input_tokens=10, requests={"web_search": 3}), "id-1", Searching(), POLICY
    )
    assert found.want.usd == 30_000_000 + 10 * 2_500 + 100 * 10_000
    assert found.cap(Amounts(30_000_000 + 10 * 2_500 + 40 * 10_000, 110, 1)) == 40
    with pytest.raises(UnpriceableCall, match="'file_search' has no price.*cost="):
        quote(
            CallRequest(model="m", input_tokens=10, requests={"file_search": 1}), "id-1", Searching(), POLICY
        )


@pytest.fixture
def registered_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers in the process is forgotten at its end."""
    monkeypatch.setattr(overrides, "_registered", overrides.registered())


def test_worst_case_follows_each_price_that_is_registered(registered_before: None) -> None:
    """What calls of a model have in common is kept, and never for longer than its price."""
    book = PriceBook({"mine": (1, 1)})

    def want(model: str) -> int:
        request = CallRequest(model=model, input_tokens=1_000_000, max_output_tokens=0)
        return quote(request, "id-1", book, POLICY).want.usd

    assert [want("mine"), want("mine")] == [dollars("1")] * 2
    book.register("mine", (2, 2))
    assert [want("mine"), want("mine")] == [dollars("2")] * 2
    with pytest.raises(UnknownModel):
        want("ours")
    register_model("ours", 3, 3)
    assert want("ours") == dollars("3")
    register_model("ours", 4, 4)
    assert [want("ours"), want("mine")] == [dollars("4"), dollars("2")]


def test_price_of_a_plugin_is_asked_for_by_each_quote() -> None:
    """A plugin may say something else for the next call; so may `unknown_model` of another budget."""
    answers = [Rates(1_000_000, 0), None, Rates(2_000_000, 0)]
    book = PriceBook(unknown_model=(5, 0), ask=lambda model, provider, tier: answers.pop(0))
    request = CallRequest(model="of-a-house", input_tokens=1_000_000, max_output_tokens=0)
    found = [quote(request, "id-1", book, POLICY).want.usd for _ in range(3)]
    assert found == [dollars("1"), dollars("5"), dollars("2")]


def test_what_calls_have_in_common_is_kept_for_the_newest_models_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names that come from outside do not fill the memory."""
    monkeypatch.setattr("bursar.pricing.quote._MOST_KEPT", 3)
    book = PriceBook({f"m{number}": (1, 1) for number in range(10)})
    for number in range(10):
        quote(CallRequest(model=f"m{number}", input_tokens=1, max_output_tokens=1), "id-1", book, POLICY)
        assert len(book.kept()) <= 3
