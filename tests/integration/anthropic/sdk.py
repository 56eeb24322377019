"""The Anthropic SDK, as the suite of every client knows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic

from bursar.testing import Rate, Reply, ToolCall

from ..client_contract.sdk import Agent, ClientSdk, Stream, Window
from ..client_contract.surface import Surface
from .surfaces import ASKED, CHAT, MODEL, SURFACES

RATES = {
    "claude-sonnet-4-5": Rate("3", "15", "0.30", "3.75", "6", runs={"web_search": "0.01"}),
    "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2", runs={"web_search": "0.01"}),
    "claude-opus-4-8": Rate("5", "25", "0.50", "6.25", "10"),
    "claude-2.1": Rate("8", "24"),
    "home-made": Rate("1", "2"),
    # At Amazon, where they cost a tenth more, and at Google.
    "anthropic.claude-sonnet-4-5-20250929-v1:0": Rate("3.30", "16.50", "0.33", "4.125", "6.60"),
    "claude-sonnet-4-5@20250929": Rate("3", "15", "0.30", "3.75", "6"),
}

# -- streams ------------------------------------------------------------------------------------------

STREAMS = {"messages": SURFACES["messages-stream"], "beta": SURFACES["beta-stream"]}
LOOK_UP: Any = {
    "name": "look_up",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
}
SHAPES: dict[str, tuple[Surface, Reply]] = {
    **{name: (surface, Reply("a longer answer")) for name, surface in STREAMS.items()},
    "tools": (
        Surface(
            lambda c: c.messages.create(**{**CHAT, "max_tokens": 500}, tools=[LOOK_UP], stream=True),
            "events",
        ),
        Reply(tool_calls=[ToolCall("look_up", {"place": "Oslo"})] * 3),
    ),
}


def named(kind: str, **members: Any) -> bytes:
    """A server-sent event of Anthropic's."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def piece(text: str) -> bytes:
    """An event with a piece of the answer."""
    return named("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
    "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 1},
}  # fmt: skip
START = [
    named("message_start", message=MESSAGE),
    named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
]
PIECES = [piece("0"), piece("1"), piece("2")]
END = [
    named("content_block_stop", index=0),
    named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
]
STOP = named("message_stop")
STREAM = Stream(
    pieces=[*START, *PIECES, *END],
    end=STOP,
    odd_ends={"none": [], "cut": [STOP.rstrip()], "ping": [named("ping"), STOP]},
    got=8,
    got_bare=8,
    texts=lambda got: [event.delta.text for event in got if event.type == "content_block_delta"],
    is_whole=lambda body: (
        body.startswith(b"event: message_start") and body.endswith(b"\n\n") and b"message_stop" in body
    ),
    bill_nanos=5 * 3_000 + 3 * 15_000,
)

# -- what nothing bounds, and what is free --------------------------------------------------------------

UNBOUNDED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "batches": (
        "batches",
        lambda c: c.beta.messages.batches.create(requests=[{"custom_id": "1", "params": CHAT}]),
    ),
    "sessions": ("agents", lambda c: c.post("/v1/sessions", body={"agent": "a"}, cast_to=object)),
    "events": ("agents", lambda c: c.post("/v1/sessions/s_1/events", body={}, cast_to=object)),
    "runs": ("agents", lambda c: c.post("/v1/deployments/d_1/run?beta=true", body={}, cast_to=object)),
    "schedules": ("agents", lambda c: c.post("/v1/deployments/d_1/unpause", body={}, cast_to=object)),
    "dreams": ("agents", lambda c: c.post("/v1/dreams", body={}, cast_to=object)),
    "unknown": ("other", lambda c: c.post("/v1/foundry/smelt", body={}, cast_to=object)),
    "put": ("other", lambda c: c.put("/v1/foundry/smelt", body={}, cast_to=object)),
    "converse": ("other", lambda c: c.post("/model/claude-sonnet-4-5/converse", body={}, cast_to=object)),
    "disguised": ("other", lambda c: c.post("/v1/files/../messages", body=CHAT, cast_to=object)),
}
FREE: dict[str, Callable[[Any], Any]] = {
    "count": lambda c: c.beta.messages.count_tokens(model=CHAT["model"], messages=CHAT["messages"]),
    "models": lambda c: c.get("/v1/models", cast_to=object),
    "batches": lambda c: c.beta.messages.batches.cancel("batch_1"),
    "results": lambda c: c.beta.messages.batches.retrieve("batch_1"),
    "files": lambda c: c.post("/v1/files", body={}, cast_to=object),
    "sessions": lambda c: c.post("/v1/sessions/s_1/archive", body={}, cast_to=object),
    "deployments": lambda c: c.post("/v1/deployments/d_1/pause", body={}, cast_to=object),
    "delete": lambda c: c.delete("/v1/files/file_1", cast_to=object),
}

# -- tools ----------------------------------------------------------------------------------------------


def turn(answer: Any) -> list[Any]:
    """The messages that follow an answer of the model's, if that called a tool."""
    if answer.stop_reason != "tool_use":
        return []
    (called,) = answer.content
    result = {"type": "tool_result", "tool_use_id": called.id, "content": "sunny " * 100}
    return [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]


AGENT = Agent(
    tool=LOOK_UP,
    limits=("$1", "$0.006", "$0.0001"),
    turn=turn,
    text=lambda answer: str(answer.content[0].text),
)


def asking(**members: Any) -> Surface:
    """A request with members that an early version of the SDK may not know."""
    return Surface(lambda c: c.post("/v1/messages", body={**CHAT, **members}, cast_to=object))


def saying(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """A message of the user's with these parts."""
    return [{"role": "user", "content": [{"type": "text", "text": "Read it."}, *parts]}]


HIDDEN: dict[str, dict[str, Any]] = {
    "document file": {
        "messages": saying({"type": "document", "source": {"type": "file", "file_id": "file_1"}})
    },
    "document url": {
        "messages": saying({"type": "document", "source": {"type": "url", "url": "http://x/y.pdf"}})
    },
    "document bytes": {
        "messages": saying(
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            }
        )
    },
    "upload": {"messages": saying({"type": "container_upload", "file_id": "file_1"})},
    "found before": {
        "messages": [
            *ASKED,
            {"role": "assistant", "content": [{"type": "web_search_tool_result", "content": "encrypted"}]},
        ]
    },
    "container": {"container": "container_1"},
    "thread": {"thread": {"type": "continue", "previous_message_id": "somebody_elses"}},
    "context management": {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
    "toolset": {"tools": [{"type": "computer_toolset_20260801", "display_width_px": 1}]},
}
WITHOUT_A_BOUND: dict[str, tuple[dict[str, Any], str]] = {
    "search": ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "max_uses"),
    "fetch": ({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 0}]}, "max_uses"),
    "code": ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "code_execution"),
    "advisor": ({"tools": [{"type": "advisor_20260301", "name": "advisor", "max_uses": 1}]}, "advisor"),
    "tool search": ({"tools": [{"type": "tool_search_tool_bm25_20251119", "name": "s"}]}, "tool_search"),
    "mcp toolset": ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "mcp_toolset"),
    "mcp servers": ({"mcp_servers": [{"type": "url", "url": "http://x", "name": "x"}]}, "mcp_servers"),
    "unknown": ({"tools": [{"type": "shell_of_tomorrow", "name": "s"}]}, "shell_of_tomorrow"),
    "fallbacks": ({"fallbacks": [{"model": "claude-opus-4-8"}]}, "fallbacks"),
    "compaction": ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "compaction"),
}
WINDOW = Window(
    nanos=200_000 * 3_000,
    limits=("$2", "$0.50"),
    tokens=150_000,
    hidden=HIDDEN,
    unbounded={
        name: (members, f"{named}.*session.reserve\\(cost=")
        for name, (members, named) in WITHOUT_A_BOUND.items()
    },
    asking=asking,
)

# -- all of it ------------------------------------------------------------------------------------------

SDK = ClientSdk(
    module=anthropic,
    name="Anthropic",
    adapter="bursar_anthropic._adapter",
    url="anthropic_url",
    model=MODEL,
    rates=RATES,
    snapshots={"claude-sonnet-4-5": "claude-sonnet-4-5-20250929"},
    resource=lambda c: c.messages,
    chat=CHAT,
    chat_path="/v1/messages",
    cap_is_required=True,
    one_hold="$0.0012",
    two_holds="$0.0024",
    lower_cap="$0.0019",
    clamping={"fits": ("$1", 50), "clamped": ("$0.0007", 16), "refused": ("$0.0002", None)},
    surfaces=SURFACES,
    calls={name: SURFACES[name] for name in ("messages", "messages-stream", "beta")},
    settled={name: SURFACES[name] for name in ("messages", "messages-stream", "beta-stream")},
    streams=STREAMS,
    worst_nanos={"messages": 50 * 15_000, "beta": 50 * 15_000},
    shapes=SHAPES,
    drops=("mid_stream", "error_event", "after_final_usage"),
    capped={
        "max_tokens": (lambda c: c.messages.create(**CHAT), "max_tokens"),
        "streamed": (lambda c: c.messages.create(**CHAT, stream=True), "max_tokens"),
        "extra_body": (
            lambda c: c.messages.create(**{**CHAT, "max_tokens": 9_000}, extra_body={"max_tokens": 50}),
            "max_tokens",
        ),
        "beta": (lambda c: c.beta.messages.create(**CHAT), "max_tokens"),
    },
    unreadable={"no-model": {"messages": ASKED, "max_tokens": 9}, "bytes": b"{}", "list": [1]},
    unbounded=UNBOUNDED,
    free=FREE,
    opened={
        "stream": lambda c: c.messages.with_streaming_response.create(**CHAT, stream=True),
        "beta": lambda c: c.beta.messages.with_streaming_response.create(**CHAT, stream=True),
        "document": lambda c: c.messages.with_streaming_response.create(**CHAT),
    },
    erring=("messages", "messages-stream", "messages-open", "beta"),
    statuses=(400, 401, 429, 500, 529),
    odd=("messages-stream", "messages-stream-helper", "beta-stream"),
    stream=STREAM,
    told=(SURFACES["messages-stream-helper"], lambda got: got[-1].message),
    agent=AGENT,
    window=WINDOW,
)
