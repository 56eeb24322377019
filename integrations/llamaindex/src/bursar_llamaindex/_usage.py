"""What an answer of LlamaIndex says about the tokens that it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bursar import Usage
from bursar.integration import TOKENS_PER_ANSWER, Result, read_answer


def read_result(response: Any, *, finished: bool) -> Result:
    """Read a `ChatResponse` or a `CompletionResponse`, or the latest part of one.

    Args:
        response: None where none has arrived.
        finished: True when it has arrived as a whole.
    """
    text_tokens = _text_tokens(response)
    for place in _places(response):
        answer = read_answer(place)
        if answer.usage is not None and (answer.usage.input_tokens or answer.usage.output_tokens):
            return Result(answer.usage, answer.model, answer.tier, finished=finished, text_tokens=text_tokens)
    return Result(_counted(response), finished=finished, text_tokens=text_tokens)


def _places(response: Any) -> Iterator[Any]:
    """Where the integrations of LlamaIndex leave the provider's count."""
    raw = getattr(response, "raw", None)
    for place in (raw, getattr(raw, "response", None)):  # the last event of a stream has the whole answer
        if place is not None:
            yield place
    extra = getattr(response, "additional_kwargs", None)
    if isinstance(extra, Mapping) and extra.get("usage"):
        yield {"usage": extra["usage"]}


def _counted(response: Any) -> Usage | None:
    """The bare numbers of integrations that keep no raw answer."""
    extra = getattr(response, "additional_kwargs", None) or {}
    sent, written = extra.get("prompt_tokens"), extra.get("completion_tokens")
    return Usage(sent, written) if type(sent) is int and type(written) is int and sent + written else None


def _text_tokens(response: Any) -> int:
    """A byte-level tokenizer makes at most one token of a byte."""
    message = getattr(response, "message", None)
    if message is not None:
        size = sum(len(block.model_dump_json().encode()) for block in message.blocks)
        size += len(repr(message.additional_kwargs).encode()) if message.additional_kwargs else 0
    else:
        size = len((getattr(response, "text", None) or "").encode())
    return size + TOKENS_PER_ANSWER if size else 0
