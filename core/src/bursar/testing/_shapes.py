"""What the shapes of all providers have in common."""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ._bill import Rate, Tokens
from ._script import Rejected, Reply

IMAGE_TOKENS = 765  # a picture of 1024 x 1024 in high detail
_PER_MESSAGE = 3
_FRAME = ("role", "type", "id", "tool_call_id")  # members that are no text


@dataclass(frozen=True)
class Demand:
    """What a request asks for, as the provider counts it.

    Attributes:
        input_tokens: by the bytes that arrived.
        cap: the most output of each choice; None is without end.
        field: the member of the request that has the cap.
        longest: the input of the longest prompt, where there are several.
        n: choices that are made, and billed.
        shown: choices that are sent, where that is another number.
        stored: what the provider has under these ids is input, too.
        joins: the conversation that this exchange becomes a part of.
        most_runs: how often tools of the provider's may run.
    """

    input_tokens: int
    cap: int | None = None
    field: str | None = None
    longest: int | None = None
    n: int = 1
    shown: int | None = None
    stored: tuple[str, ...] = ()
    joins: str | None = None
    most_runs: int | None = None

    @property
    def prompt_tokens(self) -> int:
        """What has to fit into the context window beside the output of a choice."""
        return self.input_tokens if self.longest is None else self.longest


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        reply: as scripted.
        model: the name that the answer carries.
        tokens: the true counts.
        choices: how many are shown.
        cut: True when the cap ended it, or the most that the model writes.
        full: True when the context window ended it before that.
        body: the request.
        number: makes ids unique.
        cost_nanos: what is on the bill for it.
    """

    reply: Reply
    model: str
    tokens: Tokens
    choices: int
    cut: bool
    full: bool
    body: Mapping[str, Any]
    number: int
    cost_nanos: int = 0

    def reported(self, normal: dict[str, Any]) -> dict[str, Any]:
        """The ``usage`` member as it is reported; nothing at all where it is absent."""
        usage = self.reply.usage
        if usage == "absent":
            return {}
        return {"usage": normal if usage == "normal" else None if usage == "null" else usage}


class Event:
    """One server-sent event.

    `usage` marks the one that carries the final counts, `grows` those that carry a piece of the output.
    """

    def __init__(
        self, data: Mapping[str, Any] | str, *, named: bool = False, usage: bool = False, grows: bool = False
    ) -> None:
        self.data = data
        self.text = text = data if isinstance(data, str) else json.dumps(data)
        name = f"event: {data['type']}\n" if named and not isinstance(data, str) else ""
        self.payload = f"{name}data: {text}\n\n".encode()
        self.usage = usage
        self.grows = grows

    def framed(self) -> bytes:
        """The event as Amazon Bedrock sends it: in a frame of its own, and encoded once more."""
        headers = b"".join(map(_header, _FRAME_HEADERS))
        payload = json.dumps({"bytes": base64.b64encode(self.text.encode()).decode()}).encode()
        prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
        frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
        return frame + struct.pack(">I", zlib.crc32(frame))


_FRAME_HEADERS = {
    ":event-type": "chunk",
    ":content-type": "application/json",
    ":message-type": "event",
}.items()


def _header(header: tuple[str, str]) -> bytes:
    name, value = (text.encode() for text in header)
    return struct.pack(f">B{len(name)}sBH", len(name), name, 7, len(value)) + value


def delivered(events: list[Event], reply: Reply) -> list[Event]:
    """The events that get out before the script loses the connection; else all of them."""
    if reply.drop in ("mid_stream", "error_event"):
        return events[: len(events) // 2 if reply.drop_after is None else reply.drop_after]
    if reply.drop == "after_final_usage":
        final = [at for at, event in enumerate(events) if event.usage]
        return events[: final[-1] + 1 if final else -1]
    return events


class Surface(Protocol):
    """One endpoint of a provider."""

    headers: ClassVar[tuple[str, ...]]

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        """What the request asks for. Raises `Rejected` for what the real endpoint rejects."""
        ...

    def check(self, model: str, demand: Demand, read: int, size: Rate) -> None:
        """Raises `Rejected` where the model cannot read, or write, so much.

        Args:
            model: the true name.
            demand: what is asked for.
            read: the prompt, and what the provider has of it.
            size: its context window and the most that it writes, where they are known.
        """

    def document(self, answer: Answer) -> dict[str, Any] | bytes:
        """The whole answer: JSON, or sound."""
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
    """Bytes of text and number of pictures, however deep they are."""
    size = images = 0
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            size += len(part.encode(errors="surrogatepass"))
        elif isinstance(part, Mapping):
            if part.get("type") in ("image", "image_url", "input_image"):
                images += 1
            else:
                parts += [inner for name, inner in part.items() if name not in _FRAME]
        elif isinstance(part, list):
            parts += part
        elif part is not None:
            size += len(str(part))
    return size, images


def schema(tools: object) -> str:
    """Tools as the model reads them."""
    return json.dumps(tools, separators=(",", ":"), ensure_ascii=False) if tools else ""


def positive(
    body: Mapping[str, Any], name: str, default: int | None = None, *, least: int = 1, most: float = math.inf
) -> int | None:
    """A whole number above zero, or what stands for its absence."""
    value = body.get(name)
    if value is None:
        return default
    if type(value) is not int or not least <= value <= most:
        raise Rejected(400, "invalid_request_error", f"Invalid value for '{name}': {value!r}.", name)
    return value


def optional(body: Mapping[str, Any], name: str, kind: type) -> Any:
    """A member that may be absent; an empty one of its kind if it is."""
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise Rejected(400, "invalid_request_error", f"Invalid type for '{name}': {value!r}.", name)
    return kind() if value is None else value


def required(body: Mapping[str, Any], name: str, kind: type) -> Any:
    """A member that has to be there."""
    value = body.get(name)
    if not isinstance(value, kind) or not value:
        raise Rejected(400, "invalid_request_error", f"Missing required parameter: '{name}'.", name)
    return value
