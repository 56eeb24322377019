"""The OpenAI SDK, as the suite of every client knows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai

from bursar.testing import Rate, Reply, ToolCall

from ..client_contract.sdk import Agent, ClientSdk, Stream, Window
from ..client_contract.surface import Surface
from .surfaces import ASKED, CHAT, PRICES, RESPONSE, SURFACES, TEXT

RATES = {
    "gpt-4o": Rate("2.50", "10", "1.25", runs={"web_search": "0.01", "file_search": "0.0025"}),
    "gpt-4o-mini": Rate("0.15", "0.60", "0.075"),
    "gpt-5": Rate("1.25", "10", "0.125"),
    "gpt-3.5-turbo-instruct": Rate("1.50", "2"),
    "text-embedding-3-small": Rate("0.02", "0"),
    "gpt-image-1": Rate("10", "40"),
    "gpt-4o-transcribe": Rate("2.50", "10"),
    "tts-1": Rate("15", "0"),
    "home-made": Rate("1", "2"),
}

# -- streams ------------------------------------------------------------------------------------------

STREAMS = {
    "chat": SURFACES["chat-stream"],
    "completions": SURFACES["completions-stream"],
    "responses": SURFACES["responses-stream"],
}
LOOK_UP: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    },
}
SHAPES: dict[str, tuple[Surface, Reply]] = {
    **{name: (surface, Reply("a longer answer")) for name, surface in STREAMS.items()},
    "choices": (
        Surface(lambda c: c.chat.completions.create(**CHAT, n=3, stream=True), "events"),
        Reply("a longer answer"),
    ),
    "tools": (
        Surface(
            lambda c: c.chat.completions.create(**{**CHAT, "max_tokens": 500}, tools=[LOOK_UP], stream=True),
            "events",
        ),
        Reply(tool_calls=[ToolCall("look_up", {"place": "Oslo"})] * 3),
    ),
}
EVENTS = [
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":'
    b'[{"index":0,"delta":{"content":"%d"},"finish_reason":null}],"usage":null}\n\n' % number
    for number in range(3)
]
USAGE = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}\n\n'
STREAM = Stream(
    pieces=[*EVENTS, USAGE],
    end=b"data: [DONE]\n\n",
    odd_ends={"none": [], "cut": [b"data: [DONE]"]},
    got=3,  # without the usage, which nobody but we asked for
    got_bare=4,
    texts=lambda got: [
        event.choices[0].delta.content for event in got if "usage" not in event.model_dump(exclude_unset=True)
    ],
    is_whole=lambda body: body.endswith(b"data: [DONE]\n\n") and b'"usage"' not in body,
    bill_nanos=5 * 2_500 + 3 * 10_000,
)

# -- what nothing bounds, and what is free --------------------------------------------------------------

UNBOUNDED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "images": ("images", lambda c: c.images.generate(model="gpt-image-1", prompt="sky")),
    "speech": ("audio", lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="sky")),
    "transcription": (
        "audio", lambda c: c.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))
    ),
    "batches": (
        "batches",
        lambda c: c.batches.create(
            input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
        ),
    ),
    "fine-tuning": (
        "fine-tuning", lambda c: c.fine_tuning.jobs.create(model="gpt-4o", training_file="file-1")
    ),
    "realtime": ("realtime", lambda c: c.post("/realtime/client_secrets", body={}, cast_to=object)),
    "videos": ("videos", lambda c: c.post("/videos", body={"prompt": "sky"}, cast_to=object)),
    "stores": ("stores", lambda c: c.post("/vector_stores", body={}, cast_to=object)),
    "runs": ("agents", lambda c: c.beta.threads.create_and_run(assistant_id="asst_1")),
    "containers": ("containers", lambda c: c.post("/containers", body={"name": "box"}, cast_to=object)),
    "evals": ("evals", lambda c: c.post("/evals/eval_1/runs", body={}, cast_to=object)),
    "unknown": ("other", lambda c: c.post("/foundry/smelt", body={}, cast_to=object)),
    "put": ("other", lambda c: c.put("/foundry/smelt", body={}, cast_to=object)),
    "content": ("other", lambda c: c.post("/chat/../chat/completions", body=CHAT, cast_to=object)),
}  # fmt: skip
FREE: dict[str, Callable[[Any], Any]] = {
    "moderations": lambda c: c.moderations.create(input="sky"),
    "models": lambda c: c.models.retrieve("gpt-4o"),
    "files": lambda c: c.files.create(file=("a.jsonl", b"{}"), purpose="batch"),
    "uploads": lambda c: c.uploads.cancel("upload_1"),
    "batches": lambda c: c.batches.cancel("batch_1"),
    "jobs": lambda c: c.fine_tuning.jobs.cancel("job_1"),
    "count": lambda c: c.post("/responses/input_tokens", body=RESPONSE, cast_to=object),
    "delete": lambda c: c.responses.delete("resp_1"),
    "threads": lambda c: c.beta.threads.create(),
}

# -- tools ----------------------------------------------------------------------------------------------


def turn(answer: Any) -> list[Any]:
    """The messages that follow an answer of the model's, if that called a tool."""
    message = answer.choices[0].message
    if not message.tool_calls:
        return []
    (called,) = message.tool_calls
    return [message, {"role": "tool", "tool_call_id": called.id, "content": "sunny"}]


AGENT = Agent(
    tool=LOOK_UP,
    limits=("$1", "$0.003", "$0.0001"),
    turn=turn,
    text=lambda answer: str(answer.choices[0].message.content),
)
HIDDEN: dict[str, dict[str, Any]] = {
    "conversation": {"conversation": "conv_1"},
    "prompt": {"prompt": {"id": "pmpt_1"}},
    "file id": {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
    "file url": {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://x/y"}]}]},
    "reference": {"input": [{"type": "item_reference", "id": "msg_1"}]},
    "screenshot": {
        "input": [
            {
                "type": "computer_call_output",
                "call_id": "c_1",
                "output": {"type": "computer_screenshot", "file_id": "file-1"},
            }
        ]
    },
    "earlier search": {"input": [{"type": "file_search_call", "id": "fs_1"}]},
    "shell": {"tools": [{"type": "local_shell"}]},
    "computer": {"tools": [{"type": "computer_use_preview", "display_width": 1, "display_height": 1}]},
}
WINDOW = Window(
    nanos=128_000 * 2_500,  # gpt-4o
    limits=("$1", "$0.30"),
    tokens=100_000,
    hidden=HIDDEN,
    unbounded={
        "search": ({"tools": [{"type": "web_search"}]}, "max_tool_calls="),
        "mcp": (
            {"tools": [{"type": "mcp", "server_label": "x", "server_url": "http://x"}]},
            "session.reserve\\(cost=",
        ),
        "code": ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "max_tool_calls="),
        "pictures": ({"tools": [{"type": "image_generation"}]}, "session.reserve\\(cost="),
        "unknown": ({"tools": [{"type": "shell_of_tomorrow"}]}, "session.reserve\\(cost="),
    },
    asking=lambda **members: Surface(
        lambda c: c.post("/responses", body={**RESPONSE, **members}, cast_to=object)
    ),
)

# -- all of it ------------------------------------------------------------------------------------------

SDK = ClientSdk(
    module=openai,
    name="OpenAI",
    adapter="bursar_openai._adapter",
    url="openai_url",
    model="gpt-4o",
    rates=RATES,
    snapshots={"gpt-4o": "gpt-4o-2024-08-06"},
    prices=PRICES,
    resource=lambda c: c.chat.completions,
    chat=CHAT,
    chat_path="/chat/completions",
    cap_is_required=False,
    one_hold="$0.0008",
    two_holds="$0.0016",
    lower_cap="$0.0012",
    clamping={"fits": ("$1", 50), "clamped": ("$0.0005", 16), "refused": ("$0.0001", None)},
    surfaces=SURFACES,
    calls={name: SURFACES[name] for name in ("chat", "chat-stream", "responses")},
    settled={name: SURFACES[name] for name in ("chat", "chat-stream", "responses", "responses-stream")},
    streams=STREAMS,
    worst_nanos={"chat": 50 * 10_000, "completions": 50 * 2_000, "responses": 50 * 10_000},
    shapes=SHAPES,
    drops=("mid_stream", "after_final_usage"),
    capped={
        "max_tokens": (lambda c: c.chat.completions.create(**CHAT), "max_tokens"),
        "streamed": (lambda c: c.chat.completions.create(**CHAT, stream=True), "max_tokens"),
        "max_completion_tokens": (
            lambda c: c.chat.completions.create(model="gpt-4o", messages=ASKED, max_completion_tokens=50),
            "max_completion_tokens",
        ),
        "extra_body": (
            lambda c: c.chat.completions.create(
                model="gpt-4o", messages=ASKED, extra_body={"max_tokens": 50}
            ),
            "max_tokens",
        ),
        "responses": (lambda c: c.responses.create(**RESPONSE), "max_output_tokens"),
    },
    unreadable={
        "no-model": {"messages": ASKED},
        "tier": {"model": "gpt-4o", "messages": ASKED, "service_tier": "ultrafast"},
        "bytes": b"{}",
        "list": [1],
    },
    unbounded=UNBOUNDED,
    untold=("speech",),  # its answer is sound alone
    free=FREE,
    opened={
        "chat": lambda c: c.chat.completions.with_streaming_response.create(**CHAT, stream=True),
        "chat-usage": lambda c: c.chat.completions.with_streaming_response.create(
            **CHAT, stream=True, stream_options={"include_usage": True}
        ),
        "completions": lambda c: c.completions.with_streaming_response.create(**TEXT, stream=True),
        "responses": lambda c: c.responses.with_streaming_response.create(**RESPONSE, stream=True),
        "document": lambda c: c.chat.completions.with_streaming_response.create(**CHAT),
    },
    erring=("chat", "chat-stream", "chat-open", "responses", "embeddings"),
    statuses=(400, 401, 429, 500),
    odd=("chat-stream", "chat-stream-helper", "responses-stream"),
    stream=STREAM,
    told=(
        Surface(
            lambda c: c.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}),
            "events",
        ),
        lambda got: got[-1],
    ),
    agent=AGENT,
    window=WINDOW,
)
