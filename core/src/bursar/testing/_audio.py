"""The shapes of OpenAI for sound: speech, and transcriptions, which are sent as forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email import message_from_bytes
from typing import Any

from ._openai import OpenAI
from ._shapes import Answer, Demand, Event, required


class Speech(OpenAI):
    """``POST /v1/audio/speech``: paid by the character, and nothing is said of it."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        return Demand(len(required(body, "input", str)), 0)

    def document(self, answer: Answer) -> bytes:
        return b"ID3" + bytes(64)

    def events(self, answer: Answer) -> Iterator[Event]:
        """None: speech comes as it is."""
        return iter(())


class Transcriptions(OpenAI):
    """``POST /v1/audio/transcriptions``: paid by the token, most of them sound."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        return Demand(required(body, "file", int))

    def document(self, answer: Answer) -> dict[str, Any]:
        return {"text": answer.reply.text} | answer.reported(_usage(answer))

    def events(self, answer: Answer) -> Iterator[Event]:
        for piece in answer.reply.pieces():
            yield Event({"type": "transcript.text.delta", "delta": piece}, grows=True)
        done = {"type": "transcript.text.done", "text": answer.reply.text}
        yield Event(done | answer.reported(_usage(answer)), usage=True)


def form(payload: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a form; of a file there is its size."""
    fields: dict[str, Any] = {}
    for part in message_from_bytes(f"content-type: {content_type}\r\n\r\n".encode() + payload).walk():
        name = part.get_param("name", header="content-disposition")
        if name is not None:
            content: Any = part.get_payload(decode=True)
            fields[str(name)] = len(content) if part.get_filename() else _value(content.decode())
    return fields


def _value(text: str) -> str | bool:
    return text == "true" if text in ("true", "false") else text


def _usage(answer: Answer) -> dict[str, Any]:
    tokens = answer.tokens
    heard = tokens.audio_input
    return {
        "type": "tokens",
        "input_tokens": tokens.input,
        "input_token_details": {"text_tokens": tokens.input - heard, "audio_tokens": heard},
        "output_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }
