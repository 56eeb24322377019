"""Random true counts, told wrongly in every way that the page of prices names: never below the bill."""

from __future__ import annotations

from typing import Any

import openai
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bursar
from bursar import Budget
from bursar.testing import Rate, Reply, ScriptedProvider

from ...scale import scaled
from ...wrong_usage import QUESTION, WAYS, Counts, counts


@settings(
    max_examples=scaled(25, 2_000),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(true=counts(), way=st.sampled_from(sorted(WAYS)), stream=st.booleans())
def test_what_is_booked_is_never_below_the_bill(true: Counts, way: str, stream: bool) -> None:
    """Through the real SDK, whole and streamed; exact where it is told rightly, else marked where it is a guess."""
    with ScriptedProvider(rates={"acme": Rate("2", "8", "0.5")}) as provider:
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
        prices: Any = {"acme": bursar.Price("2", "8", cached_input="0.5")}
        session = Budget("$9", prices=prices).session()
        with bursar.wrap_client(
            openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0), session
        ) as client:
            asked: Any = {
                "model": "acme",
                "messages": [{"role": "user", "content": QUESTION}],
                "max_tokens": 9_000,
            }
            answer = client.chat.completions.create(**asked, stream=stream)
            if stream:
                list(answer)
        assert session.reserved == 0 and session.spent >= provider.bill
        if not session.report()["estimated"]:
            assert session.spent == provider.bill
