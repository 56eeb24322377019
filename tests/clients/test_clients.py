"""Libraries that send by the OpenAI SDK are covered with it: under `with session:` and `init`, sync and async."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it is fetched from the network

import instructor
import litellm
import openai
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

import bursar
from bursar import Budget, BudgetExceeded, Session
from bursar.testing import Reply, ScriptedProvider, ToolCall

MODEL = "gpt-4o-mini"
ASKED: Any = [{"role": "user", "content": "What color is the sky?"}]


class Sky(BaseModel):
    """What instructor is to make of the answer."""

    color: str


USES_TOOL = Reply(tool_calls=[ToolCall("Sky", {"color": "blue"})])


def of_instructor(provider: ScriptedProvider, way: str) -> Any:
    provider.always(USES_TOOL)
    given = {"base_url": provider.openai_url, "api_key": "none", "max_retries": 0}
    client: Any = openai.AsyncOpenAI(**given) if way == "async" else openai.OpenAI(**given)
    asked = {"model": MODEL, "messages": ASKED, "response_model": Sky, "max_tokens": 50, "max_retries": 0}
    create = instructor.from_openai(client).chat.completions.create
    return asyncio.run(create(**asked)) if way == "async" else create(**asked)


def of_pydantic_ai(kind: Any, provider: ScriptedProvider, way: str) -> Any:
    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as client:
            model = kind(MODEL, provider=OpenAIProvider(openai_client=client))
            agent = Agent(model, model_settings={"max_tokens": 50})
            return (await agent.run("What color is the sky?")).output

    return asyncio.run(ask())


def of_litellm(provider: ScriptedProvider, way: str) -> Any:
    asked = {
        "model": f"openai/{MODEL}",
        "api_base": provider.openai_url,
        "api_key": "none",
        "messages": ASKED,
        "max_tokens": 50,
        "num_retries": 0,
        "max_retries": 0,
    }
    if way == "sync":
        return litellm.completion(**asked)
    if way == "async":
        return asyncio.run(litellm.acompletion(**asked))
    return list(litellm.completion(**asked, stream=True, stream_options={"include_usage": True}))


# What is sent, and what its caller gets for a refusal. `None`: the refusal itself.
CLIENTS: dict[str, tuple[Callable[..., Any], tuple[str, ...], str | None]] = {
    "instructor": (of_instructor, ("sync", "async"), "InstructorRetryException"),
    "pydantic-ai, chat": (partial(of_pydantic_ai, OpenAIChatModel), ("async",), None),
    "pydantic-ai, Responses": (partial(of_pydantic_ai, OpenAIResponsesModel), ("async",), None),
    "litellm": (of_litellm, ("sync", "async", "stream"), "APIError"),
}


def by_session(*limits: str) -> AbstractContextManager[Session]:
    return Budget(*limits).session()


def by_init(*limits: str) -> AbstractContextManager[Session]:
    return bursar.init(*limits)


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider
    bursar.teardown()


@pytest.mark.parametrize("cover", [by_session, by_init])
@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name, (_, ways, _) in CLIENTS.items() for way in ways]
)
@pytest.mark.parametrize("calls", [3, 5])
def test_each_request_is_charged_and_a_budget_for_three_serves_three(
    calls: int, name: str, way: str, cover: Any, provider: ScriptedProvider
) -> None:
    """Requests are charges, the bill is the ledger; a refusal comes as its page says, and nothing more is sent."""
    ask, _, wrapped = CLIENTS[name]
    session: Session
    refused: list[BaseException] = []
    with cover("$1", "3 calls") as session:
        for _ in range(calls):
            try:
                ask(provider, way)
            except Exception as error:
                refused.append(error)
    assert provider.arrivals == provider.calls == session.calls == 3
    assert session.spent == provider.bill > 0 == session.reserved
    assert {type(error).__name__ for error in refused} == (
        {wrapped or "BudgetExceeded"} if calls > 3 else set()
    )
    for error in refused:
        assert isinstance(error, BudgetExceeded) or any(
            isinstance(one, BudgetExceeded) for one in causes(error)
        )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_other_routes_of_litellm_are_named_as_not_covered(
    provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """A call to Anthropic passes the budget, unseen; the log says so once."""
    with Budget("$1").session() as session:
        litellm.completion(
            model="anthropic/claude-haiku-4-5",
            api_base=provider.anthropic_url,
            api_key="none",
            messages=ASKED,
        )
    assert (provider.calls, session.calls) == (1, 0)
    assert caplog.text.count("litellm is not covered") == 1
