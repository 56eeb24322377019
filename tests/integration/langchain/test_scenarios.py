"""The scenarios that every adapter has to pass, played by an agent of LangChain's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import openai
import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool as made_tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from bursar import Budget, Session
from bursar.testing import ScriptedProvider
from bursar_langchain import BudgetCallback

from .. import kit


class Agent:
    """An agent with one tool, and a handler that pays for it."""

    def __init__(
        self, provider: ScriptedProvider, handler: BudgetCallback, tool: Callable[[str], str]
    ) -> None:
        self._provider = provider
        self._tool = made_tool(kit.TOOL, description="Tell the weather.")(tool)
        self._handler = handler

    @property
    def session(self) -> Session:
        return self._handler.session

    def run(self, prompt: str) -> object:
        return create_agent(self._model, [self._tool]).invoke(*self._given(prompt))

    async def arun(self, prompt: str) -> object:
        model = self._model
        model.callbacks = [self._handler]  # below Python 3.11 a config does not reach an async node
        return await create_agent(model, [self._tool]).ainvoke(*self._given(prompt))

    def stream(self, prompt: str) -> Iterator[object]:
        return self._model.stream(prompt, {"callbacks": [self._handler]})

    @property
    def _model(self) -> ChatOpenAI:
        return ChatOpenAI(
            base_url=self._provider.openai_url,
            api_key=SecretStr("none"),
            http_async_client=openai.DefaultAsyncHttpxClient(),  # of one event loop
            model="gpt-4o",
            max_tokens=50,
            max_retries=0,
            stream_usage=True,
        )

    def _given(self, prompt: str) -> tuple[Any, Any]:
        return {"messages": [("user", prompt)]}, {"callbacks": [self._handler]}


class Stage:
    """LangChain, as far as the scenarios need it."""

    retries = False

    def agent(
        self,
        provider: ScriptedProvider,
        budget: Budget,
        tool: Callable[[str], str],
        tool_prices: Mapping[str, str],
    ) -> Agent:
        return Agent(provider, BudgetCallback(budget, tool_prices=tool_prices), tool)


@pytest.mark.parametrize("scenario", kit.scenarios(), ids=kit.name_of)
def test_scenario(scenario: kit.Scenario) -> None:
    """As it says."""
    kit.play(scenario, Stage)
