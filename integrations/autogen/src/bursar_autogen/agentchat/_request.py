"""What a model call of AgentChat asks for, and what came of it: pure functions of its objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogen_core import FunctionCall, Image
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from bursar import Usage
from bursar.integration import Result

# The SDK that sends the requests of a client, by the module of its class or of a base of it.
_SDKS = {"autogen_ext.models.openai": "openai", "autogen_ext.models.anthropic": "anthropic"}
_CAPS = ("max_completion_tokens", "max_tokens")
_INNER = ("client", "base_client")  # of a cache, of a recorder, of a wrapper of ours


@dataclass(frozen=True, slots=True)
class Client:
    """What is known of a client beforehand.

    Attributes:
        kind: the name of its class.
        sdk: the SDK that sends its requests; None: another library, or nobody knows.
        model: the requested model; the name of the class where it does not say.
        options: of its requests, such as ``max_tokens``.
    """

    kind: str
    sdk: str | None
    model: str
    options: Mapping[str, Any]


def read_client(client: ChatCompletionClient, model: str | None = None) -> Client:
    """Look at a client, below caches and the like.

    Args:
        client: any.
        model: the model, where the client does not say.
    """
    while isinstance(inner := _inner(client), ChatCompletionClient):
        client = inner
    kinds = type(client).__mro__
    sdk = next((_SDKS[name] for kind in kinds for name in _SDKS if kind.__module__.startswith(name)), None)
    options = getattr(client, "_create_args", {})
    named = model or options.get("model")
    kind = f"{kinds[0].__module__}.{kinds[0].__qualname__}"
    return Client(kind, sdk, named if isinstance(named, str) else kinds[0].__name__, options)


def _inner(client: ChatCompletionClient) -> object:
    return next((inner for name in _INNER if (inner := getattr(client, name, None)) is not None), None)


def asked(
    client: Client,
    messages: Sequence[LLMMessage],
    tools: Sequence[Tool | ToolSchema],
    extra: Mapping[str, Any],
    json_output: object,
) -> dict[str, Any]:
    """The arguments of `Session.reserve` for a call."""
    options = {**client.options, **extra}
    sent: list[Any] = [_as_sent(message) for message in messages]
    if isinstance(json_output, type) and issubclass(json_output, BaseModel):
        sent.append(json.dumps(json_output.model_json_schema()))
    if (wanted := options.get("response_format")) is not None:
        sent.append(json.dumps(wanted, default=repr))
    caps = [cap for name in _CAPS if isinstance(cap := options.get(name), int)]
    return {
        "model": client.model,
        "provider": client.sdk,
        "messages": sent,
        "tools": [tool.schema if isinstance(tool, Tool) else tool for tool in tools] or None,
        "max_output_tokens": max(caps, default=None),
        "n": options.get("n") or 1,
        "tier": options.get("service_tier") if options.get("service_tier") in {"flex", "priority"} else None,
    }


def _as_sent(message: LLMMessage) -> dict[str, Any]:
    """Role, content and tool calls: what is sent of a message."""
    content: Any = message.content
    if isinstance(content, str):
        return {"role": message.type, "content": content}
    return {"role": message.type, "content": [_part(part) for part in content]}


def _part(part: Any) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.data_uri}}
    if isinstance(part, FunctionCall):
        return json.dumps([part.id, part.name, part.arguments])
    return json.dumps([part.call_id, part.name, part.content], default=repr)  # the result of a function


def read_result(result: CreateResult, client: Client) -> Result:
    """Read an answer that no covered SDK has booked.

    AutoGen's client of Anthropic leaves out the tokens of the prompt cache, and a stream of OpenAI's
    without ``include_usage`` tells 0: such an answer is booked at its worst case.
    """
    told = result.usage
    usage = Usage(told.prompt_tokens, told.completion_tokens)
    incomplete = client.sdk == "anthropic" or not (told.prompt_tokens or told.completion_tokens)
    return Result(usage=None if incomplete else usage, cached=result.cached, finished=True)
