"""Usage that is wrong, odd or half told: what a hold books of it, and what `wrap` does."""

from __future__ import annotations

import logging
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Price, Usage, UsageMissing
from bursar.errors import UnpriceableCall
from bursar.pricing.counts import larger
from bursar.pricing.response import read_answer
from bursar.pricing.text import text_bytes

CACHED = Price(3, 15, cached_input="0.30", cache_write="3.75", cache_write_1h=6)
PRICES: Any = {"plain": (3, 15), "cached": CACHED, "free": (0, 0)}
SENT, CAP = 3_000, 1_000


def as_object(value: Any) -> Any:
    """The same answer as an SDK gives it."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(part) for name, part in value.items()})
    return [as_object(part) for part in value] if isinstance(value, list) else value


def dollars(*parts: tuple[int, str | int]) -> Decimal:
    """The sum of tokens times dollars per million, to the nano-dollar, rounded up."""
    nanos = sum(Fraction(tokens) * Fraction(str(rate)) * 1000 for tokens, rate in parts)
    return Decimal(-(-nanos.numerator // nanos.denominator)).scaleb(-9)


def chat(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "1", "created": 1, "usage": usage, **more}


def prompt(sent: int, made: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": sent, "completion_tokens": made, **more}


TEXT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 30}}]}
HALF = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 31_490}


@pytest.mark.parametrize(
    ("model", "answer", "cost", "exact"),
    [
        # A. output that stands only in the total
        ("gemini-2.5-flash", chat(prompt(20, 198, total_tokens=623)), dollars((20, "0.30"), (603, "2.50")), True),
        (
            "plain",
            chat(prompt(900, 100, total_tokens=1_800, completion_tokens_details={"reasoning_tokens": 800})),
            dollars((900, 3), (900, 15)),
            True,
        ),
        ("plain", chat(prompt(900, 100, total_tokens=900_000)), dollars((SENT, 3), (CAP, 15)), False),
        # B. zeros that cannot be true
        ("plain", chat(prompt(0, 20)), dollars((SENT, 3), (20, 15)), False),
        ("plain", chat(prompt(700, 0), **TEXT), dollars((700, 3), (30, 15)), False),
        ("plain", chat(prompt(700, 0)), dollars((700, 3)), True),
        ("plain", chat({"input_tokens": 700, "prompt_tokens": 0, "output_tokens": 5}), dollars((700, 3), (5, 15)), True),
        # C. a cache split that does not cover its total
        (
            "cached",
            {"usage": {"input_tokens": 40, "cache_creation_input_tokens": 184_457, "cache_creation": HALF, "output_tokens": 5}},
            dollars((40, 3), (184_457, 6), (5, 15)),
            True,
        ),
        # J. cache hits at other places
        ("cached", chat(prompt(100, 5, cached_tokens=12)), dollars((88, 3), (12, "0.30"), (5, 15)), True),
        (
            "cached",
            chat(prompt(100, 5, prompt_cache_hit_tokens=12, prompt_cache_miss_tokens=88)),
            dollars((88, 3), (12, "0.30"), (5, 15)),
            True,
        ),
        # D. stated costs, of which the larger counts away from the host that bills
        ("plain", chat(prompt(100, 5, cost_in_usd_ticks=99_000_001)), Decimal("0.009900001"), True),
        ("plain", chat(prompt(100, 5, cost_in_usd_ticks=10)), dollars((100, 3), (5, 15)), True),
        ("plain", chat(prompt(100, 5, cost={"total_cost": 0.0125})), Decimal("0.0125"), True),
        ("plain", chat(prompt(100, 5, cost="free")), dollars((100, 3), (5, 15)), True),
        ("openrouter/plain", chat(prompt(100, 5, cost=0.0001)), Decimal("0.0001"), True),
        (
            "openrouter/plain",
            chat(prompt(100, 5, cost=0.0001, is_byok=True, cost_details={"upstream_inference_cost": 0.002})),
            Decimal("0.0021"),
            True,
        ),
        ("openrouter/plain", chat(prompt(100, 5, cost=0.0, is_byok=True)), dollars((100, 3), (5, 15)), True),
        # O. other providers' answers
        (
            "plain",
            {
                "responseId": "g",
                "modelVersion": "gemini-of-mine",
                "usageMetadata": {
                    "promptTokenCount": 20,
                    "candidatesTokenCount": 198,
                    "thoughtsTokenCount": 400,
                    "toolUsePromptTokenCount": 7,
                    "totalTokenCount": 630,
                },
            },
            dollars((27, 3), (603, 15)),
            True,
        ),
        (
            "plain",
            {"usage": {"billed_units": {"input_tokens": 17.0, "output_tokens": 12.0}, "tokens": {"input_tokens": 83}}},
            dollars((17, 3), (12, 15)),
            True,
        ),
        ("plain", {"meta": {"billed_units": {"input_tokens": 17, "output_tokens": 12}}}, dollars((17, 3), (12, 15)), True),
        (
            "cached",
            {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 105, "cacheReadInputTokens": 90}},
            dollars((10, 3), (90, "0.30"), (5, 15)),
            True,
        ),
    ],
)  # fmt: skip
def test_what_is_booked(model: str, answer: dict[str, Any], cost: Decimal, exact: bool) -> None:
    """Never less than what an answer tells anywhere, nor than what was sent and seen; marked where it is no count."""
    for shape in (answer, as_object(answer)):
        session = Budget("$5", prices=PRICES).session()
        charge = session.reserve(model, input_tokens=SENT, max_output_tokens=CAP).settle(shape)
        assert (charge.cost, charge.estimated) == (cost, not exact)


@pytest.mark.parametrize("hour", [True, False])
def test_writes_of_an_unknown_lifetime_are_of_the_one_that_was_asked_for(hour: bool) -> None:
    """Where the answer does not split its cache writes, the request says for how long they are."""
    control = {"type": "ephemeral", **({"ttl": "1h"} if hour else {})}
    asked = [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": control}]}]
    whole = {"cache_creation": {"ephemeral_5m_input_tokens": 100}}
    session = Budget("$5", prices=PRICES).session()
    hold = session.reserve("cached", messages=asked, max_output_tokens=9)
    usage: dict[str, Any] = {"input_tokens": 40, "cache_creation_input_tokens": 100, "output_tokens": 5}
    assert hold.settle({"usage": {**usage, **whole}}).cost == dollars((40, 3), (100, "3.75"), (5, 15))
    for told in ({}, {"cache_creation": {"ephemeral_5m_input_tokens": 10}}):
        session = Budget("$5", prices=PRICES).session()
        hold = session.reserve("cached", messages=asked, max_output_tokens=9)
        short = (10 if told else 0) if hour else 100
        expected = dollars((40, 3), (short, "3.75"), (100 - short, 6), (5, 15))
        assert hold.settle({"usage": {**usage, **told}}).cost == expected


@pytest.mark.parametrize("odd", [[], "", False, 0.0, {}, "5", -1, float("nan")], ids=repr)
def test_hostile_counts_are_booked_at_the_hold(odd: Any) -> None:
    """What is no count is not read as 0, whichever argument it comes in."""
    for given in (
        {"input_tokens": odd, "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": odd},
        {"usage": odd},
    ):
        session = Budget("$5", prices=PRICES).session()
        hold = session.reserve("plain", input_tokens=SENT, max_output_tokens=CAP)
        charge = hold.settle(**given)
        assert charge.estimated and charge.cost == hold.amount
        with pytest.raises((ValueError, TypeError)):
            session.record("plain", odd, 5)


@pytest.mark.parametrize("local", [{"prices": {"my-llama": (0, 0)}}, {"unknown_model": (1, 2)}], ids=str)
@pytest.mark.parametrize("name", ["gpt-3.5-turbo", "gpt-4o-2024-08-06"])
def test_the_name_in_an_answer_does_not_beat_the_price_of_the_user(local: dict[str, Any], name: str) -> None:
    """A server that answers with a famous name costs what the user said of the model that was asked for."""
    expected = dollars((100, 1), (5, 2)) if "unknown_model" in local else 0
    for more, cost in (({}, expected), ({name: (9, 9)}, dollars((105, 9)))):
        mine = {**local, "prices": {**local.get("prices", {}), **more}}
        session = Budget("$5", **mine).session()
        hold = session.reserve("my-llama", input_tokens=SENT, max_output_tokens=CAP)
        assert hold.settle({"model": name, "usage": prompt(100, 5)}).cost == cost


@pytest.mark.parametrize(
    "weak", [{"id": "", "created": 0}, {"id": "1", "created": 0}, {"id": "", "created": 5}, {}]
)
def test_answers_without_an_identity_are_not_one(weak: dict[str, Any]) -> None:
    """Two equal answers with neither an id nor a moment are two; with both they are one."""
    for identity, booked in ((weak, 2), ({"id": "chatcmpl-1", "created": 5}, 1)):
        session = Budget("$5", prices=PRICES).session()
        first, second = ({**chat(prompt(100, 10)), "model": "plain", **identity} for _ in range(2))
        first = {name: value for name, value in first.items() if identity or name not in ("id", "created")}
        second = {name: value for name, value in second.items() if identity or name not in ("id", "created")}
        hold = session.reserve("plain", input_tokens=SENT, max_output_tokens=CAP)
        charge = hold.settle(first)
        session._ledger.charged.add(read_answer(first), charge)  # as a covered client does
        session.reserve("plain", input_tokens=SENT, max_output_tokens=CAP).settle(second)
        assert session.calls == booked


@pytest.mark.parametrize(
    "model", ["sonar-deep-research", "perplexity/sonar-deep-research", "groq/compound", "compound-beta-mini",
              "deep-research-pro-preview-12-2025", "openai/gpt-4o:online"],
)  # fmt: skip
def test_models_that_search_without_end_are_refused(model: str) -> None:
    """Their price does not bound a call; with a cost, or a price of the user's, they pass."""
    with pytest.raises(UnpriceableCall, match="cost="):
        Budget("$5").session().reserve(model, input_tokens=10, max_output_tokens=10)
    with Budget("$5").session().reserve(model, input_tokens=10, max_output_tokens=10, cost="$1") as hold:
        assert hold.settle(cost="$0.63").cost == Decimal("0.63")
    Budget("$5", prices={model: (2, 8)}).session().reserve(
        model, input_tokens=10, max_output_tokens=10
    ).release()


@pytest.mark.parametrize("model", ["sonar", "gpt-4o", "o4-mini-deep-research", "my-compounds"])
def test_models_with_a_bound_are_not_refused(model: str) -> None:
    """The twin: a flat fee, and tools that the request names, are bounded."""
    session = Budget("$5", prices={"my-compounds": (1, 1)}).session()
    assert session.reserve(model, input_tokens=10, max_output_tokens=10).amount > 0


def test_deep_research_is_booked_with_all_that_it_bills() -> None:
    """Without a stated cost: its searches, and reasoning and citations as output; with one: the larger."""
    told = prompt(33, 7_163, citation_tokens=20_016, num_search_queries=18, reasoning_tokens=73_997)
    session = Budget("$5").session()
    answer = {"id": "p", "model": "sonar-deep-research", "usage": told}
    session.wrap(answer, provider="perplexity")
    output = 7_163 + 20_016 + 73_997
    assert session.spent == dollars((33, 2), (output, 8)) + Decimal("0.005") * 18 + Decimal("0.005")
    other = Budget("$5").session()
    other.wrap({**answer, "usage": {**told, "cost": {"total_cost": 2.5}}}, provider="perplexity")
    assert other.spent == Decimal("2.5")


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("ft:gpt-4o-mini-2024-07-18:acme::1", ("0.30", "0.15", "1.20")),
        ("ft:gpt-4o-2024-08-06:acme::1", ("3.75", "1.875", "15")),
        ("ft:gpt-4o-2024-11-20:acme::1", ("3.75", "3.75", "15")),
    ],
)
def test_a_cached_fine_tuned_model_has_its_own_class(model: str, rates: tuple[str, str, str]) -> None:
    """What it reads from a cache costs what is published for that snapshot, else what plain input does."""
    sent, read, made = rates
    session = Budget("$5").session()
    session.wrap({"model": model, "usage": prompt(1_000, 10, prompt_tokens_details={"cached_tokens": 600})})
    assert session.spent == dollars((400, sent), (600, read), (10, made))


def test_wrap_of_counts_that_cannot_be_true_says_to_record() -> None:
    """There is no hold to say what was sent: output without input, or text without output, is not booked low."""
    session = Budget("$5", prices=PRICES).session()
    for odd in (chat(prompt(0, 20)), chat(prompt(20, 0), **TEXT)):
        with pytest.raises(UsageMissing, match="record"):
            session.wrap(odd, model="plain")
    session.wrap(chat(prompt(20, 1), **TEXT), model="plain")
    assert session.spent == dollars((20, 3), (1, 15))


@pytest.mark.parametrize("declared", ["batch", "flex"])
def test_a_declared_tier_holds_by_hand_only(declared: str, caplog: pytest.LogCaptureFixture) -> None:
    """What an SDK or a framework sends is held and settled at what it says, none being the standard tier."""
    whole, half = dollars((100, "2.50"), (10, 10)), dollars((100, "1.25"), (10, 5))
    asked: Any = {"input_tokens": 100, "max_output_tokens": 10}
    model = "gpt-4o" if declared == "batch" else "o3"
    if declared == "flex":
        whole, half = dollars((100, 2), (10, 8)), dollars((100, 1), (10, 4))
    session = Budget("$5", tier=declared).session()
    with caplog.at_level(logging.WARNING, "bursar"):
        sent = [session.reserve(model, **asked, sent=True) for _ in range(2)]
    assert sum(declared in record.getMessage() for record in caplog.records) == 1
    assert [hold.amount for hold in sent] == [whole, whole]
    assert sent[0].settle({"model": model, "usage": prompt(100, 10)}).cost == whole
    assert sent[1].settle({"model": model, "service_tier": declared, "usage": prompt(100, 10)}).cost == half
    by_hand = session.reserve(model, **asked)
    assert by_hand.amount == half and by_hand.settle(usage=Usage(100, 10)).cost == half


def test_a_dearer_tier_of_the_request_is_held() -> None:
    """A request for priority costs that, whatever the budget declares."""
    session = Budget("$5", tier="batch").session()
    hold = session.reserve("gpt-4o", input_tokens=100, max_output_tokens=10, tier="priority", sent=True)
    assert hold.amount == dollars((100, "4.25"), (10, 17))


def test_of_two_reports_the_larger_of_each_number_counts() -> None:
    """However deep; what is no number is that of the later report, and nothing is no report."""
    first = {"a": 5, "b": {"c": 1.5, "d": "x"}, "e": 1}
    assert larger(first, {"a": 3, "b": {"c": 2, "d": "y"}, "e": None}) == {
        "a": 5, "b": {"c": 2, "d": "y"}, "e": 1,
    }  # fmt: skip
    assert larger(None, first) == first and larger(first, None) == first


def test_audio_in_the_input_of_gemini_is_read() -> None:
    """It lists its input by kind."""
    kinds = [{"modality": "TEXT", "tokenCount": 5}, {"modality": "AUDIO", "tokenCount": 7}]
    for listed, heard in ((kinds, 7), (kinds[:1], 0)):
        told = {"promptTokenCount": 12, "candidatesTokenCount": 1, "promptTokensDetails": listed}
        usage = read_answer({"usageMetadata": told}).usage
        assert usage is not None and usage.audio_input_tokens == heard


@pytest.mark.parametrize("total", [623, 624])
def test_an_answer_of_the_google_sdk_is_wrapped(total: int) -> None:
    """Its members in the words of Python, the model by the answer; one token more in the total alone costs more."""
    told = SimpleNamespace(
        prompt_token_count=20, candidates_token_count=198, thoughts_token_count=None, total_token_count=total,
        cached_content_token_count=12, tool_use_prompt_token_count=None,
    )  # fmt: skip
    session = Budget("$5").session()
    session.wrap(SimpleNamespace(response_id="g", model_version="gemini-2.5-flash", usage_metadata=told))
    assert session.spent == dollars((8, "0.30"), (12, "0.03"), (total - 20, "2.50"))


def test_an_answer_of_cohere_is_wrapped_by_the_model_that_was_asked_for() -> None:
    """It names none; what was billed counts, not all that was read."""
    billed = SimpleNamespace(input_tokens=17.0, output_tokens=12.0)
    counted = SimpleNamespace(input_tokens=83.0, output_tokens=12.0)
    answer = SimpleNamespace(id="c", usage=SimpleNamespace(billed_units=billed, tokens=counted))
    session = Budget("$5", prices=PRICES).session()
    with pytest.raises(UsageMissing, match="name it .model=., or call record"):
        session.wrap(answer)
    session.wrap(answer, model="plain")
    assert session.spent == dollars((17, 3), (12, 15))


@pytest.mark.parametrize("cost", [-1, 10**9, float("inf"), "1", None, True], ids=repr)
def test_a_stated_cost_that_is_none_is_not_read(cost: Any) -> None:
    """Below zero, above all amounts, or no number."""
    assert read_answer(chat(prompt(1, 1, cost=cost))).cost_nanos is None


def test_nonsense_beside_deep_research_is_left_out() -> None:
    """The counts themselves still are what they are."""
    usage = read_answer({"model": "sonar-deep-research", "usage": prompt(1, 2, citation_tokens="many")}).usage
    assert usage == Usage(1, 2)


def test_text_that_is_nested_without_end_is_counted_to_a_depth() -> None:
    """And of objects their members, but no names of kinds, nor ids; of a tool's arguments all."""
    deep: Any = "x"
    for _ in range(1_000):
        deep = [deep]
    block = {"type": "tool_use", "id": "toolu_1", "input": {"type": "abc", "id": "de"}}
    assert text_bytes(deep) == 0 and text_bytes(block) == 5
    assert text_bytes(SimpleNamespace(role="assistant", content="abc", number=5)) == 3


@pytest.mark.parametrize(("limit", "runs"), [("$5", 8), ("$0.015", 1)])
def test_the_largest_alternative_that_fits_is_granted(limit: str, runs: int) -> None:
    """It counts as lowered, and an answer that is cut by it is told so."""
    ways = [{"runs": most, "n": most + 1, "requests": {"web_search": most}} for most in (8, 4, 2, 1)]
    session = Budget(limit).session()
    asked: Any = {"input_tokens": 10, "max_output_tokens": 5_000}
    hold = session.reserve("gpt-4o", **asked, alternatives=ways)
    assert (hold.runs, hold.clamped) == (runs, True)
    assert hold.settle(usage=Usage(10, 10), cut=True).truncated
    error = ValueError()
    hold.explain(error)
    assert session.report()["clamped"] == 1
    with pytest.raises(BudgetExceeded, match="one run of the provider's tools"):
        Budget("$0.0001").session().reserve("gpt-4o", **asked, alternatives=ways)
