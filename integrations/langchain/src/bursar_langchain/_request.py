"""What LangChain's start hooks say about a call: what is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from bursar.integration import CallParams, read_params

_NOT_SENT = ("tool_calls", "parsed")  # in a message's extras, and elsewhere in the message as well
_ARGUMENTS = {
    "tool_use": "input",
    "tool_call": "args",
    "server_tool_use": "input",
    "function_call": "arguments",
}


def read_request(
    serialized: Mapping[str, Any] | None,
    inputs: Sequence[BaseMessage | str],
    params: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> CallParams:
    """Read what a start hook is given.

    Args:
        serialized: the model object, as LangChain shows it to handlers.
        inputs: the messages, or the prompts of a text model.
        params: the ``invocation_params``.
        metadata: the metadata of the run, with LangChain's ``ls_`` entries.
    """
    return read_params(
        params,
        [item if isinstance(item, str) else _as_sent(item) for item in inputs],
        model=_model(serialized or {}, params, metadata),
        client=metadata.get("ls_provider"),
        max_tokens=metadata.get("ls_max_tokens"),
    )


def _model(serialized: Mapping[str, Any], params: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """The requested model; ``model`` first, since ``bind(model=...)`` leaves ``model_name`` as it was."""
    kwargs = serialized.get("kwargs")
    for place, key in (
        (params, "model"),
        (params, "model_name"),
        (params, "model_id"),
        (metadata, "ls_model_name"),
        (kwargs, "model"),
        (kwargs, "model_name"),
        (params, "azure_deployment"),
        (serialized, "name"),
    ):
        if isinstance(place, Mapping) and isinstance(name := place.get(key), str) and name:
            return name
    return "unknown"


def _as_sent(message: BaseMessage) -> dict[str, Any]:
    """A message in OpenAI's shape; arguments of tool calls as text, since their keys mean nothing here."""
    content: Any = message.content
    if isinstance(content, list):
        content = [_block(block) for block in content]
    sent: dict[str, Any] = {"role": message.type, "content": content, "name": message.name}
    for key in ("tool_calls", "invalid_tool_calls"):
        if calls := getattr(message, key, None):
            sent[key] = [_dumps(call) for call in calls]
    extra = {key: value for key, value in message.additional_kwargs.items() if key not in _NOT_SENT}
    if extra:
        sent["extra"] = _dumps(extra)
    if call_id := getattr(message, "tool_call_id", None):
        sent["tool_call_id"] = call_id
    return sent


def _block(block: Any) -> Any:
    field = _ARGUMENTS.get(block.get("type", "")) if isinstance(block, Mapping) else None
    return {**block, field: _dumps(block.get(field))} if field else block


def _dumps(value: Any) -> str:
    """JSON, non-ASCII escaped: at least as long as any other way to write it."""
    return json.dumps(value, default=repr)
