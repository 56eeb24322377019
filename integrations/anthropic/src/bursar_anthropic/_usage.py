"""What Anthropic's answers say of their usage, whole and in streams."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bursar import Call, Usage
from bursar.integration import read_answer
from bursar.sdk import Alike, Reading, object_of, text_bytes

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
        body: of the request.
        hidden: True when output may be billed that the answer does not show.
        threaded: True when the provider keeps the conversation, for who continues it.
        anywhere: False when the price is that of the place where the model runs.
        most_runs: the bound of ours for tools that run at the provider; None: there is none.
    """

    def __init__(
        self,
        body: Mapping[str, Any],
        *,
        hidden: bool = False,
        threaded: bool = False,
        anywhere: bool = True,
        most_runs: int | None = None,
    ) -> None:
        super().__init__(hidden=hidden)
        self._body = body
        self._most_runs = most_runs
        self._anywhere = anywhere
        self._threaded = threaded
        self._begun: dict[str, Any] = {}
        self._alike = Alike(b"text")

    def whole(self, document: Mapping[str, Any]) -> None:
        self._tell(document)
        self.visible_bytes = 0 if self.counted else text_bytes(document.get("content"))

    def event(self, raw: bytes) -> bytes:
        written = self._alike.size(raw)
        if written is not None:
            self.visible_bytes += written
            return raw
        document = object_of(raw)
        kind = document.get("type")
        if kind == "message_start":
            self._begun = _mapping(document.get("message"))
            self.answer = replace(self.report(self._begun, self._begun.get("usage")), usage=None)
        elif kind == "content_block_start":
            self.visible_bytes += text_bytes(document.get("content_block"))
        elif kind == "content_block_delta":
            delta = _mapping(document.get("delta"))
            shown = text_bytes({**delta, "type": None})
            self.visible_bytes += shown
            self._alike.know(raw, delta.get("text"), shown)
        elif kind == "message_delta":
            self._delta(document)
        elif kind == "message_stop":
            self.ended = True
        elif kind == "error":
            self.broken = True
        return raw

    def estimate(self, call: Call) -> Usage | None:
        told = read_answer({**self._begun, "usage": self.told}).usage
        if self.hidden or told is None or told.flaw:
            return super().estimate(call)
        written = min(self.visible_bytes + _PER_ANSWER, call.n * call.max_output_tokens)
        return replace(told, output_tokens=max(written, told.output_tokens))

    def _delta(self, document: Mapping[str, Any]) -> None:
        """The end of the output: counts that are those of the whole answer, and replace the first ones."""
        reason = _mapping(document.get("delta")).get("stop_reason")
        self.stopped, self.cut = bool(reason), reason == "max_tokens"
        if document.get("usage"):
            self._tell({**self._begun, "usage": document["usage"]})
            self.final = self.stopped

    def _tell(self, message: Mapping[str, Any]) -> None:
        answer = self.report(message, message.get("usage"))
        if answer.unsplit and _wants_an_hour(self._body):
            answer = answer.cached_for_an_hour()
        if answer.tier == "priority":
            answer = replace(answer, tier="standard")  # paid for beforehand; its list price is the same
        usage = _mapping(self.told)
        elsewhere = self._anywhere and usage.get("inference_geo") not in _NO_SURCHARGE
        if elsewhere or not _all_told(usage):
            answer, self.hidden = replace(answer, usage=None), True
        elif self._threaded and answer.id is not None and answer.usage is not None and not answer.usage.flaw:
            threads.put(answer.id[0], answer.usage)
        runs = sum(count for count in _mapping(usage.get("server_tool_use")).values() if type(count) is int)
        self.cut = self.cut or (self._most_runs is not None and runs >= self._most_runs)
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


def _wants_an_hour(part: object) -> bool:
    """True when any part of a request asks for a cache of an hour."""
    if isinstance(part, Mapping):
        return part.get("ttl") == "1h" or any(map(_wants_an_hour, part.values()))
    return isinstance(part, list | tuple) and any(map(_wants_an_hour, part))


def _all_told(usage: Mapping[str, Any]) -> bool:
    """False when more is billed than these counts: the hold is charged then."""
    iterations = usage.get("iterations")
    kinds = [_mapping(one).get("type") for one in iterations] if isinstance(iterations, list) else []
    return all(kind in _IN_THE_TOTAL for kind in kinds)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
