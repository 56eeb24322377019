"""`Reply`: what a provider is told to answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

Output: TypeAlias = int | Literal["most"]
Host = Literal[
    "openrouter", "groq", "together", "deepseek", "xai", "perplexity", "gemini", "mistral", "fireworks",
    "moonshot", "vllm", "ollama", "llama.cpp", "lmstudio",
]  # fmt: skip
Drop = Literal["before_headers", "mid_stream", "after_final_usage", "error_event"]
_COUNTS = (
    *("output_tokens", "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "delay", "chunk_delay", "drop_after"),
    *("hidden_tokens", "polls"),
)


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
        output_tokens: how much it would like to write, for each choice; the request's cap cuts it
            off. ``"most"``: as much as the request allows, and without a cap as the model can. None:
            as `ScriptedProvider(output_tokens=...)` says.
        input_tokens: counted instead of what the bytes of the request give.
        cached_input_tokens: part of the input.
        cache_write_tokens: part of the input, for 5 minutes.
        cache_write_1h_tokens: part of the input, for an hour.
        reasoning_tokens: part of the output.
        audio_input_tokens: part of the input.
        audio_output_tokens: part of the output.
        hidden_tokens: input that only the provider has: a stored prompt, a file, what a search found.
        runs: how often tools of the provider's run, by name (``{"web_search": 2}``); after each the
            model reads all of its input once more.
        polls: how often an answer that is made in the background is asked after in vain.
        usage: what is *reported*: ``"normal"``, ``"absent"``, ``"null"``, or this very mapping;
            the bill goes by the true counts in any case.
        status: of HTTP; an error is not billed unless `billed` says so.
        billed: bill an error answer, too, by the counts that a good answer would have had.
        delay: seconds before the answer begins.
        chunk_delay: seconds before each event of a stream.
        gate: the answer begins once this event is set.
        drop: lose the connection: before the answer begins, in the middle of it, or after its final
            usage (just before the end of a stream that carries none). ``"error_event"`` ends a stream in
            the middle by an event that tells an error, as Anthropic does when it is overloaded.
        drop_after: how many events of a stream get out before it is lost in the middle; None: half.
        bill_dropped: what a stream lost in the middle costs: ``"full"``, like a provider that goes on
            generating, or ``"generated"``, in proportion to the pieces that got out.
        refuse_stream_options: answer 400 to a request that has them, like a host that does not know them.
        model: the name of the model that answers, instead of the snapshot of the one asked for;
            it is also billed, if it is on the price list.
        service_tier: the tier it says that it served at; the bill goes by the price list.
        finish_reason: why it stopped, in the words of the endpoint; for Responses the reason why
            the answer is incomplete.
        stream_chunks: in how many pieces the text comes.
        host: whose way of telling the usage of chat completions it takes: ``"openrouter"``, ``"groq"``,
            ``"together"``, ``"deepseek"``, ``"xai"``, ``"perplexity"``, ``"gemini"``, ``"mistral"``,
            ``"fireworks"``, ``"moonshot"``, ``"vllm"``, ``"ollama"``, ``"llama.cpp"``, ``"lmstudio"``; None:
            OpenAI's.

    Raises:
        ValueError: an answer that no provider gives: negative counts, parts larger than the whole,
            or a word that is not listed here.
    """

    text: str = "The sky is blue because air scatters short waves more than long ones."
    tool_calls: tuple[ToolCall, ...] | list[ToolCall] = ()
    output_tokens: Output | None = None
    input_tokens: int | None = None
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    hidden_tokens: int = 0
    runs: Mapping[str, int] = field(default_factory=dict)
    polls: int = 0
    usage: Literal["normal", "absent", "null"] | Mapping[str, Any] = "normal"
    status: int = 200
    billed: bool = False
    delay: float = 0
    chunk_delay: float = 0
    gate: threading.Event | None = None
    drop: Drop | None = None
    drop_after: int | None = None
    bill_dropped: Literal["full", "generated"] = "full"
    refuse_stream_options: bool = False
    model: str | None = None
    service_tier: str | None = None
    finish_reason: str | None = None
    stream_chunks: int = 5
    host: Host | None = None

    def __post_init__(self) -> None:
        if isinstance(self.output_tokens, str) and self.output_tokens != "most":
            raise ValueError(f"output_tokens is {self.output_tokens!r}, neither a number nor 'most'")
        for name in _COUNTS:
            if name == "output_tokens" and self.output_tokens == "most":
                continue
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, below zero")
        if self.input_tokens is not None and self.input_tokens < self.input_parts:
            raise ValueError(f"{self.input_parts} tokens are parts of the {self.input_tokens} of the input")
        for name, words in (
            ("drop", (None, *get_args(Drop))),
            ("bill_dropped", ("full", "generated")),
            ("host", (None, *get_args(Host))),
            ("usage", ("normal", "absent", "null")),
        ):
            value = getattr(self, name)
            if not isinstance(value, Mapping) and value not in words:
                raise ValueError(f"{name} is {value!r}, not one of {words}")
        if self.status != 200 and not 400 <= self.status <= 599:
            raise ValueError(f"status is {self.status!r}, neither 200 nor that of an error")
        if self.stream_chunks < 1:
            raise ValueError(f"stream_chunks is {self.stream_chunks!r}, below one")

    @property
    def input_parts(self) -> int:
        """Input tokens that are told apart."""
        caches = self.cached_input_tokens + self.cache_write_tokens + self.cache_write_1h_tokens
        return caches + self.audio_input_tokens

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
