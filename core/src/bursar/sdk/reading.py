"""`Reading`: reads one answer while it passes by, whole or event by event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..pricing.response import Answer, read_answer
from ..values.call import Call
from ..values.usage import Usage
from .sse import object_of

_PER_CHOICE = 16  # the marks around an answer and its tool calls, which are no text


class Reading:
    """Reads one answer, whole or event by event; an integration teaches it a provider's words.

    Attributes:
        answer: what the answer says about itself, as far as it came; None: nothing yet.
        final: True once its usage is that of the whole answer.
        stopped: True once the output is complete; its usage may still come.
        ended: True once the provider said that it is over.
        broken: True once the provider said that it will never be whole.
        pending: the id of an answer that the provider goes on making in the background.
        visible_bytes: text of the output that came so far.
        hidden: True when output may be billed that no answer shows.
        cut: True once an event said that the output ended at its cap.
    """

    def __init__(self, *, hidden: bool = False) -> None:
        self.cut = False
        self.answer: Answer | None = None
        self.final = False
        self.stopped = False
        self.ended = False
        self.broken = False
        self.pending: str | None = None
        self.visible_bytes = 0
        self.hidden = hidden

    def whole(self, document: Mapping[str, Any]) -> None:
        """Called with a whole answer."""
        raise NotImplementedError

    def event(self, raw: bytes) -> bytes:
        """Called with each event of a stream, with the blank line at its end.

        Returns:
            The bytes that the caller is to get of it; none at all for an event that only we asked for.
        """
        raise NotImplementedError

    def body(self, payload: bytes) -> None:
        """Take a whole answer as it came; one that is no JSON object says nothing of its usage."""
        self.ended = True
        try:
            document = json.loads(payload)
        except (ValueError, RecursionError):
            return
        if isinstance(document, dict):
            self.whole(document)

    def estimate(self, call: Call) -> Usage | None:
        """The most that was used, by what was seen; None where that says nothing."""
        if self.hidden:
            return None
        most = call.n * call.max_output_tokens
        written = self.visible_bytes + call.n * _PER_CHOICE
        return Usage(call.input_tokens, min(written, most) if most else 0)


class UnboundedReading(Reading):
    """What is told, if anything, by an endpoint that no budget can bound."""

    def __init__(self) -> None:
        super().__init__(hidden=True)

    def whole(self, document: Mapping[str, Any]) -> None:
        self.answer = read_answer(document)

    def event(self, raw: bytes) -> bytes:
        document = object_of(raw)
        if document.get("usage"):
            self.answer: Answer | None = read_answer(document)
            self.final = True
        return raw


def text_bytes(value: object) -> int:
    """Bytes of all text in a part of an answer, however deep."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Mapping):
        return sum(map(text_bytes, value.values()))
    if isinstance(value, list):
        return sum(map(text_bytes, value))
    return 0
