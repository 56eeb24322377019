"""Real LangChain models against a provider on this machine that keeps its own bill."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import langchain_core
import openai
import pytest
from langchain.agents import middleware
from langchain_anthropic import ChatAnthropic, _client_utils
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_groq import ChatGroq
from langchain_mistralai import ChatMistralAI
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from bursar.integration import admission
from bursar.ledger.context import _by_text, innermost, paying
from bursar.ledger.swallowed import current_run
from bursar.testing import Rate, ScriptedProvider
from bursar_langchain import BudgetCallback

from ..script import Script as AnyScript
from ..script import choose, missing

os.environ["LANGSMITH_TRACING"] = "false"

RATES = {
    "gpt-4o": Rate("2.50", "10", "1.25"),
    "gpt-4o-mini": Rate("0.15", "0.60", "0.075"),
    "gpt-5": Rate("1.25", "10", "0.125"),
    "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2"),
    "gpt-3.5-turbo-instruct": Rate("1.50", "2"),
    "home-made": Rate("2.50", "10"),
    "llama-3.3-70b-versatile": Rate("0.59", "0.79"),
    "mistral-small-latest": Rate("0.15", "0.60", "0.015"),
    "text-embedding-3-small": Rate("0.02", "0"),
}
TIERS = {"flex": Rate("0.625", "5", "0.0625"), "priority": Rate("2.50", "20", "0.25")}  # of gpt-5


class Script(AnyScript):
    """What the tests ask of the provider, in their own words, and the models that talk to it."""

    def serves_at(self, tier: str | None) -> None:
        """Bill gpt-5 at the tier, and say so."""
        if tier is not None:
            self.provider.rates["gpt-5"] = TIERS[tier]

    # -- models ---------------------------------------------------------------------------------

    def openai(self, kind: type[ChatOpenAI] = ChatOpenAI, **settings: Any) -> ChatOpenAI:
        return kind(
            base_url=self.provider.openai_url,
            api_key=SecretStr("none"),
            # The client that is shared by default belongs to the event loop of another test.
            http_async_client=openai.DefaultAsyncHttpxClient(),
            **{"model": "gpt-4o", "max_tokens": 50, "max_retries": 0, "stream_usage": True, **settings},
        )

    def anthropic(self, **settings: Any) -> ChatAnthropic:
        return ChatAnthropic(
            base_url=self.provider.anthropic_url,
            api_key=SecretStr("none"),
            **{"model": "claude-haiku-4-5", "max_tokens": 50, "max_retries": 0, **settings},
        )

    def mistral(self, **settings: Any) -> ChatMistralAI:
        """A client that is built on neither SDK."""
        return ChatMistralAI(
            base_url=self.provider.openai_url,
            api_key=SecretStr("none"),
            **{"model_name": "mistral-small-latest", "max_tokens": 50, "max_retries": 0, **settings},
        )

    def groq(self, **settings: Any) -> ChatGroq:
        """Another one; its path begins with ``/openai``."""
        return ChatGroq(
            base_url=self.provider.openai_url.removesuffix("/v1"),
            api_key=SecretStr("none"),
            **{"model": "llama-3.3-70b-versatile", "max_tokens": 50, "max_retries": 0, **settings},
        )

    def model(self, brand: str, **settings: Any) -> Any:
        if brand in ("mistral", "groq"):
            return getattr(self, brand)(**settings)
        if brand == "responses":
            return self.openai(use_responses_api=True, **settings)
        return self.openai(**settings) if brand == "openai" else self.anthropic(**settings)

    def agent_model(self, budget: BudgetCallback, **settings: Any) -> ChatOpenAI:
        """The model of an async agent: below Python 3.11 LangChain does not hand callbacks on to it."""
        return self.openai(callbacks=[budget] if sys.version_info < (3, 11) else None, **settings)


@pytest.fixture
def provider() -> Iterator[Script]:
    # One async client for each address is shared: its connections belong to the event loop of an earlier
    # test, and to a provider whose port the system may have given away again.
    _client_utils._get_default_async_httpx_client.cache_clear()
    with ScriptedProvider(rates=RATES, snapshots={"gpt-4o": "gpt-4o-2024-08-06"}) as provider:
        yield Script(provider)


@pytest.fixture
def question() -> list[BaseMessage]:
    return [HumanMessage("Why is the sky blue?")]


@pytest.fixture(autouse=True)
def no_cache() -> Iterator[None]:
    """Leave no cache behind for the next test."""
    yield
    set_llm_cache(None)


# What a test may need of LangChain, of Python or of the system: is it here?
HERE = {
    "ModelRetryMiddleware": hasattr(middleware, "ModelRetryMiddleware"),
    "asyncio.timeout": hasattr(asyncio, "timeout"),
    "configs that reach async nodes": sys.version_info >= (3, 11),
    "events of the third version": hasattr(BaseCallbackHandler, "on_stream_event"),
    "fork": hasattr(os, "fork"),
    "metadata without configurable": not langchain_core.__version__.startswith("1.0."),
    "tool calls of Mistral's without content": version("langchain-mistralai") != "1.0.0",
}

THEIRS = (
    "ignore::DeprecationWarning",
    "ignore::ResourceWarning",  # clients that are closed by the collector
    "ignore::pytest.PytestUnraisableExceptionWarning",  # the same, in a finaliser
    "ignore:coroutine 'ahandle_event' was never awaited:RuntimeWarning",  # LangChain's, after a refusal
    "ignore:Unexpected type for token usage:UserWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    """Tests say what they need, and are not collected where it is missing: one that is collected runs."""
    config.addinivalue_line("markers", "needs(what): see HERE in the conftest of the LangChain tests")


def pytest_report_header() -> list[str]:
    """Say what is missing, and so why tests are deselected."""
    return missing(HERE)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the frameworks warn about among themselves is not ours to fail on."""
    choose(config, items, Path(__file__).parent, THEIRS, HERE)


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test leaves nothing in the context that pays, or is a run; and what it learns of a class is its own."""
    monkeypatch.setattr(admission, "_elsewhere", set())
    yield
    assert (paying(), innermost(), current_run(), dict(_by_text)) == (None, None, None, {})
