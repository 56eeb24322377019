"""Real LlamaIndex models against a provider on this machine that keeps its own bill."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from llama_index.core import Settings
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseGen,
    CustomLLM,
    LLMMetadata,
)
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses

from bursar.testing import Rate, ScriptedProvider
from bursar_llamaindex import BudgetCallback, uninstall

from ..script import Script as AnyScript
from ..script import choose, missing

RATES = {
    "gpt-4o": Rate("2.50", "10", "1.25"),
    "gpt-4o-mini": Rate("0.15", "0.60", "0.075"),
    "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2"),
    "claude-sonnet-4-20250514": Rate("3", "15", "0.30", "3.75", "6"),
    "text-embedding-3-small": Rate("0.02", "0"),
}
QUESTION = [ChatMessage(role="user", content="Why is the sky blue?")]


class Elsewhere(CustomLLM):
    """A model on neither SDK: it sends its requests by itself."""

    url: str
    name: str = "gpt-4o-mini"
    tells: bool = True

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.name, num_output=50)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self._ask(prompt)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        def parts() -> CompletionResponseGen:
            yield self._ask(prompt)

        return parts()

    def _ask(self, prompt: str) -> CompletionResponse:
        messages = [{"role": "user", "content": prompt}]
        answer = httpx.post(
            f"{self.url}/chat/completions",
            headers={"Authorization": "Bearer none"},
            json={"model": self.name, "max_tokens": 50, "messages": messages},
        ).json()
        return CompletionResponse(
            text=answer["choices"][0]["message"]["content"], raw=answer if self.tells else None
        )


class Script(AnyScript):
    """What the tests ask of the provider, in their own words, and the models that talk to it."""

    tokens = 3

    # -- models ---------------------------------------------------------------------------------

    def model(self, brand: str = "openai", **settings: Any) -> Any:
        wanted = {"max_tokens": 50, "max_retries": 0, "api_key": "none", **settings}
        if brand == "anthropic":
            named = {"model": "claude-sonnet-4-20250514", **wanted}
            return Anthropic(base_url=self.provider.anthropic_url, **named)
        if brand == "responses":
            wanted["max_output_tokens"] = wanted.pop("max_tokens")
            return OpenAIResponses(model="gpt-4o-mini", api_base=self.provider.openai_url, **wanted)
        if brand == "elsewhere":
            return Elsewhere(url=self.provider.openai_url, **settings)
        return OpenAI(model="gpt-4o-mini", api_base=self.provider.openai_url, **wanted)

    def embedding(self, **settings: Any) -> OpenAIEmbedding:
        wanted = {"model": "text-embedding-3-small", "max_retries": 0, "api_key": "none", **settings}
        return OpenAIEmbedding(api_base=self.provider.openai_url, **wanted)


@pytest.fixture
def provider() -> Iterator[Script]:
    with ScriptedProvider(rates=RATES) as provider:
        yield Script(provider)


@pytest.fixture(autouse=True)
def settings_of_nobody() -> Iterator[None]:
    """Leave no handler behind for the next test."""
    Settings._callback_manager = Settings._llm = Settings._embed_model = None
    yield
    Settings._callback_manager = Settings._llm = Settings._embed_model = None
    uninstall()


def managed(budget: BudgetCallback) -> CallbackManager:
    return CallbackManager([budget])


_loop = (
    asyncio.new_event_loop()
)  # of all tests: an async client belongs to the loop that it was used in first
asyncio.set_event_loop(_loop)  # LlamaIndex's own `asyncio_run` takes it, and leaves tasks behind in it


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What it returns; whatever else it has started runs to its end."""
    try:
        return _loop.run_until_complete(coroutine)
    finally:
        gc.collect()  # generators that were left are closed by tasks
        while tasks := asyncio.all_tasks(_loop):
            _loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def chat(llm: Any) -> None:
    llm.chat(QUESTION)


def complete(llm: Any) -> None:
    llm.complete("Why is the sky blue?")


def stream_chat(llm: Any) -> None:
    assert list(llm.stream_chat(QUESTION))


def stream_complete(llm: Any) -> None:
    assert list(llm.stream_complete("Why is the sky blue?"))


def achat(llm: Any) -> None:
    run(llm.achat(QUESTION))


def acomplete(llm: Any) -> None:
    run(llm.acomplete("Why is the sky blue?"))


def astream_chat(llm: Any) -> None:
    async def read() -> None:
        assert [part async for part in await llm.astream_chat(QUESTION)]

    run(read())


def astream_complete(llm: Any) -> None:
    async def read() -> None:
        assert [part async for part in await llm.astream_complete("Why is the sky blue?")]

    run(read())


WAYS = [chat, complete, stream_chat, stream_complete, achat, acomplete, astream_chat, astream_complete]
BRANDS = ["openai", "responses", "anthropic", "elsewhere"]

THEIRS = (
    "ignore::DeprecationWarning",
    "ignore::ResourceWarning",  # clients that are closed by the collector
    "ignore::pytest.PytestUnraisableExceptionWarning",  # the same, in a finaliser
)


# What a test may need of LlamaIndex: is it here?
HERE = {"closing answers": hasattr(FunctionAgent, "_generate_early_stopping_response")}


def pytest_configure(config: pytest.Config) -> None:
    """Tests say what they need, and are not collected where it is missing: one that is collected runs."""
    config.addinivalue_line("markers", "needs(what): see HERE in the conftest of the LlamaIndex tests")


def pytest_report_header() -> list[str]:
    """Say what is missing, and so why tests are deselected."""
    return missing(HERE)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the frameworks warn about among themselves is not ours to fail on."""
    choose(config, items, Path(__file__).parent, THEIRS, HERE)
