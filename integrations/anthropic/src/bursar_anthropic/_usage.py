"""What Anthropic's answers say of their usage, whole and in streams."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bursar import Call, Usage
from bursar.integration import read_answer
from bursar.sdk import Reading, object_of, text_bytes

from ._threads import threads

# Families that think only when they are asked to.
_SHOWS_ALL = re.compile(r"claude-(?:v?[12]\b|instant|3|(?:opus|sonnet|haiku)-4)")
_NO_SURCHARGE = (None, "", "global", "not_available")
_IN_THE_TOTAL = (None, "message")  # kinds of iterations that the usage of the whole answer contains
_PER_ANSWER = 16  # the marks around an answer and its tool calls, which are no text


def hides_output(model: object, thinking: object) -> bool:
    """True when output may be billed that the answer does not show."""
    if isinstance(thinking, Mapping):
        return thinking.get("type") != "disabled"
    return _SHOWS_ALL.search(str(model)) is None


class MessageReading(Reading):
    """Messages. Of a stream the first event tells the input, the last but one all of the usage.

    Args:
        hidden: True when output may be billed that the answer does not show.
        threaded: True when the provider keeps the conversation, for who continues it.
        anywhere: False when the price is that of the place where the model runs.
    """

    def __init__(self, *, hidden: bool = False, threaded: bool = False, anywhere: bool = True) -> None:
        super().__init__(hidden=hidden)
        self._anywhere = anywhere
        self._threaded = threaded
        self._begun: dict[str, Any] = {}

    def whole(self, document: Mapping[str, Any]) -> None:
        self._tell(document)
        self.visible_bytes = text_bytes(document.get("content"))

    def event(self, raw: bytes) -> bytes:
        document = object_of(raw)
        kind = document.get("type")
        if kind == "message_start":
            self._begun = _mapping(document.get("message"))
            self.answer = read_answer({**self._begun, "usage": None})
        elif kind == "content_block_start":
            self.visible_bytes += text_bytes(document.get("content_block"))
        elif kind == "content_block_delta":
            delta = _mapping(document.get("delta"))
            self.visible_bytes += text_bytes({**delta, "type": None})
        elif kind == "message_delta":
            self._delta(document)
        elif kind == "message_stop":
            self.ended = True
        elif kind == "error":
            self.broken = True
        return raw

    def estimate(self, call: Call) -> Usage | None:
        begun = read_answer(self._begun).usage
        if self.hidden or begun is None or begun.flaw:
            return super().estimate(call)
        written = self.visible_bytes + _PER_ANSWER
        return replace(begun, output_tokens=min(written, call.n * call.max_output_tokens))

    def _delta(self, document: Mapping[str, Any]) -> None:
        """The end of the output: counts that are those of the whole answer, and replace the first ones."""
        reason = _mapping(document.get("delta")).get("stop_reason")
        self.stopped, self.cut = reason is not None, reason == "max_tokens"
        counts = {name: count for name, count in _mapping(document.get("usage")).items() if count is not None}
        if counts:
            self._tell({**self._begun, "usage": {**_mapping(self._begun.get("usage")), **counts}})
            self.final = self.stopped

    def _tell(self, message: Mapping[str, Any]) -> None:
        answer = read_answer(message)
        if answer.tier == "priority":
            answer = replace(answer, tier="standard")  # paid for beforehand; its list price is the same
        usage = _mapping(message.get("usage"))
        elsewhere = self._anywhere and usage.get("inference_geo") not in _NO_SURCHARGE
        if elsewhere or not _all_told(usage):
            answer, self.hidden = replace(answer, usage=None), True
        elif self._threaded and answer.id is not None and answer.usage is not None and not answer.usage.flaw:
            threads.put(answer.id[0], answer.usage)
        self.answer = answer


class CompletionReading(Reading):
    """Text completions, which never tell their usage."""

    def whole(self, document: Mapping[str, Any]) -> None:
        self.answer = read_answer(document)
        self.visible_bytes = text_bytes(document.get("completion"))

    def event(self, raw: bytes) -> bytes:
        document = object_of(raw)
        self.visible_bytes += text_bytes(document.get("completion"))
        self.ended = self.ended or document.get("stop_reason") is not None
        self.cut = self.cut or document.get("stop_reason") == "max_tokens"
        self.broken = self.broken or document.get("type") == "error"
        return raw


def _all_told(usage: Mapping[str, Any]) -> bool:
    """False when more is billed than these counts: the hold is charged then."""
    iterations = usage.get("iterations")
    kinds = [_mapping(one).get("type") for one in iterations] if isinstance(iterations, list) else []
    return all(kind in _IN_THE_TOTAL for kind in kinds)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
