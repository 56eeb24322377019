"""What LangChain's objects say about a call: what is asked for, and what was used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from bursar import Usage, read_answer

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
_TIERS = frozenset({"batch", "flex", "priority"})
_STANDARD = frozenset({"default", "standard"})
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
TOKENS_PER_ANSWER = 16  # the marks around an answer and its tool calls, which are no text


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


@dataclass(frozen=True, slots=True)
class Result:
    """An answer, or the part of it that arrived.

    Attributes:
        usage: None when the provider's count did not arrive.
        model: the model that answered.
        tier: the service tier that it was served at, where it says so.
        cached: True when LangChain's own cache gave the answer.
        finished: True when the provider said why it stopped.
        text_tokens: the most tokens that the visible output can have; 0 when there is none.
    """

    usage: Usage | None = None
    model: str | None = None
    tier: str | None = None
    cached: bool = False
    finished: bool = False
    text_tokens: int = 0


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
        tier=tier if tier in _TIERS or tier == "fast" else None,
        hidden_output=not _SHOWS_ALL.search(model)
        or any(place.get(key) for place in places for key in _REASONING),
        hour_cache=_asks_for_an_hour([params, *(getattr(item, "content", None) for item in inputs)]),
    )


def read_result(response: LLMResult, *, hour_cache: bool = False) -> Result:
    """Read what an end hook is given, or the ``response`` of an error hook.

    Args:
        hour_cache: what a write to the cache means where the answer does not say how long.
    """
    found = _Found(response)
    usage, tier = None, None
    for metadata in found.usages:  # each of several choices carries the usage of all
        usage, tier = _usage(metadata, hour_cache)
        break
    else:
        for raw in found.raw_usages:
            usage = read_answer({"usage": raw}).usage
            break
    if usage is not None and usage.input_tokens == 0 and usage.output_tokens == 0:
        usage = None
    stated = found.first("service_tier")
    return Result(
        usage=usage,
        model=found.first("model_name", "model"),
        tier=stated if stated in _TIERS | _STANDARD else tier,
        cached=any(metadata.get("total_cost") == 0 for metadata in found.usages),
        finished=found.first("finish_reason", "stop_reason", "status", "done_reason") is not None,
        text_tokens=_text_tokens(response),
    )


class _Found:
    """The dicts of an `LLMResult` in which providers leave what they know."""

    def __init__(self, response: LLMResult) -> None:
        self.usages: list[Mapping[str, Any]] = []
        self.facts: list[Mapping[str, Any]] = []
        for generation in _generations(response):
            message = getattr(generation, "message", None)
            if isinstance(metadata := getattr(message, "usage_metadata", None), Mapping):
                self.usages.append(metadata)
            for fact in (
                getattr(message, "response_metadata", None),
                getattr(generation, "generation_info", None),
            ):
                if isinstance(fact, Mapping):
                    self.facts.append(fact)
        if isinstance(response.llm_output, Mapping):
            self.facts.append(response.llm_output)

    @property
    def raw_usages(self) -> Iterator[Mapping[str, Any]]:
        for fact in self.facts:
            for key in ("token_usage", "usage"):
                if isinstance(raw := fact.get(key), Mapping) and raw:
                    yield raw

    def first(self, *keys: str) -> str | None:
        for fact in self.facts:
            for key in keys:
                if isinstance(value := fact.get(key), str) and value:
                    return value
        return None


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


def _usage(metadata: Mapping[str, Any], hour_cache: bool) -> tuple[Usage, str | None]:
    """LangChain's count, and the tier that the names of its details give away.

    A tier is written as a prefix of the details (``flex_cache_read``). Some versions
    report a write to Anthropic's cache twice, by its lifetime and as a whole.
    """
    details: dict[str, Any] = {}
    tier = None
    for side in ("input", "output"):
        for key, count in (metadata.get(f"{side}_token_details") or {}).items():
            prefix, _, rest = key.partition("_")
            tier = prefix if prefix in _TIERS else tier
            details[f"{side}.{rest if prefix in _TIERS else key}"] = 0 if count is None else count

    def detail(key: str) -> Any:
        return details.get(key, 0)

    written, written_1h = detail("input.ephemeral_5m_input_tokens"), detail("input.ephemeral_1h_input_tokens")
    if not written and not written_1h:
        generic = detail("input.cache_creation")
        written, written_1h = (0, generic) if hour_cache else (generic, 0)
    usage = Usage(
        input_tokens=metadata.get("input_tokens") or 0,
        output_tokens=metadata.get("output_tokens") or 0,
        cached_input_tokens=detail("input.cache_read"),
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
        reasoning_tokens=detail("output.reasoning"),
        audio_input_tokens=detail("input.audio"),
        audio_output_tokens=detail("output.audio"),
    )
    return usage, tier


def _generations(response: LLMResult) -> Iterator[Any]:
    for choices in response.generations:
        yield from choices


def _text_tokens(response: LLMResult) -> int:
    """A byte-level tokenizer makes at most one token of a byte."""
    count = 0
    for generation in _generations(response):
        message = getattr(generation, "message", None)
        if message is None:
            size = _bytes(generation.text)
        else:
            parts = ["content", "additional_kwargs"]
            chunked = getattr(message, "tool_call_chunks", None)
            parts += ["tool_call_chunks"] if chunked else ["tool_calls", "invalid_tool_calls"]
            size = sum(_bytes(getattr(message, part, None)) for part in parts)
        count += size + TOKENS_PER_ANSWER if size else 0
    return count


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Mapping):
        return sum(len(str(key)) + 4 + _bytes(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return sum(1 + _bytes(part) for part in value)
    return len(repr(value)) if value else 0
