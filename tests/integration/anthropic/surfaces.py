"""Every surface of the Anthropic SDK that is paid for."""

from __future__ import annotations

from typing import Any

from anthropic.resources.messages import Messages
from pydantic import BaseModel

from ..client_contract.surface import Surface

ASKED: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]
MODEL = "claude-sonnet-4-5"
CHAT: dict[str, Any] = {"model": MODEL, "messages": ASKED, "max_tokens": 50}
TEXT: dict[str, Any] = {
    "model": "claude-2.1", "prompt": "\n\nHuman: Why is the sky blue?\n\nAssistant:", "max_tokens_to_sample": 50,
}  # fmt: skip


class Word(BaseModel):
    """What the structured calls ask for; the provider of these tests always says it."""

    word: str


SURFACES: dict[str, Surface] = {
    "messages": Surface(lambda c: c.messages.create(**CHAT)),
    "messages-stream": Surface(lambda c: c.messages.create(**CHAT, stream=True), "events"),
    "messages-stream-helper": Surface(lambda c: c.messages.stream(**CHAT), "manager"),
    "messages-raw": Surface(lambda c: c.messages.with_raw_response.create(**CHAT), "raw"),
    "messages-raw-stream": Surface(
        lambda c: c.messages.with_raw_response.create(**CHAT, stream=True), "raw-events"
    ),
    "messages-open": Surface(lambda c: c.messages.with_streaming_response.create(**CHAT), "opened"),
    "messages-open-stream": Surface(
        lambda c: c.messages.with_streaming_response.create(**CHAT, stream=True), "opened-lines"
    ),
    "beta": Surface(lambda c: c.beta.messages.create(**CHAT)),
    "beta-stream": Surface(lambda c: c.beta.messages.create(**CHAT, stream=True), "events"),
    "beta-raw": Surface(lambda c: c.beta.messages.with_raw_response.create(**CHAT), "raw"),
    "post": Surface(lambda c: c.post("/v1/messages", body=CHAT, cast_to=object)),
    "with-options": Surface(lambda c: c.with_options(timeout=20).messages.create(**CHAT)),
    "copy": Surface(lambda c: c.copy().beta.messages.create(**CHAT)),
}
if hasattr(Messages, "parse"):  # younger than the floor
    SURFACES |= {
        "messages-parse": Surface(lambda c: c.messages.parse(**CHAT, output_format=Word)),
        "beta-parse": Surface(lambda c: c.beta.messages.parse(**CHAT, output_format=Word)),
        "beta-stream-helper": Surface(lambda c: c.beta.messages.stream(**CHAT), "manager"),
    }
