"""Random true counts, told wrongly in every way that the page of prices names: never below the bill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bursar
from bursar import Budget
from bursar.testing import Rate, Reply, ScriptedProvider

from ...scale import scaled
from ...wrong_usage import QUESTION, Counts, counts

Told = Callable[[Counts, int, int], Any]


def _told(true: Counts, short: int, long: int, **more: Any) -> dict[str, Any]:
    """Short and long are what was written to a cache for minutes, and for an hour, of the input."""
    return {
        "input_tokens": true.sent - short - long,
        "output_tokens": true.made,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        **more,
    }


WAYS: dict[str, Told] = {
    "rightly": _told,
    "no split": lambda true, short, long: _told(true, short, long, cache_creation=None),
    "a split of zeros": lambda true, short, long: _told(true, short, long, cache_creation={}),
    "half a split": lambda true, short, long: _told(
        true, short, long, cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": long // 2}
    ),
    "no input": lambda true, short, long: _told(
        true, 0, 0, input_tokens=0, cache_creation_input_tokens=None, cache_creation=None
    ),
    "no output": lambda true, short, long: _told(true, short, long, output_tokens=0),
    "text": lambda true, short, long: _told(true, short, long, input_tokens="many"),
    "null": lambda true, short, long: "null",
}  # fmt: skip


@settings(
    max_examples=scaled(20, 2_000),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(true=counts(), way=st.sampled_from(sorted(WAYS)), stream=st.booleans(), hour=st.booleans())
def test_what_is_booked_is_never_below_the_bill(true: Counts, way: str, stream: bool, hour: bool) -> None:
    """Through the real SDK, whole and streamed; cache writes are those that the request asked for."""
    short, long = (0, true.read) if hour else (true.read, 0)
    with ScriptedProvider(rates={"claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2")}) as provider:
        provider.script(
            Reply(
                "x" * true.made,
                input_tokens=true.sent,
                output_tokens=true.made,
                cache_write_tokens=short,
                cache_write_1h_tokens=long,
                usage=WAYS[way](true, short, long),
            )
        )
        session = Budget("$9").session()
        control: Any = {"type": "ephemeral", **({"ttl": "1h"} if hour else {})}
        content: Any = [{"type": "text", "text": QUESTION, "cache_control": control}]
        asked: Any = {"messages": [{"role": "user", "content": content}], "max_tokens": 9_000}
        with bursar.wrap_client(
            anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0), session
        ) as client:
            try:
                answer = client.messages.create(model="claude-haiku-4-5", **asked, stream=stream)
                if stream:
                    list(answer)
            except (TypeError, ValueError):
                pass  # a usage that the SDK itself cannot read
        assert session.reserved == 0 and session.spent >= provider.bill
        if not session.report()["estimated"]:
            assert session.spent == provider.bill
