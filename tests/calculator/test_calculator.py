"""What bursar books is what genai-prices' own calculator says, or more by a rule with a name; never less."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random

import pytest

from bursar import Usage
from bursar.pricing.book import prices_date

from . import rules, sides
from .conftest import Tally
from .rules import RULES, compared
from .sides import PROVIDERS, Model, models
from .usages import usages

DAY = datetime.fromisoformat(f"{prices_date()}T00:00:00+00:00")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_usage_is_cheaper(provider: str, tally: Tally) -> None:
    """Every model that both know, at every tier that both price, with usages of every class and size."""
    random = Random(provider)
    found: Counter[str] = Counter()
    cheaper = []
    for model in models(provider):
        for usage in usages(random, output=not model.embedding):
            assert usage.flaw is None
            at = DAY + timedelta(minutes=random.randrange(24 * 60))
            rule, ratio = compared(model, usage, at)
            found[rule] += 1
            if rule in ("conditional", "second source", "uncounted") and not usage.requests:
                tally.dearest(rule, ratio, str(model))
            if rule == "CHEAPER":
                cheaper.append(f"{model}: {float(ratio):.3f} of their price for {usage}")
        found["models"] += 1
    tally.add(provider, found)
    assert found["models"] and found["equal"]
    assert cheaper == []


def test_every_rule_is_of_use() -> None:
    """All that is in the list of rules happens, but for what must not."""
    happened = {
        compared(model, usage, DAY)[0]
        for provider in ("deepseek", "google", "openai", "perplexity")
        for model in models(provider)
        for usage in usages(Random(0), output=not model.embedding)
    }
    assert happened == set(RULES) - {"CHEAPER"}


@pytest.fixture
def gpt_4o() -> Model:
    return next(model for model in models("openai") if model.name == "gpt-4o")


@pytest.mark.parametrize(
    ("cheaper", "usage"),
    [
        ("input", Usage(1_000, 0)),
        ("output", Usage(0, 1_000)),
        ("cached_input", Usage(1_000, 0, cached_input_tokens=1_000)),
    ],
)
def test_the_judge_sees_a_cheaper_price(
    gpt_4o: Model, cheaper: str, usage: Usage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A price that is a pico-dollar a token too low is found; as it ships, it is equal."""
    assert compared(gpt_4o, usage, DAY) == ("equal", Fraction(1))
    rates = sides.BOOK.rates("gpt-4o", "openai")
    lower = replace(rates, **{cheaper: getattr(rates, cheaper) - 1})
    monkeypatch.setattr(sides.BOOK, "rates", lambda name, provider, tier: lower)
    assert compared(gpt_4o, usage, DAY)[0] == "CHEAPER"
    monkeypatch.setattr(rules, "corrected", lambda model: True)
    assert compared(gpt_4o, usage, DAY)[0] == "corrected"
