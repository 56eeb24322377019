"""Agents that end well: a refusal becomes their last message, and the team can go on after a top-up."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, TypeAlias

from autogen_agentchat.base import ChatAgent, Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    StopMessage,
    ToolCallExecutionEvent,
)
from autogen_core import CancellationToken

from bursar import BudgetExceeded

from .._spender import Spender
from ._closing import final_answer
from ._tools import BudgetedWorkbench

ToolDenial: TypeAlias = Literal["tell", "raise"]

MARK = {"bursar": "stopped"}  # the metadata of a message that says so


def stopped(message: object) -> bool:
    """True for the message of an agent that was stopped by its budget."""
    return isinstance(message, StopMessage) and message.metadata.get("bursar") == MARK["bursar"]


def end_well(agent: ChatAgent, spender: Spender, on_tool_denied: ToolDenial) -> None:
    """Let an agent end its turn with a message where its budget refuses a call, if `spender` says so.

    Args:
        agent: is changed in place.
        spender: who pays.
        on_tool_denied: ``"raise"``: a refused tool ends the turn, too.
    """
    turn = agent.on_messages_stream
    is_over = False

    async def on_messages_stream(
        messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        nonlocal is_over
        told = stopped(messages[-1]) if messages else is_over
        is_over = False
        stream = turn(messages, cancellation_token)
        try:
            async for event in stream:
                yield event
                if on_tool_denied == "raise" and isinstance(event, ToolCallExecutionEvent):
                    _raise_denied(agent)
        except BudgetExceeded as refusal:
            if not spender.stops or told:  # nobody heeds the message: the team would go round for ever
                raise
            is_over = True
            text = await _last_words(agent, spender, cancellation_token)
            spender.handled(refusal)
            content = f"The budget is used up: {refusal}" if text is None else text
            message = StopMessage(content=content, source=agent.name, metadata=dict(MARK))
            yield Response(chat_message=message)
        finally:
            await stream.aclose()

    setattr(agent, "on_messages_stream", on_messages_stream)  # noqa: B010 - mypy: a method


def _raise_denied(agent: Any) -> None:
    for bench in agent._workbench:
        if isinstance(bench, BudgetedWorkbench) and (denied := bench.take_denied()) is not None:
            raise denied


async def _last_words(agent: Any, spender: Spender, cancellation_token: CancellationToken) -> str | None:
    """The final answer of an agent, from what it knows."""
    if not hasattr(agent, "_model_context"):
        return None
    messages = [*agent._system_messages, *await agent._model_context.get_messages()]
    return await final_answer(spender.session, messages, agent._model_client, cancellation_token)
