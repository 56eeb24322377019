"""At each service tier calls are made until one is refused: what the provider bills is within the limit."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import openai
import pytest

import bursar
from bursar import Budget, BudgetExceeded
from bursar.testing import Rate, Reply, ScriptedProvider

from ...scale import scaled

CAP = 400
# The list prices of gpt-5 by tier, in dollars per million tokens.
RATES = {
    "default": Rate("1.25", "10", "0.125"),
    "flex": Rate("0.625", "5", "0.0625"),
    "priority": Rate("2.50", "20", "0.25"),
}


@pytest.mark.parametrize(
    ("declared", "asked", "served"),
    [
        (None, None, "default"),
        (None, "flex", "flex"),
        (None, "priority", "priority"),
        (None, "priority", "default"),
        (None, "auto", "default"),
        ("priority", "auto", "priority"),
        ("batch", None, "default"),
        ("flex", "flex", "flex"),
        ("flex", None, "default"),
    ],
)
def test_the_bill_of_many_calls_is_within_the_limit(declared: Any, asked: Any, served: str) -> None:
    """Whatever tier the budget declares, the request asks for and the answer says; and nearly all of it is spent."""
    random, calls = Random(f"{declared}{asked}{served}"), scaled(100, 1_000)
    dearest = Decimal(str(RATES[served].output)) * CAP / 10**6
    limit = dearest * calls / 2
    with ScriptedProvider(rates={"gpt-5": RATES[served]}) as provider:
        for _ in range(calls * 4):
            made, sent = random.randint(1, CAP), random.randint(1, 60)
            read = random.randint(0, sent)
            provider.script(
                Reply(output_tokens=made, input_tokens=sent, cached_input_tokens=read, service_tier=served)
            )
        session = Budget(limit, tier=declared).session()
        client = openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0)
        options: Any = {} if asked is None else {"service_tier": asked}
        with bursar.wrap_client(client, session), pytest.raises(BudgetExceeded):
            for number in range(calls * 4):
                client.chat.completions.create(
                    model="gpt-5", messages=[{"role": "user", "content": f"Why {number}?"}],
                    max_completion_tokens=CAP, **options,
                )  # fmt: skip
        assert provider.calls > calls / 2
        assert provider.bill == session.spent <= limit
        assert session.reserved == 0 and limit - provider.bill < 4 * dearest
