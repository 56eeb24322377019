"""What is asked for: the payload of a callback, and the object that is called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import EventPayload

from ._instrumentation import Span

# The packages whose models send their requests through an SDK that can be covered.
_SDKS = {
    "llama_index.embeddings.azure_openai": "openai",
    "llama_index.embeddings.openai": "openai",
    "llama_index.llms.anthropic": "anthropic",
    "llama_index.llms.azure_openai": "openai",
    "llama_index.llms.openai": "openai",
    "llama_index.llms.openai_like": "openai",
}
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
_SENT_TOO = ("response_format", "functions", "system", "instructions", "text")


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a model.

    Attributes:
        model: the object that is called; None where no span tells.
        method: of that object.
        asked: the arguments of `Session.reserve`.
        sdk: the SDK that sends its request, as far as the class of the object tells.
        messages: the very object that a language model was given.
        is_embedding: True for a call of an embedding model.
    """

    model: Any
    method: str
    asked: Mapping[str, Any]
    sdk: str | None
    messages: object = None
    is_embedding: bool = False

    @property
    def kind(self) -> str:
        """What tells the class of the object from others."""
        return f"{type(self.model).__module__}.{type(self.model).__qualname__}"


def read_llm(payload: Mapping[str, Any], span: Span | None) -> Request:
    """The call of a language model."""
    model = _called(span, BaseLLM)
    given = payload.get(EventPayload.ADDITIONAL_KWARGS) or {}
    messages = payload.get(EventPayload.MESSAGES) or payload.get(EventPayload.PROMPT) or ""
    prompts = [messages] if isinstance(messages, str) else messages
    return Request(
        model=model,
        method=span.method if span is not None else "",
        asked={
            "model": _name(model, payload, given),
            "provider": (sdk := _sdk(model)),
            "messages": [
                *map(_as_sent, prompts),
                *(_dumps(given[key]) for key in _SENT_TOO if given.get(key)),
            ],
            "tools": list(given.get("tools") or ()),
            "max_output_tokens": max(_caps(model, given), default=None),
        },
        sdk=sdk,
        messages=messages,
    )


def read_embedding(payload: Mapping[str, Any], span: Span | None) -> Request:
    """The call of an embedding model; its texts are in the span only."""
    model = _called(span, BaseEmbedding)
    texts = [
        text for value in (span.arguments if span is not None else {}).values() for text in _texts(value)
    ]
    asked = {
        "model": _name(model, payload, {}),
        "provider": (sdk := _sdk(model)),
        "messages": texts if span is not None else None,
        "max_output_tokens": 0,
    }
    return Request(model, span.method if span is not None else "", asked, sdk, is_embedding=True)


def read_span(span: Span) -> Request:
    """The call of a method of a language model that no callback is told of."""
    model = span.instance
    asked = {"model": _name(model, {}, {}), "provider": (sdk := _sdk(model))}
    return Request(model, span.method, asked, sdk)


def _called(span: Span | None, kind: type) -> Any:
    return span.instance if span is not None and isinstance(span.instance, kind) else None


def _sdk(model: Any) -> str | None:
    """That of the nearest of its classes that comes from a package of LlamaIndex."""
    for kind in type(model).__mro__:
        package = ".".join(kind.__module__.split(".")[:3])
        if package.startswith("llama_index."):
            return _SDKS.get(package)
    return None


def _name(model: Any, payload: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    shown = payload.get(EventPayload.SERIALIZED) or {}
    for name in (
        given.get("model"),
        getattr(model, "model", None),
        getattr(model, "model_name", None),
        _told(model, "model_name"),
        shown.get("model_name"),
        shown.get("model"),
    ):
        if isinstance(name, str) and name:
            return name
    return "unknown"


def _told(model: Any, name: str) -> Any:
    """What a model says of itself; those that LlamaIndex does not know by name raise instead."""
    try:
        return getattr(model.metadata, name, None)
    except Exception:
        return None


def _caps(model: Any, given: Mapping[str, Any]) -> list[int]:
    """Which of several output caps is sent is the model's secret: the highest counts."""
    own = getattr(model, "additional_kwargs", None)
    found = [
        value
        for place in (given, own if isinstance(own, Mapping) else {}, getattr(model, "__dict__", {}))
        for key in _CAPS
        if type(value := place.get(key)) is int and value > 0
    ]
    told = None if found else _told(model, "num_output")
    return [told] if type(told) is int and told > 0 else found


def _as_sent(message: Any) -> Any:
    """A message in OpenAI's shape; what is not text counts by the bytes of its JSON."""
    if isinstance(message, str):
        return message
    blocks = getattr(message, "blocks", None) or ()
    plain = all(getattr(block, "block_type", None) == "text" for block in blocks)
    content = message.content or "" if plain else "".join(block.model_dump_json() for block in blocks)
    sent = {"role": str(getattr(message.role, "value", message.role)), "content": content}
    if message.additional_kwargs:
        sent["extra"] = _dumps(message.additional_kwargs)
    return sent


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Sequence):
        yield from (text for text in value if isinstance(text, str))


def _dumps(value: Any) -> str:
    return json.dumps(value, default=repr)
