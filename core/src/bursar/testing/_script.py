"""What a provider is told to answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Drop = Literal["before_headers", "mid_stream", "after_final_usage"]


@dataclass(frozen=True)
class Request:
    """What arrived.

    Attributes:
        path: of the URL.
        body: the JSON document.
        model: the model that it asks for.
        stream: whether it wants server-sent events.
    """

    path: str
    body: Mapping[str, Any]
    model: str
    stream: bool


@dataclass(frozen=True)
class ToolCall:
    """A tool that the model wants to be run."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """One answer; what is left out is as a provider would do it.

    Attributes:
        text: what the model says.
        tool_calls: what it wants to be run, instead of the text.
        output_tokens: how much it would like to write, for each choice; the request's cap cuts it off.
        input_tokens: counted instead of what the bytes of the request give.
        cached_input_tokens: part of the input.
        cache_write_tokens: part of the input, for 5 minutes.
        cache_write_1h_tokens: part of the input, for an hour.
        reasoning_tokens: part of the output.
        usage: what is *reported*: ``"normal"``, ``"absent"``, ``"null"``, or this very mapping;
            the bill goes by the true counts in any case.
        status: of HTTP; an error is not billed unless `billed` says so.
        billed: bill an error answer, too.
        delay: seconds before the answer begins.
        chunk_delay: seconds before each event of a stream.
        gate: the answer begins once this event is set.
        drop: lose the connection: before the answer begins, in the middle of a stream, or after
            its final usage. The call is billed in full, as a provider does that goes on generating.
        refuse_stream_options: answer 400 to a request that has them, like a host that does not know them.
        model: the name of the model that answers, instead of the snapshot of the one asked for.
        service_tier: the tier it says that it served at.
        stream_chunks: in how many pieces the text comes.
    """

    text: str = "The sky is blue because air scatters short waves more than long ones."
    tool_calls: tuple[ToolCall, ...] | list[ToolCall] = ()
    output_tokens: int = 40
    input_tokens: int | None = None
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    usage: Literal["normal", "absent", "null"] | Mapping[str, Any] = "normal"
    status: int = 200
    billed: bool = False
    delay: float = 0
    chunk_delay: float = 0
    gate: threading.Event | None = None
    drop: Drop | None = None
    refuse_stream_options: bool = False
    model: str | None = None
    service_tier: str | None = None
    stream_chunks: int = 5

    def pieces(self) -> list[str]:
        """The text, cut up for a stream."""
        size = max(1, -(-len(self.text) // self.stream_chunks))
        return [self.text[at : at + size] for at in range(0, len(self.text), size)]


Answering: TypeAlias = "Reply | Callable[[Request], Reply]"


class Rejected(Exception):
    """The request is not one that a provider takes."""

    def __init__(self, status: int, kind: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
