"""Tools that were refused, as the messages of an agent remember them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from bursar import BudgetExceeded

_BY, _WHY = "bursar_denied_by", "bursar_refusal"  # in the artifact of a message, which no model is sent


def denial(call: dict[str, Any], refusal: BudgetExceeded, by: str) -> ToolMessage:
    """What the model is told of a tool that was not run.

    Args:
        call: the model's call of the tool.
        refusal: why it was not run.
        by: the name of the middleware that says so.
    """
    return ToolMessage(
        f"The budget does not allow this tool: {refusal}",
        name=call["name"],
        tool_call_id=call["id"],
        status="error",
        artifact={_BY: by, _WHY: str(refusal)},
    )


def denials(messages: Sequence[BaseMessage], by: str) -> list[str]:
    """Why tools were refused in the last rounds of tools, newest first, back to one without a refusal."""
    found, why = [], None
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            artifact = message.artifact
            if isinstance(artifact, dict) and artifact.get(_BY) == by:
                why = str(artifact.get(_WHY))
        elif isinstance(message, AIMessage) and message.tool_calls and why is not None:
            found.append(why)
            why = None
        else:
            break
    return found
