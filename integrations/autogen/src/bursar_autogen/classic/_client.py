"""The clients of classic agents: every request of theirs is paid for, and those that select speakers, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autogen.oai.client import PlaceHolderClient

from bursar import BudgetExceeded, BursarError
from bursar.integration import Result, read_answer

from .._spender import Request, Spender

# The SDK that sends the requests of a client, by the name of its class.
_SDKS = {"OpenAIClient": "openai", "AnthropicClient": "anthropic"}
_CAPS = ("max_completion_tokens", "max_tokens")


class PaidClient:
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
        try:
            return self._create(params)
        except BudgetExceeded as refusal:
            if not self.spender.asks(refusal):
                raise
        return self._create(params)

    def _create(self, params: dict[str, Any]) -> Any:
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


def guard(wrapper: Any, spender: Spender, agent: Any) -> None:
    """Put a budget before all clients of an `OpenAIWrapper`, also those that are registered later."""
    create = wrapper.create

    def guarded(**config: Any) -> Any:
        wrapper._clients[:] = [
            client
            if isinstance(client, PlaceHolderClient)
            or (isinstance(client, PaidClient) and client.spender is spender)
            else PaidClient(client, spender, agent)
            for client in wrapper._clients
        ]
        return create(**config)

    wrapper.create = guarded


def pay_selection(chat: Any, manager: Any) -> None:
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
        guard(selecting.client, manager.spender, manager)
        return checking, selecting

    chat._create_internal_agents = paid
