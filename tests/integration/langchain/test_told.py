"""Random true counts, told wrongly in every way that the page of prices names: never below the bill."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langchain_mistralai import ChatMistralAI
from pydantic import SecretStr

from bursar.testing import Rate, Reply, ScriptedProvider
from bursar_langchain import BudgetCallback

from ...scale import scaled
from ...wrong_usage import QUESTION, WAYS, Counts, counts


@settings(
    max_examples=scaled(12, 1_000),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(true=Counts(1, 0, 1, 0), way="text", stream=False)
@given(true=counts(), way=st.sampled_from(sorted(WAYS)), stream=st.booleans())
def test_what_is_booked_is_never_below_the_bill(true: Counts, way: str, stream: bool) -> None:
    """Under the callback alone, whole and streamed; exact or dearer where it is told, else marked."""
    model = "mistral-small-latest"
    with ScriptedProvider(rates={model: Rate("0.15", "0.60", "0.015")}) as provider:
        provider.script(
            Reply(
                "x" * true.shown,
                input_tokens=true.sent,
                output_tokens=true.made,
                cached_input_tokens=true.read,
                reasoning_tokens=true.thought,
                usage=WAYS[way](true),
            )
        )
        client = ChatMistralAI(
            base_url=provider.openai_url,
            api_key=SecretStr("none"),
            model=model,
            max_retries=0,
            max_tokens=9_000,
        )
        budget = BudgetCallback("$9")
        asked: Any = (QUESTION, {"callbacks": [budget]})
        with contextlib.suppress(TypeError, ValueError):  # a usage that the client itself cannot read
            list(client.stream(*asked)) if stream else client.invoke(*asked)
        assert budget.reserved == 0 and budget.spent >= provider.bill
