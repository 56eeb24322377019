"""What LangChain's start hooks say about a call: what is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from ._usage import TIERS

# Who bills, by LangChain's word for the client. A client that is not here may talk to anybody,
# and the name of the model says more.
_BILLERS = {
    **{name: name for name in ("ai21", "anthropic", "azure", "cerebras", "cohere", "deepseek", "fireworks")},
    **{name: name for name in ("groq", "mistral", "openai", "openrouter", "perplexity", "sambanova")},
    **{name: name for name in ("together", "xai")},
    "amazon_bedrock": "bedrock",
    "google_genai": "google",
    "google_vertexai": "vertex",
    "mistralai": "mistral",
    "vertexai": "vertex",
}
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
_CHOICES = ("n", "best_of", "candidate_count")
_SENT_TOO = ("response_format", "functions", "system", "instructions", "text")
_STORED_INPUT = ("previous_response_id", "conversation", "prompt")  # text that only the provider has
_HOSTED = ("mcp_servers", "web_search_options")  # tools that run, and are billed, at the provider
_REASONING = ("reasoning", "reasoning_effort", "thinking")
# Families that bill no output which they do not show, unless they are asked to think.
_SHOWS_ALL = re.compile(r"(^|[/:.])(gpt-3\.5|gpt-4|chatgpt-4o|claude)")
_NOT_SENT = ("tool_calls", "parsed")  # in a message's extras, and elsewhere in the message as well
_ARGUMENTS = {
    "tool_use": "input",
    "tool_call": "args",
    "server_tool_use": "input",
    "function_call": "arguments",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A model call as the start hook sees it.

    Attributes:
        model: the requested name.
        provider: who bills, where LangChain's client says so.
        messages: what will be sent, for the bound of the input; None: not known.
        tools: the tool schemas that go with them.
        max_output_tokens: the output cap of one choice; None: the model's own.
        n: how many choices are billed.
        tier: the service tier that is asked for.
        hidden_output: True when output may be billed that no answer shows.
        hour_cache: True when the request asks for a cache of one hour.
    """

    model: str
    provider: str | None
    messages: list[Any] | None
    tools: list[Any]
    max_output_tokens: int | None
    n: int
    tier: str | None
    hidden_output: bool
    hour_cache: bool


def read_request(
    serialized: Mapping[str, Any] | None,
    inputs: Sequence[BaseMessage | str],
    params: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> Request:
    """Read what a start hook is given.

    Args:
        serialized: the model object, as LangChain shows it to handlers.
        inputs: the messages, or the prompts of a text model.
        params: the ``invocation_params``.
        metadata: the metadata of the run, with LangChain's ``ls_`` entries.
    """
    model = _model(serialized or {}, params, metadata)
    extra = params.get("extra_body")
    places = (params, extra) if isinstance(extra, Mapping) else (params,)
    caps = [cap for place in places for key in _CAPS if (cap := _whole(place.get(key))) is not None]
    if not caps and (cap := _whole(metadata.get("ls_max_tokens"))) is not None:
        caps = [cap]
    choices = [number for place in places for key in _CHOICES if (number := _whole(place.get(key)))]
    tools = list(params.get("tools") or ())
    tools += [{"type": key} for place in places for key in _HOSTED if place.get(key)]
    messages: list[Any] | None = None
    if not any(place.get(key) for place in places for key in _STORED_INPUT):
        messages = [item if isinstance(item, str) else _as_sent(item) for item in inputs]
        messages += [_dumps(place[key]) for place in places for key in _SENT_TOO if place.get(key)]
    tier = "fast" if params.get("speed") == "fast" else params.get("service_tier")
    provider = metadata.get("ls_provider")
    return Request(
        model=model,
        provider=_BILLERS.get(provider) if isinstance(provider, str) else None,
        messages=messages,
        tools=tools,
        max_output_tokens=max(caps, default=None),
        n=max(choices, default=1),
        tier=tier if tier in TIERS or tier == "fast" else None,
        hidden_output=not _SHOWS_ALL.search(model)
        or any(place.get(key) for place in places for key in _REASONING),
        hour_cache=_asks_for_an_hour([params, *(getattr(item, "content", None) for item in inputs)]),
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


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _asks_for_an_hour(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("ttl") == "1h" or any(_asks_for_an_hour(part) for part in value.values())
    return isinstance(value, list | tuple) and any(_asks_for_an_hour(part) for part in value)
