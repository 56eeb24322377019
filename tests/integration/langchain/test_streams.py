"""Streams: exact where usage arrives, never below the bill where it does not."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from langchain_openai import ChatOpenAI

from bursar import Budget, BursarError
from bursar_langchain import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

TEXT = "The sky is blue because air scatters short waves more than long ones."


def test_usage_that_is_asked_for(provider: Script, question: Any) -> None:
    """With `stream_usage=True` a stream is booked exactly."""
    provider.says(TEXT)
    budget = BudgetCallback("$1")
    chunks = list(provider.openai(stream_usage=True).stream(question, {"callbacks": [budget]}))
    assert "".join(str(chunk.content) for chunk in chunks) == TEXT
    provider.assert_exact(budget)
    assert budget.report()["estimated"] == 0


NO_USAGE: Any = {"stream_usage": False, "model_kwargs": {"stream_options": {"include_usage": False}}}


def test_usage_that_only_the_sdk_asks_for(provider: Script, question: Any) -> None:
    """`ChatOpenAI` asks no foreign host for usage, but the covered SDK does: booked exactly."""
    provider.says(TEXT)
    budget = BudgetCallback("$1")
    list(provider.openai(stream_usage=None, max_tokens=4000).stream(question, {"callbacks": [budget]}))
    provider.assert_exact(budget)
    assert budget.report()["estimated"] == 0


def test_usage_that_is_not_asked_for(provider: Script, question: Any) -> None:
    """Where the caller wants no usage, the text bounds the cost, between bill and hold."""
    provider.says(TEXT)
    budget = BudgetCallback("$1")
    list(provider.openai(**NO_USAGE, max_tokens=4000).stream(question, {"callbacks": [budget]}))
    assert provider.bill_nanos <= budget.spent * 10**9 < 5_000_000
    assert budget.report()["estimated"] == 1
    assert budget.reserved == 0


@pytest.mark.parametrize("tools", [False, True])
def test_tool_calls_are_output(tools: bool, provider: Script, question: Any) -> None:
    """Arguments of tool calls count as output where usage is missing."""
    if tools:
        provider.calls(("look_up", {"place": "Oslo" * 20}))
    budget = BudgetCallback("$1")
    list(provider.openai(**NO_USAGE, max_tokens=4000).stream(question, {"callbacks": [budget]}))
    tokens = budget.report()["breakdown"]["llm"]["tokens"]["output"]
    assert (tokens >= 80) is tools
    assert budget.spent * 10**9 >= provider.bill_nanos


def test_hidden_reasoning_is_never_below_the_bill(provider: Script, question: Any) -> None:
    """A model that bills reasoning which no text shows is booked at its hold without usage."""
    provider.says("ok", reasoning_tokens=40)
    budget = BudgetCallback("$1")
    model = provider.openai(**NO_USAGE, reasoning_effort="high")
    list(model.stream(question, {"callbacks": [budget]}))
    assert budget.spent * 10**9 >= provider.bill_nanos
    assert budget.report()["estimated"] == 1


@pytest.mark.parametrize("how", ["break", "close", "collected"])
@pytest.mark.parametrize("brand", ["openai", "anthropic"])
def test_stream_that_is_left(brand: str, how: str, provider: Script, question: Any) -> None:
    """A stream that its consumer leaves is booked at the worst: who knows what the provider went on to say."""
    provider.says(TEXT)
    budget = BudgetCallback("$1")
    stream = provider.model(brand).stream(question, {"callbacks": [budget]})
    next(stream)
    held = budget.reserved
    assert held > 0
    if how == "close":
        stream.close()
    elif how == "break":
        for _ in stream:
            break
    del stream
    gc.collect()
    assert budget.spent == held
    assert budget.reserved == 0
    assert budget.spent * 10**9 >= provider.bill_nanos


@pytest.mark.parametrize("policy", ["worst", "observed", "release"])
def test_stream_that_breaks_off(policy: Any, provider: Script, question: Any) -> None:
    """A cut stream follows the budget's policy; what was seen of it is always paid."""
    provider.says(TEXT, drop="mid_stream")
    budget = BudgetCallback(Budget("$1", unknown_outcome=policy))
    model = provider.openai(max_tokens=4000)
    with pytest.raises(Exception) as lost:  # noqa: PT011 - whatever the SDK of this version calls it
        list(model.stream(question, {"callbacks": [budget]}))
    assert not isinstance(lost.value, BursarError)
    spent = budget.spent
    assert (spent > 0.04) is (policy == "worst")
    assert spent > 0
    assert budget.reserved == 0


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_stream_that_breaks_off_after_its_usage(asynchronous: bool, provider: Script, question: Any) -> None:
    """Once the provider has counted, a lost connection changes nothing: booked exactly."""
    provider.says(TEXT, drop="after_final_usage")
    budget = BudgetCallback("$1")
    model = provider.openai()

    async def read() -> None:
        async for _ in model.astream(question, {"callbacks": [budget]}):
            pass

    with pytest.raises(Exception) as lost:  # noqa: PT011 - whatever the SDK of this version calls it
        asyncio.run(read()) if asynchronous else list(model.stream(question, {"callbacks": [budget]}))
    assert not isinstance(lost.value, BursarError)
    provider.assert_exact(budget)


def test_stream_that_is_never_read(provider: Script, question: Any) -> None:
    """A stream that nobody reads is never asked for, and costs nothing."""
    budget = BudgetCallback("$1")
    provider.openai().stream(question, {"callbacks": [budget]})
    gc.collect()
    assert provider.sent == 0
    provider.assert_exact(budget)


@pytest.mark.needs("events of the third version")
def test_call_inside_the_loop_over_events(provider: Script, question: Any) -> None:
    """The same for events of the third version, which a model may make by itself, without hearing of tokens."""
    from langchain_core.language_models._compat_bridge import chunks_to_events

    from bursar.integration import covered_hold

    class Native(ChatOpenAI):
        def _stream_chat_model_events(self, messages: Any, *, run_manager: Any, **kwargs: Any) -> Any:
            yield from chunks_to_events(self._stream(messages, **kwargs), message_id="run")

    budget = BudgetCallback("$1")
    config: Any = {"callbacks": [budget]}
    provider.says(TEXT)
    model = provider.openai(kind=Native)
    for number, _ in enumerate(model.stream_events(question, config, version="v3")):
        assert covered_hold() is None
        if number == 2:
            provider.openai().invoke(question, config)
    assert provider.sent == 2
    assert budget.session.calls == 2
    provider.assert_exact(budget)


def test_call_inside_the_loop_over_a_stream(provider: Script, question: Any) -> None:
    """While a stream is read, another call in the same context has its own hold and its own charge."""
    from bursar.integration import covered_hold

    budget = BudgetCallback("$1")
    config: Any = {"callbacks": [budget]}
    provider.says(TEXT)
    for number, _ in enumerate(provider.openai().stream(question, config)):
        assert covered_hold() is None
        if number == 2:
            provider.openai().invoke(question, config)
    assert provider.sent == 2
    assert budget.session.calls == 2
    provider.assert_exact(budget)
