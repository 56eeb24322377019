"""Agents of AgentChat with a budget of their own, or a shared one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.agents._assistant_agent import AssistantAgentConfig
from autogen_agentchat.agents._code_executor_agent import CodeExecutorAgentConfig
from autogen_core.code_executor import CodeExecutor
from autogen_core.models import ChatCompletionClient
from pydantic import BaseModel

from bursar import get_session
from bursar.integration import Payee, Payers

from .._spender import BudgetLike, Money, OnBudget, Spender
from ._components import BudgetConfig, dumped, loaded
from ._ending import ToolDenial
from ._tree import spend_from


class _OnBudget(Payee):
    """What an agent shows of its budget."""

    places = "agents"
    spender: Spender

    @property
    def payers(self) -> Payers:  # type: ignore[override]  # an attribute of `Payee`
        """Who pays."""
        return self.spender.payers


class BudgetedAssistantConfig(AssistantAgentConfig):
    """How a `BudgetedAssistantAgent` is written down."""

    budget: BudgetConfig
    on_tool_denied: ToolDenial = "tell"


class BudgetedAssistantAgent(AssistantAgent, _OnBudget):
    """An `AssistantAgent` that sends no call which may not fit into its budget.

    ``budget="$5"`` on two agents is two budgets: $10 in all. To share $5, give both the same session::

        session = bursar.Budget("$5").session()
        writer = BudgetedAssistantAgent("writer", client, budget=session)
        critic = BudgetedAssistantAgent("critic", client, budget=session)

    Args:
        name: of the agent.
        model_client: any client of AutoGen's.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        on_budget: see `budgeted`. In a team of your own, ``"stop"`` needs a `BudgetTermination`.
        on_tool_denied: a refused tool is not run: ``"tell"`` lets the model know; ``"raise"`` ends the turn.
        tool_prices: USD for a run, by tool; beside those of the budget.
        kwargs: those of `AssistantAgent`.

    Raises:
        TypeError: there is no `model_client`.
        InvalidAmount: a limit or a price is not one.
        ValueError: a setting has a value that it cannot have.
    """

    component_config_schema = BudgetedAssistantConfig  # type: ignore[assignment]
    component_provider_override = "bursar_autogen.agentchat.BudgetedAssistantAgent"

    def __init__(
        self,
        name: str,
        model_client: ChatCompletionClient | None = None,
        *,
        budget: BudgetLike | Spender,
        on_budget: OnBudget = "raise",
        on_tool_denied: ToolDenial = "tell",
        tool_prices: Mapping[str, Money] | None = None,
        **kwargs: Any,
    ) -> None:
        if model_client is None:
            raise TypeError(
                "BudgetedAssistantAgent needs a model: model_client= with AgentChat (autogen-agentchat);"
                " llm_config= with `import autogen`, for bursar_autogen.classic.BudgetedAssistantAgent"
            )
        if on_tool_denied not in {"tell", "raise"}:
            raise ValueError(f"on_tool_denied={on_tool_denied!r:.60} is not 'tell' or 'raise'")
        super().__init__(name, model_client, **kwargs)
        self.spender = _spender(budget, tool_prices, on_budget)
        self._on_tool_denied: ToolDenial = on_tool_denied
        spend_from(self, self.spender, on_tool_denied)

    def _to_config(self) -> BudgetedAssistantConfig:
        return BudgetedAssistantConfig(
            **dict(super()._to_config()), budget=dumped(self.spender), on_tool_denied=self._on_tool_denied
        )

    @classmethod
    def _from_config(cls, config: Any) -> Any:
        spender = loaded(config.budget, get_session())
        make = partial(cls, budget=spender, on_tool_denied=config.on_tool_denied)
        build: Any = AssistantAgent._from_config
        return build.__func__(make, config)  # it calls what it is given with the arguments of an agent


class BudgetedUserProxyConfig(BaseModel):
    """How a `BudgetedUserProxyAgent` is written down."""

    name: str
    description: str
    budget: BudgetConfig


class BudgetedUserProxyAgent(UserProxyAgent, _OnBudget):
    """A `UserProxyAgent` that shows the budget of its team; it asks people, not models, and spends nothing.

    Args:
        name: of the agent.
        budget: the `bursar.Session` of the team, or a limit or a Budget.
        kwargs: those of `UserProxyAgent`.
    """

    component_config_schema = BudgetedUserProxyConfig  # type: ignore[assignment]
    component_provider_override = "bursar_autogen.agentchat.BudgetedUserProxyAgent"

    def __init__(self, name: str, *, budget: BudgetLike | Spender, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.spender = _spender(budget)

    def _to_config(self) -> Any:
        return BudgetedUserProxyConfig(
            name=self.name, description=self.description, budget=dumped(self.spender)
        )

    @classmethod
    def _from_config(cls, config: Any) -> Any:
        spender = loaded(config.budget, get_session())
        return cls(config.name, budget=spender, description=config.description)


class BudgetedCodeExecutorConfig(CodeExecutorAgentConfig):
    """How a `BudgetedCodeExecutorAgent` is written down."""

    budget: BudgetConfig


class BudgetedCodeExecutorAgent(CodeExecutorAgent, _OnBudget):
    """A `CodeExecutorAgent` on a budget: its model, and its code as runs of the tool ``"code_execution"``.

    Args:
        name: of the agent.
        code_executor: runs the code.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        on_budget: see `budgeted`.
        tool_prices: ``{"code_execution": "$0.01"}``, for instance.
        kwargs: those of `CodeExecutorAgent`.

    Raises:
        InvalidAmount: a limit or a price is not one.
        ValueError: a setting has a value that it cannot have.
    """

    component_config_schema = BudgetedCodeExecutorConfig  # type: ignore[assignment]
    component_provider_override = "bursar_autogen.agentchat.BudgetedCodeExecutorAgent"

    def __init__(
        self,
        name: str,
        code_executor: CodeExecutor,
        *,
        budget: BudgetLike | Spender,
        on_budget: OnBudget = "raise",
        tool_prices: Mapping[str, Money] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, code_executor, **kwargs)
        self.spender = _spender(budget, tool_prices, on_budget)
        spend_from(self, self.spender)

    def _to_config(self) -> BudgetedCodeExecutorConfig:
        return BudgetedCodeExecutorConfig(**dict(super()._to_config()), budget=dumped(self.spender))

    @classmethod
    def _from_config(cls, config: Any) -> Any:
        make = partial(cls, budget=loaded(config.budget, get_session()))
        build: Any = CodeExecutorAgent._from_config
        return build.__func__(make, config)  # it calls what it is given with the arguments of an agent


def _spender(
    budget: BudgetLike | Spender,
    tool_prices: Mapping[str, Money] | None = None,
    on_budget: OnBudget = "raise",
) -> Spender:
    if isinstance(budget, Spender):
        return budget
    return Spender(budget, tool_prices=tool_prices, on_budget=on_budget)
