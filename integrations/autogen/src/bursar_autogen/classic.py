"""Budgets for the classic family: what is imported as `autogen` (autogen, ag2 < 1, pyautogen < 0.10).

The budget hangs on the agents, not on the context: these run their chats in threads of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from autogen import AssistantAgent, ConversableAgent, GroupChat, GroupChatManager, UserProxyAgent
from autogen.oai.client import PlaceHolderClient

from bursar import BudgetExceeded, BursarError
from bursar.integration import Limits, OpenCall, Payee, Payers, Result, read_answer

from ._spender import BudgetLike, Money, Request, Spender

__all__ = [
    "BudgetedAssistantAgent",
    "BudgetedGroupChatManager",
    "BudgetedUserProxyAgent",
    "budgeted",
]

A = TypeVar("A", bound=ConversableAgent)

# The SDK that sends the requests of a client, by the name of its class.
_SDKS = {"OpenAIClient": "openai", "AnthropicClient": "anthropic"}
_CAPS = ("max_completion_tokens", "max_tokens")


class _Client:
    """One client of an `OpenAIWrapper`: a call that may not fit is not sent.

    A hit of autogen's cache does not come here, and is free. A config that is tried after another one failed
    does, and is a call of its own.
    """

    def __init__(self, client: Any, spender: Spender, agent: Any) -> None:
        self.client = client
        self.spender = spender
        self._agent = agent

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def create(self, params: dict[str, Any]) -> Any:
        """Ask the model. Raises: `BursarError`: nothing was sent."""
        call = self.spender.admit(self._agent._budget_name, lambda: self._request(params))
        try:
            answer = self.client.create(params)
        except BaseException as error:
            self.spender.fail(call, error)
            raise
        read = read_answer(answer)
        self.spender.settle(call, Result(read.usage, read.model, read.tier, finished=True))
        return answer

    def _request(self, params: Mapping[str, Any]) -> Request:
        kind = type(self.client).__name__
        sdk = _SDKS.get(kind)
        caps = [cap for name in _CAPS if isinstance(cap := params.get(name), int)]
        asked = {
            "model": params.get("model") or kind,
            "provider": sdk,
            "messages": [*params.get("messages", ()), *map(str, filter(None, [params.get("prompt")]))],
            "tools": [*(params.get("tools") or ()), *(params.get("functions") or ())] or None,
            "max_output_tokens": max(caps, default=None),
            "n": params.get("n") or 1,
        }
        return Request(asked, sdk, kind)


def _guard(wrapper: Any, spender: Spender, agent: Any) -> None:
    """Put a budget before all clients of an `OpenAIWrapper`, also those that are registered later."""
    create = wrapper.create

    def guarded(**config: Any) -> Any:
        wrapper._clients[:] = [
            client
            if isinstance(client, PlaceHolderClient)
            or (isinstance(client, _Client) and client.spender is spender)
            else _Client(client, spender, agent)
            for client in wrapper._clients
        ]
        return create(**config)

    wrapper.create = guarded


class _OnBudget(Payee):
    """What makes an agent spend from a budget: its models, its functions, and what it shows."""

    places = "agents"
    spender: Spender
    _budget_name: str
    _function_map: dict[str, Any]

    @property
    def payers(self) -> Payers:  # type: ignore[override]  # an attribute of `Payee`
        """Who pays."""
        return self.spender.payers

    @property
    def client(self) -> Any:
        """The wrapper of models; made anew with each tool that is registered."""
        return self.__dict__.get("client")

    @client.setter
    def client(self, wrapper: Any) -> None:
        if wrapper is not None:
            _guard(wrapper, self.spender, self)
        self.__dict__["client"] = wrapper

    def execute_function(self, func_call: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Run a function, if it is affordable; else the model is told."""
        base = _beyond(self)
        admitted = self._admit_function(func_call)
        if not isinstance(admitted, OpenCall):
            return admitted or base.execute_function(func_call, *args, **kwargs)
        try:
            return base.execute_function(func_call, *args, **kwargs)
        finally:
            self.spender.pay_tool(admitted)

    async def a_execute_function(self, func_call: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """`execute_function` in an async chat."""
        base = _beyond(self)
        admitted = self._admit_function(func_call)
        if not isinstance(admitted, OpenCall):
            return admitted or await base.a_execute_function(func_call, *args, **kwargs)
        try:
            return await base.a_execute_function(func_call, *args, **kwargs)
        finally:
            self.spender.pay_tool(admitted)

    def _admit_function(self, func_call: Mapping[str, Any]) -> OpenCall | tuple[bool, dict[str, Any]] | None:
        """What pays for it; or what the model is told; None: there is no such function. Never raises."""
        name = func_call.get("name", "")
        if name not in self._function_map:
            return None
        try:
            return self.spender.admit_tool(self._budget_name, name, func_call.get("arguments"))
        except Exception as error:
            if isinstance(error, BudgetExceeded):
                self.spender.handled(error)
            text = f"Error: the budget does not allow this function: {error}"
            return False, {"name": name, "role": "function", "content": text}


def _beyond(agent: Any) -> Any:
    """What `super()` is in the class that has the methods of `_OnBudget`."""
    owner = next(kind for kind in type(agent).__mro__ if "_admit_function" in vars(kind))
    return super(owner, agent)


def _paying(kind: type) -> type:
    """A class whose members are those of `_OnBudget`; an object takes no class of two bases afterwards."""
    members = {**vars(Payee), **vars(_OnBudget)}
    for name in ("__dict__", "__weakref__"):
        members.pop(name, None)
    return type(kind.__name__, (kind,), members)


class BudgetedAssistantAgent(_OnBudget, AssistantAgent):  # type: ignore[misc]  # autogen has no types here
    """An `AssistantAgent` that sends no call which may not fit into its budget.

    ``budget="$5"`` on two agents is two budgets: $10 in all. To share $5, give both the same
    ``bursar.Budget("$5").session()``.

    Args:
        name: of the agent.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        llm_config: as autogen wants it.
        tool_prices: USD for a run, by function; beside those of the budget.
        kwargs: those of `AssistantAgent`.

    Raises:
        TypeError: there is no `llm_config`.
        InvalidAmount: a limit or a price is not one.
    """

    def __init__(
        self,
        name: str,
        *,
        budget: BudgetLike | Spender,
        llm_config: Any = None,
        tool_prices: Mapping[str, Money] | None = None,
        **kwargs: Any,
    ) -> None:
        if llm_config is None:
            raise TypeError(
                "BudgetedAssistantAgent needs a model: llm_config= with `import autogen`;"
                " model_client= with AgentChat, for bursar_autogen.agentchat.BudgetedAssistantAgent"
            )
        _prepare(self, name, budget, tool_prices)
        super().__init__(name, llm_config=llm_config, **kwargs)


class BudgetedUserProxyAgent(_OnBudget, UserProxyAgent):  # type: ignore[misc]  # autogen has no types here
    """A `UserProxyAgent` on a budget: it runs the functions of a chat, which may have prices.

    Args:
        name: of the agent.
        budget: a limit (``"$5"``), a `bursar.Budget`, or the `bursar.Session` of the chat.
        tool_prices: USD for a run, by function; beside those of the budget.
        kwargs: those of `UserProxyAgent`.
    """

    def __init__(
        self,
        name: str,
        *,
        budget: BudgetLike | Spender,
        tool_prices: Mapping[str, Money] | None = None,
        **kwargs: Any,
    ) -> None:
        _prepare(self, name, budget, tool_prices)
        super().__init__(name, **kwargs)


class BudgetedGroupChatManager(_OnBudget, GroupChatManager):  # type: ignore[misc]  # as above
    """A `GroupChatManager` that pays for the selection of speakers; for its agents, too, see `budgeted`.

    Args:
        groupchat: whose speakers it selects.
        budget: a limit (``"$5"``), a `bursar.Budget`, or the `bursar.Session` of the chat.
        name: of the manager.
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
        **kwargs: Any,
    ) -> None:
        _prepare(self, name, budget)
        _pay_selection(groupchat, self)
        super().__init__(groupchat, name=name, **kwargs)


def budgeted(
    agent: A,
    budget: BudgetLike,
    *,
    agents: Limits | None = None,
    tool_prices: Mapping[str, Money] | None = None,
) -> A:
    """Let an agent spend from a budget; the manager of a group chat with all its agents and the selection.

    Args:
        agent: is changed in place. A ready-made agent of any class.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        agents: limits by the name of an agent: ``{"writer": "$1"}``; the report has the cost of each.
        tool_prices: USD for a run, by function; beside those of the budget.

    Returns:
        The agent, which has ``.session``, ``.spent``, ``.report()`` and so on now.

    Raises:
        InvalidAmount: a limit or a price is not one.
        BursarError: this autogen asks a model for the speaker where nobody can pay for it.
    """
    spender = Spender(budget, agents=agents, tool_prices=tool_prices)
    chat = getattr(agent, "_groupchat", None)
    for one in (agent, *(chat.agents if chat is not None else ())):
        if not hasattr(one, "spender"):
            wrapper = one.__dict__.pop("client", None)
            one.__class__ = _paying(type(one))
            _prepare(one, one.name, spender)
            one.client = wrapper
    copies = [reply[key] for reply in agent._reply_func_list for key in ("config", "init_config")]
    for copy in (chat, *copies):  # the manager's replies have copies of the chat
        if isinstance(copy, GroupChat):
            _pay_selection(copy, agent)
    return agent


def _prepare(
    agent: Any,
    name: str,
    budget: BudgetLike | Spender,
    tool_prices: Mapping[str, Money] | None = None,
) -> None:
    """Before the agent is made: it makes its clients by itself."""
    agent._budget_name = name
    agent.spender = budget if isinstance(budget, Spender) else Spender(budget, tool_prices=tool_prices)


def _pay_selection(chat: Any, manager: Any) -> None:
    """Let the manager pay for the agent that a group chat makes for each selection."""
    make = getattr(chat, "_create_internal_agents", None)
    if make is None:
        if chat.speaker_selection_method == "auto":
            raise BursarError(
                "this autogen makes the agent that selects speakers where no budget can be put before it:"
                " use a newer one, or speaker_selection_method='round_robin'"
            )
        return

    def paid(*args: Any, **kwargs: Any) -> Any:
        checking, selecting = make(*args, **kwargs)
        _guard(selecting.client, manager.spender, manager)
        return checking, selecting

    chat._create_internal_agents = paid
