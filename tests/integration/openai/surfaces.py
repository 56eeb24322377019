"""Every surface of the OpenAI SDK that is paid for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

import bursar

from ..client_contract.surface import Surface

ASKED = [{"role": "user", "content": "Why is the sky blue?"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": ASKED, "max_tokens": 50}
TEXT: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": "Why is the sky blue?", "max_tokens": 50}
RESPONSE: dict[str, Any] = {"model": "gpt-4o", "input": "Why is the sky blue?", "max_output_tokens": 50}
EMBEDDING: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["sky", "blue"]}

# What the user says of models whose endpoints nothing bounds by itself.
PRICES = {
    "gpt-image-1": bursar.Price(10, 40, max_output_tokens=60),
    "tts-1": bursar.Price(15, 0),
    "gpt-4o-transcribe": bursar.Price(
        "2.50", 10, audio_input="2.50", context_window=16_000, max_output_tokens=2_000
    ),
}
SOUND = ("a.wav", b"RIFF" * 100)


class Word(BaseModel):
    """What the structured calls ask for; the provider of these tests always says it."""

    word: str


def parsing(client: Any) -> Any:
    """Where `parse` and `stream` of chat completions live: early versions have them in beta only."""
    chat = client.chat.completions
    return chat if hasattr(chat, "parse") else client.beta.chat.completions


SURFACES: dict[str, Surface] = {
    "chat": Surface(lambda c: c.chat.completions.create(**CHAT)),
    "chat-stream": Surface(lambda c: c.chat.completions.create(**CHAT, stream=True), "events"),
    "chat-parse": Surface(lambda c: parsing(c).parse(**CHAT, response_format=Word)),
    "chat-stream-helper": Surface(lambda c: parsing(c).stream(**CHAT), "manager"),
    "chat-raw": Surface(lambda c: c.chat.completions.with_raw_response.create(**CHAT), "raw"),
    "chat-raw-stream": Surface(
        lambda c: c.chat.completions.with_raw_response.create(**CHAT, stream=True), "raw-events"
    ),
    "chat-open": Surface(lambda c: c.chat.completions.with_streaming_response.create(**CHAT), "opened"),
    "chat-open-stream": Surface(
        lambda c: c.chat.completions.with_streaming_response.create(**CHAT, stream=True), "opened-lines"
    ),
    "completions": Surface(lambda c: c.completions.create(**TEXT)),
    "completions-stream": Surface(lambda c: c.completions.create(**TEXT, stream=True), "events"),
    "responses": Surface(lambda c: c.responses.create(**RESPONSE)),
    "responses-stream": Surface(lambda c: c.responses.create(**RESPONSE, stream=True), "events"),
    "responses-parse": Surface(lambda c: c.responses.parse(**RESPONSE, text_format=Word)),
    "responses-stream-helper": Surface(lambda c: c.responses.stream(**RESPONSE), "manager"),
    "responses-raw": Surface(lambda c: c.responses.with_raw_response.create(**RESPONSE), "raw"),
    "responses-open": Surface(lambda c: c.responses.with_streaming_response.create(**RESPONSE), "opened"),
    "responses-raw-stream": Surface(
        lambda c: c.responses.with_raw_response.create(**RESPONSE, stream=True), "raw-events"
    ),
    "responses-open-stream": Surface(
        lambda c: c.responses.with_streaming_response.create(**RESPONSE, stream=True), "opened-lines"
    ),
    "responses-compact": Surface(
        lambda c: c.post("/responses/compact", body={"model": "gpt-4o", "input": "sky"}, cast_to=object)
    ),
    "completions-raw": Surface(lambda c: c.completions.with_raw_response.create(**TEXT), "raw"),
    "embeddings": Surface(lambda c: c.embeddings.create(**EMBEDDING)),
    "embeddings-raw": Surface(lambda c: c.embeddings.with_raw_response.create(**EMBEDDING), "raw"),
    "embeddings-open": Surface(lambda c: c.embeddings.with_streaming_response.create(**EMBEDDING), "opened"),
    "images": Surface(lambda c: c.images.generate(model="gpt-image-1", prompt="sky", n=2)),
    "images-raw": Surface(
        lambda c: c.images.with_raw_response.generate(model="gpt-image-1", prompt="sky"), "raw"
    ),
    "transcriptions": Surface(lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND)),
    "post": Surface(lambda c: c.post("/chat/completions", body=CHAT, cast_to=object)),
    "with-options": Surface(lambda c: c.with_options(timeout=20).chat.completions.create(**CHAT)),
    "copy": Surface(lambda c: c.copy().responses.create(**RESPONSE)),
}
