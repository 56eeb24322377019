"""Budgets for AG2 1.x: `import ag2`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ag2 import Agent
from ag2.config import LLMClient, ModelConfig
from ag2.events import ModelMessage, ModelResponse, ToolErrorEvent
from ag2.middleware import BaseMiddleware, Middleware

from bursar import BudgetExceeded, Usage
from bursar.integration import Limits, Payee, Payers, Result

from ._spender import BudgetLike, Money, OnBudget, OrAsk, Request, Spender, spender_of

__all__ = ["BudgetedModelConfig", "budgeted"]

A = TypeVar("A", bound=Agent)

_SDKS = ("anthropic", "openai")
_CAPS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class BudgetedModelConfig(Payee):
    """A model config whose clients send no call that may not fit into the budget.

    Works wherever AG2 takes a config, also where no middleware is asked: compaction, aggregation.

    Args:
        config: of a provider whose SDK is covered: OpenAI's, or Anthropic's.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        name: of the agent that asks; the report has its cost.
        on_budget: ``"raise"``, or a function of the refusal, sync or async, that returns True to try
            once more.

    Raises:
        ValueError: the SDK of the provider is not covered.
        InvalidAmount: the limit is not one.
    """

    places = "agents"

    def __init__(
        self,
        config: ModelConfig,
        budget: BudgetLike | Spender,
        *,
        name: str | None = None,
        on_budget: OrAsk = "raise",
    ) -> None:
        self.sdk = str(getattr(config.provider, "value", config.provider))
        if self.sdk not in _SDKS:
            raise ValueError(
                f"no SDK of the provider {self.sdk!r} is covered; a budget knows {' and '.join(_SDKS)}"
            )
        self.config = config
        self.spender = spender_of(budget, on_budget)
        self.name = name

    @property
    def payers(self) -> Payers:  # type: ignore[override]  # an attribute of `Payee`
        """Who pays."""
        return self.spender.payers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.config, name)

    def copy(self, *args: Any, **overrides: Any) -> BudgetedModelConfig:
        """Another config of the same budget."""
        copied: Any = self.config.copy(*args, **overrides)
        return BudgetedModelConfig(copied, self.spender, name=self.name)

    def create(self) -> LLMClient:
        """A client on this budget."""
        return _Client(self.config.create(), self)


class _Client(LLMClient):
    """A client whose calls are paid for."""

    def __init__(self, client: LLMClient, config: BudgetedModelConfig) -> None:
        self.client = client
        self.budgeted = config

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    async def __call__(self, messages: Sequence[Any], context: Any, **options: Any) -> ModelResponse:
        spender = self.budgeted.spender
        try:
            return await self._ask(messages, context, options)
        except BudgetExceeded as refusal:
            if not await spender.asks_again(refusal):
                raise
        return await self._ask(messages, context, options)

    async def _ask(self, messages: Sequence[Any], context: Any, options: dict[str, Any]) -> ModelResponse:
        budgeted = self.budgeted
        call = budgeted.spender.admit(budgeted.name, self._request)
        try:
            answer = await self.client(messages, context, **options)
        except BaseException as error:
            budgeted.spender.fail(call, error)
            raise
        budgeted.spender.settle(call, _read(answer, budgeted.sdk))
        return answer

    def _request(self) -> Request:
        """The SDK sees what is sent; where it does not, the whole context window is held."""
        config = self.budgeted.config
        caps = [cap for name in _CAPS if isinstance(cap := getattr(config, name, None), int)]
        choices = getattr(config, "n", None)
        asked = {
            "model": config.model,
            "provider": self.budgeted.sdk,
            "max_output_tokens": max(caps, default=None),
            "n": choices if isinstance(choices, int) else 1,
        }
        kind = type(self.client)
        return Request(asked, self.budgeted.sdk, f"{kind.__module__}.{kind.__qualname__}")


def _read(answer: ModelResponse, sdk: str) -> Result:
    """Read an answer that the covered SDK has not booked; Anthropic's usage is not told in one way."""
    told = answer.usage
    if sdk == "anthropic" or told.prompt_tokens is None or told.completion_tokens is None:
        return Result(model=answer.model, finished=True)
    cached = int(told.cache_read_input_tokens or 0)
    usage = Usage(int(told.prompt_tokens), int(told.completion_tokens), cached_input_tokens=cached)
    return Result(usage, answer.model, finished=True)


class _Middleware(BaseMiddleware):
    """Lets a tool run if it is affordable, else the model is told; and ends a refused turn well."""

    def __init__(self, event: Any, context: Any, *, spender: Spender, name: str) -> None:
        super().__init__(event, context)
        self._spender = spender
        self._name = name

    async def on_turn(self, call_next: Any, event: Any, context: Any) -> ModelResponse:
        """Called around a turn. Raises: `BudgetExceeded`: nobody is to end well."""
        try:
            return await call_next(event, context)
        except BudgetExceeded as refusal:
            if not self._spender.stops:
                raise
            self._spender.handled(refusal)
            return ModelResponse(ModelMessage(f"The budget is used up: {refusal}"))

    async def on_tool_execution(self, call_next: Any, event: Any, context: Any) -> Any:
        """Called around each run of a tool. Raises nothing of ours."""
        try:
            call = self._spender.admit_tool(self._name, event.name, event.arguments)
        except Exception as error:
            if isinstance(error, BudgetExceeded):
                self._spender.handled(error)
            return ToolErrorEvent.from_call(event, error)
        try:
            result = await call_next(event, context)
        except BaseException as error:
            self._spender.pay_tool(call, error)
            raise
        self._spender.pay_tool(call)
        return result


def budgeted(
    agent: A,
    budget: BudgetLike,
    *,
    agents: Limits | None = None,
    tool_prices: Mapping[str, Money] | None = None,
    on_budget: OnBudget = "raise",
    others: Iterable[Agent] = (),
) -> A:
    """Let an agent spend from a budget: its model, and its tools. It is changed in place.

    A config that is given to ``ask(config=...)``, and one of a compaction or of another agent, is one of its
    own: wrap it in a `BudgetedModelConfig` of the same session.

    Args:
        agent: has a config of OpenAI's or Anthropic's.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        agents: limits by the name of an agent.
        tool_prices: USD for a run, by tool; beside those of the budget.
        on_budget: as `BudgetedModelConfig` takes it; or ``"stop"``: the agent says so in its reply, and
            ``reply.ask(...)`` goes on after a top-up.
        others: agents that spend from the same budget.

    Returns:
        The agent; its ``config`` has ``.session``, ``.spent``, ``.report()`` and so on.

    Raises:
        ValueError: an agent has no config, or its provider's SDK is not covered.
        InvalidAmount: a limit or a price is not one.
    """
    spender = Spender(budget, agents=agents, tool_prices=tool_prices, on_budget=on_budget)
    for one in (agent, *others):
        if one.config is None:
            raise ValueError(f"the agent {one.name!r} has no config= to put a budget before")
        one.config = BudgetedModelConfig(one.config, spender, name=one.name)
        one.add_middleware(Middleware(_Middleware, spender=spender, name=one.name))
    return agent
