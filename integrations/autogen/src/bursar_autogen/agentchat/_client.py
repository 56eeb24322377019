"""The one place that every model call of AgentChat passes: the client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from autogen_core import Component, ComponentModel
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel
from typing_extensions import Self

from bursar import BudgetExceeded, get_session
from bursar.integration import OpenCall, Payee, Payers

from .._spender import BudgetLike, OrAsk, Request, Spender, making, spender_of
from ._closing import remember
from ._components import BudgetConfig, dumped, loaded
from ._request import asked, read_client, read_result


class BudgetedClientConfig(BaseModel):
    """How a `BudgetedChatCompletionClient` is written down."""

    client: ComponentModel
    budget: BudgetConfig
    name: str | None = None
    model: str | None = None


class BudgetedChatCompletionClient(ChatCompletionClient, Component[BudgetedClientConfig], Payee):
    """A model client that sends no call which may not fit into the budget.

    Works wherever AutoGen takes a client: in agents, in the selector of a team, below a cache or above it.
    Clients with the same `bursar.Session` spend from one budget; each text (``"$5"``) is one of its own.

    Args:
        client: any client of AutoGen's.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        name: of the agent that asks; the report has its cost.
        model: the model that is priced, where the client does not say.
        on_budget: ``"raise"``, or a function of the refusal, sync or async, that returns True to
            try once more, for instance after it has raised the limit.

    Raises:
        InvalidAmount: the limit is not one.
        ValueError: `on_budget` is something else.
    """

    component_type = "model"
    component_config_schema = BudgetedClientConfig
    component_provider_override = "bursar_autogen.agentchat.BudgetedChatCompletionClient"
    places = "agents"

    def __init__(
        self,
        client: ChatCompletionClient,
        budget: BudgetLike | Spender,
        *,
        name: str | None = None,
        model: str | None = None,
        on_budget: OrAsk = "raise",
    ) -> None:
        self.client = client
        self.spender = spender_of(budget, on_budget)
        self._name = name
        self._model = model

    @property
    def payers(self) -> Payers:  # type: ignore[override]  # an attribute of `Payee`
        """Who pays."""
        return self.spender.payers

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        extra_create_args: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> CreateResult:
        """Ask the model. Raises: `BursarError`: nothing was sent."""
        given = {"tools": tools, "extra_create_args": extra_create_args or {}, **options}
        try:
            return await self._create(messages, given)
        except BudgetExceeded as refusal:
            if not await self.spender.asks_again(refusal):
                raise
        return await self._create(messages, given)

    async def _create(self, messages: Sequence[LLMMessage], given: dict[str, Any]) -> CreateResult:
        call = self._admit(messages, given)
        try:
            with making(call):
                result = await self.client.create(messages, **given)
        except BaseException as error:
            self.spender.fail(call, error)
            raise
        self.spender.settle(call, read_result(result, read_client(self.client)))
        return result

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        extra_create_args: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Ask the model for a stream. Raises: `BursarError`: nothing was sent."""
        given = {"tools": tools, "extra_create_args": extra_create_args or {}, **options}
        begun = False
        try:
            async for chunk in self._stream(messages, given):
                begun = True
                yield chunk
        except BudgetExceeded as refusal:
            if begun or not await self.spender.asks_again(refusal):
                raise
        else:
            return
        async for chunk in self._stream(messages, given):
            yield chunk

    async def _stream(
        self, messages: Sequence[LLMMessage], given: dict[str, Any]
    ) -> AsyncGenerator[str | CreateResult, None]:
        call = self._admit(messages, given)
        result = None
        stream = self.client.create_stream(messages, **given)
        try:
            while True:
                with making(call):
                    try:
                        chunk = await anext(stream)
                    except StopAsyncIteration:
                        break
                self.spender.uncover(call)
                if isinstance(chunk, CreateResult):
                    result = chunk
                yield chunk
        except BaseException as error:
            self.spender.fail(call, error)
            raise
        finally:
            await stream.aclose()
        if result is None:
            self.spender.fail(call, EOFError("the stream ended without a result"))
        else:
            self.spender.settle(call, read_result(result, read_client(self.client)))

    def _admit(self, messages: Sequence[LLMMessage], given: Mapping[str, Any]) -> OpenCall | None:
        """Let the call be made. Raises: `BursarError`: it must not be."""
        remember(self.session, self)
        return self.spender.admit(self._name, lambda: self._request(messages, given))

    def _request(self, messages: Sequence[LLMMessage], given: Mapping[str, Any]) -> Request:
        client = read_client(self.client, self._model)
        extra, wanted = given["extra_create_args"], given.get("json_output")
        return Request(asked(client, messages, given["tools"], extra, wanted), client.sdk, client.kind)

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()

    def actual_usage(self) -> RequestUsage:
        """As the client counts it."""
        return self.client.actual_usage()

    def total_usage(self) -> RequestUsage:
        """As the client counts it."""
        return self.client.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """As the client counts them."""
        return self.client.count_tokens(messages, tools=tools)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()
    ) -> int:
        """As the client counts them."""
        return self.client.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        """Of the model, as AutoGen once told them."""
        return self.client.capabilities

    @property
    def model_info(self) -> ModelInfo:
        """Of the model."""
        return self.client.model_info

    def _to_config(self) -> BudgetedClientConfig:
        return BudgetedClientConfig(
            client=self.client.dump_component(),
            budget=dumped(self.spender),
            name=self._name,
            model=self._model,
        )

    @classmethod
    def _from_config(cls, config: BudgetedClientConfig) -> Self:
        client = ChatCompletionClient.load_component(config.client)
        return cls(client, loaded(config.budget, get_session()), name=config.name, model=config.model)
