"""What the shapes of all providers have in common."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ._bill import Tokens
from ._script import Rejected, Reply

IMAGE_TOKENS = 765  # a picture of 1024 x 1024 in high detail
_PER_MESSAGE = 3


@dataclass(frozen=True)
class Demand:
    """What a request asks for, as the provider counts it.

    Attributes:
        input_tokens: by the bytes that arrived.
        cap: the most output of each choice; None is without end.
        n: choices.
    """

    input_tokens: int
    cap: int | None = None
    n: int = 1


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        reply: as scripted.
        model: the name that the answer carries.
        tokens: the true counts.
        choices: how many.
        cut: True when the cap ended it.
        body: the request.
        number: makes ids unique.
    """

    reply: Reply
    model: str
    tokens: Tokens
    choices: int
    cut: bool
    body: Mapping[str, Any]
    number: int

    def reported(self, normal: dict[str, Any]) -> dict[str, Any]:
        """The ``usage`` member as it is reported; nothing at all where it is absent."""
        usage = self.reply.usage
        if usage == "absent":
            return {}
        return {"usage": normal if usage == "normal" else None if usage == "null" else usage}


class Event:
    """One server-sent event; `usage` marks the one that carries the final counts."""

    def __init__(self, data: Mapping[str, Any] | str, *, named: bool = False, usage: bool = False) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        name = f"event: {data['type']}\n" if named and not isinstance(data, str) else ""
        self.payload = f"{name}data: {text}\n\n".encode()
        self.usage = usage


class Surface(Protocol):
    """One endpoint of a provider."""

    headers: ClassVar[tuple[str, ...]]

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        """What the request asks for. Raises `Rejected` for what the real endpoint rejects."""
        ...

    def document(self, answer: Answer) -> dict[str, Any]:
        """The whole answer."""
        ...

    def events(self, answer: Answer) -> Iterator[Event]:
        """The answer as a stream."""
        ...

    def error(self, status: int, kind: str, message: str, param: str | None) -> dict[str, Any]:
        """An error in the provider's shape."""
        ...


def count(parts: object, messages: int, bytes_per_token: int) -> int:
    """Input tokens: the bytes of all text, so many to a token, and what frames the messages."""
    size, images = _weigh(parts)
    return math.ceil(size / bytes_per_token) + images * IMAGE_TOKENS + _PER_MESSAGE * (messages + 1)


def _weigh(value: object) -> tuple[int, int]:
    """Bytes of text and number of pictures."""
    if isinstance(value, str):
        return len(value.encode()), 0
    if isinstance(value, Mapping):
        if str(value.get("type", "")) in ("image", "image_url", "input_image"):
            return 0, 1
        value = [part for name, part in value.items() if name not in ("role", "type", "id", "tool_call_id")]
    if isinstance(value, list):
        weights = [_weigh(part) for part in value]
        return sum(size for size, _ in weights), sum(images for _, images in weights)
    return (0, 0) if value is None else (len(str(value)), 0)


def schema(tools: object) -> str:
    """Tools as the model reads them."""
    return json.dumps(tools, separators=(",", ":"), ensure_ascii=False) if tools else ""


def positive(body: Mapping[str, Any], name: str, default: int | None = None) -> int | None:
    """A whole number above zero, or what stands for its absence."""
    value = body.get(name)
    if value is None:
        return default
    if type(value) is not int or value < 1:
        raise Rejected(400, "invalid_request_error", f"Invalid value for '{name}': {value!r}.", name)
    return value


def required(body: Mapping[str, Any], name: str, kind: type) -> Any:
    """A member that has to be there."""
    value = body.get(name)
    if not isinstance(value, kind) or not value:
        raise Rejected(400, "invalid_request_error", f"Missing required parameter: '{name}'.", name)
    return value
