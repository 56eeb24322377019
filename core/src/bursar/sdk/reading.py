"""`Reading`: reads one answer while it passes by, whole or event by event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..pricing.counts import larger
from ..pricing.response import Answer, read_answer
from ..pricing.text import text_bytes
from ..values.call import Call
from ..values.usage import Usage
from .sse import object_of, parsed

__all__ = ["Reading", "UnboundedReading", "text_bytes"]

_PER_CHOICE = 16  # the marks around an answer and its tool calls, which are no text


class Reading:
    """Reads one answer, whole or event by event; an integration teaches it a provider's words.

    Attributes:
        answer: what the answer says about itself, as far as it came; None: nothing yet.
        told: the reports of its usage, of each number the largest.
        final: True once its usage is that of the whole answer.
        stopped: True once the output is complete; its usage may still come.
        ended: True once the provider said that it is over.
        broken: True once the provider said that it will never be whole.
        pending: the id of an answer that the provider goes on making in the background.
        visible_bytes: text of the output that came so far; not looked at where the answer counts its output.
        hidden: True when output may be billed that no answer shows.
        cut: True once an event said that the output ended at its cap.
    """

    answer: Answer | None = None
    told: object = None
    final = stopped = ended = broken = cut = False
    pending: str | None = None
    visible_bytes = 0

    def __init__(self, *, hidden: bool = False) -> None:
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
            document = parsed(payload)
        except (ValueError, RecursionError):
            return
        if isinstance(document, dict):
            self.whole(document)

    @property
    def counted(self) -> bool:
        """True where the answer counts its output, so that nobody asks how much text it has."""
        usage = None if self.answer is None else self.answer.usage
        return usage is not None and bool(usage.output_tokens)

    def report(self, document: Mapping[str, Any], usage: object) -> Answer:
        """Take a report of the usage, which may be one of several; of each number the largest counts.

        Args:
            document: what the report is a part of, and tells who answered.
            usage: the part that counts.
        """
        self.told = larger(self.told, usage)
        self.answer = read_answer({**document, "usage": self.told})
        return self.answer

    def most_seen(self, call: Call) -> int:
        """The most output that what came can be, in tokens; 0 where no output came."""
        most = call.n * call.max_output_tokens
        return most if self.hidden and self.visible_bytes else self.visible_bytes

    def estimate(self, call: Call) -> Usage | None:
        """The most that was used, by what was seen and told so far; None where that says nothing."""
        if self.hidden:
            return None
        most = call.n * call.max_output_tokens
        written = most if self.cut else self.visible_bytes + call.n * _PER_CHOICE
        seen = Usage(call.input_tokens, min(written, most) if most else 0)
        told = self.answer.usage if self.answer is not None else None
        if told is None or told.flaw or told.output_tokens <= seen.output_tokens:
            return seen
        return replace(seen, output_tokens=told.output_tokens)


class UnboundedReading(Reading):
    """What is told, if anything, by an endpoint that no budget can bound."""

    def __init__(self) -> None:
        super().__init__(hidden=True)

    def whole(self, document: Mapping[str, Any]) -> None:
        self.answer = read_answer(document)

    def event(self, raw: bytes) -> bytes:
        document = object_of(raw)
        if document.get("usage"):
            self.report(document, document["usage"])
            self.final = True
        return raw
