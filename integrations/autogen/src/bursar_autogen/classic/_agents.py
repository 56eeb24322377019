"""Agents of the classic family with a budget of their own, or a shared one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from autogen import AssistantAgent, ConversableAgent, GroupChat, GroupChatManager, UserProxyAgent

from bursar.integration import Limits

from .._spender import BudgetLike, Money, OnBudget, Spender
from ._client import pay_selection
from ._paying import Paying, paying, prepare, spender_of_chat

A = TypeVar("A", bound=ConversableAgent)


class BudgetedAssistantAgent(Paying, AssistantAgent):  # type: ignore[misc]  # autogen has no types here
    """An `AssistantAgent` that sends no call which may not fit into its budget.

    ``budget="$5"`` on two agents is two budgets: $10 in all. To share $5, give both the same
    ``bursar.Budget("$5").session()``.

    Args:
        name: of the agent.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        llm_config: as autogen wants it.
        tool_prices: USD for a run, by function; beside those of the budget.
        on_budget: see `budgeted`.
        kwargs: those of `AssistantAgent`.

    Raises:
        TypeError: there is no `llm_config`, or `on_budget` is async.
        InvalidAmount: a limit or a price is not one.
        ValueError: a setting has a value that it cannot have.
    """

    def __init__(
        self,
        name: str,
        *,
        budget: BudgetLike | Spender,
        llm_config: Any = None,
        tool_prices: Mapping[str, Money] | None = None,
        on_budget: OnBudget = "raise",
        **kwargs: Any,
    ) -> None:
        if llm_config is None:
            raise TypeError(
                "BudgetedAssistantAgent needs a model: llm_config= with `import autogen`;"
                " model_client= with AgentChat, for bursar_autogen.agentchat.BudgetedAssistantAgent"
            )
        prepare(self, name, budget, tool_prices, on_budget)
        super().__init__(name, llm_config=llm_config, **kwargs)


class BudgetedUserProxyAgent(Paying, UserProxyAgent):  # type: ignore[misc]  # autogen has no types here
    """A `UserProxyAgent` on a budget: it runs the functions of a chat, which may have prices.

    Args:
        name: of the agent.
        budget: a limit (``"$5"``), a `bursar.Budget`, or the `bursar.Session` of the chat.
        tool_prices: USD for a run, by function; beside those of the budget.
        on_budget: see `budgeted`.
        kwargs: those of `UserProxyAgent`.
    """

    def __init__(
        self,
        name: str,
        *,
        budget: BudgetLike | Spender,
        tool_prices: Mapping[str, Money] | None = None,
        on_budget: OnBudget = "raise",
        **kwargs: Any,
    ) -> None:
        prepare(self, name, budget, tool_prices, on_budget)
        super().__init__(name, **kwargs)


class BudgetedGroupChatManager(Paying, GroupChatManager):  # type: ignore[misc]  # as above
    """A `GroupChatManager` that pays for the selection of speakers; for its agents, too, see `budgeted`.

    Args:
        groupchat: whose speakers it selects.
        budget: a limit (``"$5"``), a `bursar.Budget`, or the `bursar.Session` of the chat.
        name: of the manager.
        on_budget: see `budgeted`; it ends the chat where one of its agents is refused, too.
        kwargs: those of `GroupChatManager`.

    Raises:
        BursarError: this autogen asks a model for the speaker where nobody can pay for it.
    """

    def __init__(
        self,
        groupchat: GroupChat,
        *,
        budget: BudgetLike | Spender,
        name: str = "chat_manager",
        on_budget: OnBudget = "raise",
        **kwargs: Any,
    ) -> None:
        prepare(self, name, budget, on_budget=on_budget)
        pay_selection(groupchat, self)
        super().__init__(groupchat, name=name, **kwargs)


def budgeted(
    agent: A,
    budget: BudgetLike,
    *,
    agents: Limits | None = None,
    tool_prices: Mapping[str, Money] | None = None,
    on_budget: OnBudget = "raise",
) -> A:
    """Let an agent spend from a budget; the manager of a group chat with all its agents and the selection.

    Args:
        agent: is changed in place. A ready-made agent of any class.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        agents: limits by the name of an agent: ``{"writer": "$1"}``; the report has the cost of each.
        tool_prices: USD for a run, by function; beside those of the budget.
        on_budget: ``"raise"``: a refused call raises `bursar.BudgetExceeded`; ``"stop"``: the agent says so
            in the last message of the chat, which can go on after a top-up (``clear_history=False``); or a
            function of the refusal that returns True to try once more.

    Returns:
        The agent, which has ``.session``, ``.spent``, ``.report()`` and so on now.

    Raises:
        InvalidAmount: a limit or a price is not one.
        TypeError: `on_budget` is async.
        ValueError: a setting has a value that it cannot have.
        BursarError: this autogen asks a model for the speaker where nobody can pay for it.
    """
    spender = spender_of_chat(budget, tool_prices, on_budget, agents)
    chat = getattr(agent, "_groupchat", None)
    for one in (agent, *(chat.agents if chat is not None else ())):
        if not hasattr(one, "spender"):
            wrapper = one.__dict__.pop("client", None)
            one.__class__ = paying(type(one))
            prepare(one, one.name, spender)
            one.client = wrapper
    copies = [reply[key] for reply in agent._reply_func_list for key in ("config", "init_config")]
    for copy in (chat, *copies):  # the manager's replies have copies of the chat
        if isinstance(copy, GroupChat):
            pay_selection(copy, agent)
    return agent
