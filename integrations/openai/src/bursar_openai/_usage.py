"""What OpenAI's answers say of their usage, whole and in streams."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bursar.integration import read_answer
from bursar.sdk import Alike, Reading, data_of, object_of, text_bytes

# Families that bill no output which they do not show, unless they are asked to think.
_SHOWS_ALL = re.compile(r"(^|[/:.])(gpt-3\.5|gpt-35|gpt-4|chatgpt-4o)")
_NO_USAGE = re.compile(rb',\s*"usage"\s*:\s*null|(?<=\{)\s*"usage"\s*:\s*null\s*,')
_IN_THE_MAKING = ("queued", "in_progress")
_LAST = ("response.completed", "response.incomplete", "response.failed")


def hides_output(body: Mapping[str, Any]) -> bool:
    """True when output may be billed that the answer does not show."""
    asked = body.get("reasoning") or body.get("reasoning_effort")
    return bool(asked) or not _shows_all(str(body.get("model")))


@lru_cache(1_024)
def _shows_all(model: str) -> bool:
    return _SHOWS_ALL.search(model) is not None


class CompletionReading(Reading):
    """Chat completions, completions and embeddings.

    Args:
        choices: how many were asked for.
        hidden: True when output may be billed that no answer shows.
        unasked: True when the caller did not ask for the usage of a stream, and we did.
    """

    def __init__(self, *, choices: int = 1, hidden: bool = False, unasked: bool = False) -> None:
        super().__init__(hidden=hidden)
        self._unasked = unasked
        self._going_on = set(range(choices))
        self._running = False  # usage comes with chunks that go on
        self._alike = Alike(b"content")

    def whole(self, document: Mapping[str, Any]) -> None:
        self.answer = read_answer(document)
        for choice in () if self.counted else _choices(document):
            self.visible_bytes += text_bytes(_part(choice, "message"))

    def event(self, raw: bytes) -> bytes:
        written = self._alike.size(raw)
        if written is not None:
            self.visible_bytes += written
            return _without_usage(raw) if self._unasked else raw
        if b"[DONE]" in raw and data_of(raw).startswith(b"[DONE]"):
            self.ended = True
            return raw
        document = object_of(raw)
        choices = _choices(document)
        before, reason = self.visible_bytes, None
        for choice in choices:
            self.visible_bytes += text_bytes(_part(choice, "delta"))
            reason = choice.get("finish_reason")
            if reason:  # some hosts have an empty one in chunks that go on
                self.cut = self.cut or reason == "length"
                self._going_on.discard(choice.get("index", 0))
        self.stopped = not self._going_on
        usage = _usage_of(document, choices)
        if usage or self.answer is None:
            self.report(document, usage)
        last = False
        if reason or usage or len(choices) != 1:
            self._alike.forget()
        else:
            text = _part(choices[0], "delta").get("content")
            self._alike.know(raw, text, self.visible_bytes - before)
        if usage:
            self._running = self._running or bool(choices and not self.stopped)
            last = not choices and not self._running and self.visible_bytes > 0
        self.final = self.answer is not None and self.answer.usage is not None and (self.stopped or last)
        if not self._unasked:
            return raw
        if document.get("choices") == [] and (usage or self.stopped):
            return b""  # Azure begins with one that has no choices either, and that nobody asked for
        return _without_usage(raw)


class ResponseReading(Reading):
    """Responses, made at once or in the background.

    Args:
        hidden: True when output may be billed that no answer shows.
        most_runs: the bound of ours for tools that run at the provider; None: there is none.
    """

    def __init__(self, *, hidden: bool = False, most_runs: int | None = None) -> None:
        super().__init__(hidden=hidden)
        self._most_runs = most_runs

    def whole(self, document: Mapping[str, Any]) -> None:
        id, status = document.get("id"), document.get("status")
        self.answer = read_answer(document)
        self.visible_bytes = 0 if self.counted else text_bytes(document.get("output"))
        runs = sum(self.answer.usage.requests.values()) if self.answer.usage is not None else 0
        self.cut = self._most_runs is not None and runs >= self._most_runs
        self.pending = id if status in _IN_THE_MAKING and isinstance(id, str) else None
        self.broken = status in ("failed", "cancelled") and self.answer.usage is None
        self.ended = self.pending is None and not self.broken

    def event(self, raw: bytes) -> bytes:
        document = object_of(raw)
        kind, response = document.get("type"), document.get("response")
        if isinstance(kind, str) and kind.endswith(".delta"):
            self.visible_bytes += text_bytes(document.get("delta"))
        if isinstance(response, dict):
            if kind in _LAST:
                self.whole(response)
            elif response.get("background"):
                self.pending = response.get("id")
        return raw


def _without_usage(raw: bytes) -> bytes:
    """An event without the mark that its usage is still to come: only we asked for usage."""
    raw = raw.replace(b',"usage":null', b"")  # as OpenAI writes it
    return _NO_USAGE.sub(b"", raw) if b'"usage"' in raw else raw


def _usage_of(document: Mapping[str, Any], choices: list[dict[str, Any]]) -> Any:
    """The usage that a chunk tells: by itself, below ``x_groq``, or within a choice, as Moonshot does."""
    usage = document.get("usage")
    if not usage and "x_groq" in document:
        usage = _part(document, "x_groq").get("usage")
    for choice in () if usage else choices:
        usage = usage or choice.get("usage")
    return usage or None


def _part(choice: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a choice has by a name, or its text, as a mapping."""
    part = choice.get(name)
    return part if isinstance(part, dict) else {"text": part or choice.get("text")}


def _choices(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    choices = document.get("choices")
    return [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
