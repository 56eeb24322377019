"""What makes a classic agent spend from a budget."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from bursar import BudgetExceeded
from bursar.integration import Limits, OpenCall, Payee, Payers

from .._spender import BudgetLike, Money, OnBudget, Spender
from ._client import guard


class Paying(Payee):
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
            guard(wrapper, self.spender, self)
        self.__dict__["client"] = wrapper

    def generate_reply(self, messages: Any = None, sender: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Reply; with ``on_budget="stop"`` a refusal is the reply, and the last message of the chat."""
        try:
            return _beyond(self).generate_reply(messages, sender, *args, **kwargs)
        except BudgetExceeded as refusal:
            return self._last_message(refusal, sender)

    async def a_generate_reply(
        self, messages: Any = None, sender: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """`generate_reply` in an async chat."""
        try:
            return await _beyond(self).a_generate_reply(messages, sender, *args, **kwargs)
        except BudgetExceeded as refusal:
            return self._last_message(refusal, sender)

    def _last_message(self, refusal: BudgetExceeded, sender: Any) -> str:
        """What ends the chat with `sender`. Raises: `BudgetExceeded`: nobody is to end well."""
        if not self.spender.stops:
            raise refusal
        self.spender.handled(refusal)
        text = f"The budget is used up: {refusal}"
        if sender is not None:
            _end_at(sender, text)
        return text

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


def _end_at(agent: Any, text: str) -> None:
    """Let a message be the last one of a chat, beside those that its reader takes for the last."""
    ends = agent._is_termination_msg
    if not isinstance(ends, _Ends):
        ends = agent._is_termination_msg = _Ends(ends)
    ends.texts.add(text)


class _Ends:
    """Whether a message ends a chat: one of these texts does, and what did before."""

    def __init__(self, before: Callable[[dict[str, Any]], bool]) -> None:
        self._before = before
        self.texts: set[str] = set()

    def __call__(self, message: dict[str, Any]) -> bool:
        return message.get("content") in self.texts or self._before(message)


def _beyond(agent: Any) -> Any:
    """What `super()` is in the class that has the methods of `Paying`."""
    owner = next(kind for kind in type(agent).__mro__ if "_admit_function" in vars(kind))
    return super(owner, agent)


def paying(kind: type) -> type:
    """A class whose members are those of `Paying`; an object takes no class of two bases afterwards."""
    members = {**vars(Payee), **vars(Paying)}
    for name in ("__dict__", "__weakref__"):
        members.pop(name, None)
    return type(kind.__name__, (kind,), members)


def prepare(
    agent: Any,
    name: str,
    budget: BudgetLike | Spender,
    tool_prices: Mapping[str, Money] | None = None,
    on_budget: OnBudget = "raise",
) -> None:
    """Before the agent is made: it makes its clients by itself."""
    agent._budget_name = name
    agent.spender = budget if isinstance(budget, Spender) else spender_of_chat(budget, tool_prices, on_budget)


def spender_of_chat(
    budget: BudgetLike,
    tool_prices: Mapping[str, Money] | None,
    on_budget: OnBudget,
    agents: Limits | None = None,
) -> Spender:
    """Who pays for classic agents.

    Raises:
        TypeError: `on_budget` is async: these chats ask where they cannot wait.
    """
    if inspect.iscoroutinefunction(on_budget):
        raise TypeError("on_budget= takes no async function: a classic chat asks where it cannot wait")
    return Spender(budget, agents=agents, tool_prices=tool_prices, on_budget=on_budget)
