"""The shape of OpenAI's Responses: made at once, or in the background."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ._bill import Rate
from ._openai import BAD, OpenAI, most_input, tier, too_large
from ._script import Rejected
from ._shapes import Answer, Demand, Event, count, optional, positive, required, schema

_SMALLEST_CAP = 16


class Responses(OpenAI):
    """``POST /v1/responses``."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        given = body.get("input")
        if not isinstance(given, str | list) or not given:
            raise Rejected(400, BAD, "Missing required parameter: 'input'.", "input")
        messages = 1 if isinstance(given, str) else len(given)
        extras = schema(optional(body, "tools", list)) + schema(optional(body, "text", dict))
        parts = [given, body.get("instructions"), extras]
        given = body.get("conversation")
        conversation = given.get("id") if isinstance(given, dict) else given
        stored = (body.get("previous_response_id"), conversation)
        return Demand(
            count(parts, messages + 1, bytes_per_token),
            positive(body, "max_output_tokens", least=_SMALLEST_CAP),
            "max_output_tokens",
            stored=tuple(id for id in stored if id),
            joins=conversation,
            most_runs=positive(body, "max_tool_calls", least=0),
        )

    def check(self, model: str, demand: Demand, read: int, size: Rate) -> None:
        too_large(demand, size, "output")
        if read > most_input(model, size):
            message = (
                "Your input exceeds the context window of this model. Please adjust your input and try again."
            )
            raise Rejected(400, "context_length_exceeded", message, "input")

    def document(self, answer: Answer) -> dict[str, Any]:
        if answer.body.get("background"):
            return unfinished(answer, "queued")
        return _response(answer, _items(answer))

    def events(self, answer: Answer) -> Iterator[Event]:
        sequence = itertools.count()

        def event(kind: str, *, usage: bool = False, **members: Any) -> Event:
            data = {"type": kind, "sequence_number": next(sequence), **members}
            return Event(data, named=True, usage=usage, grows=kind.endswith(".delta"))

        started = unfinished(answer, "in_progress")
        yield event("response.created", response=started)
        yield event("response.in_progress", response=started)
        for at, item in enumerate(_items(answer)):
            place = {"item_id": item["id"], "output_index": at}
            if item["type"] == "function_call":
                yield event("response.output_item.added", output_index=at, item={**item, "arguments": ""})
                yield event("response.function_call_arguments.delta", delta=item["arguments"], **place)
                yield event(
                    "response.function_call_arguments.done",
                    arguments=item["arguments"],
                    name=item["name"],
                    **place,
                )
            elif item["type"] != "message":
                yield event("response.output_item.added", output_index=at, item=item)
            else:
                part = item["content"][0]
                inside = {**place, "content_index": 0}
                yield event("response.output_item.added", output_index=at, item={**item, "content": []})
                yield event("response.content_part.added", part={**part, "text": ""}, **inside)
                for piece in answer.reply.pieces():
                    yield event("response.output_text.delta", delta=piece, logprobs=[], **inside)
                yield event("response.output_text.done", text=part["text"], logprobs=[], **inside)
                yield event("response.content_part.done", part=part, **inside)
            yield event("response.output_item.done", output_index=at, item=item)
        kind = "response.incomplete" if _incomplete(answer) else "response.completed"
        yield event(kind, response=_response(answer, _items(answer)), usage=True)


class Compact(Responses):
    """``POST /v1/responses/compact``: what was said before, made shorter; without a cap or a stream."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        for name in ("max_output_tokens", "stream"):
            if name in body:
                raise Rejected(400, BAD, f"Unknown parameter: '{name}'.", name)
        return super().demand(body, bytes_per_token)

    def document(self, answer: Answer) -> dict[str, Any]:
        whole = finished(answer)
        kept: dict[str, Any] = {name: whole[name] for name in ("id", "created_at", "usage") if name in whole}
        item = {"id": f"cmp_{answer.number}", "type": "compaction", "encrypted_content": answer.reply.text}
        return {"object": "response.compaction", "output": [item], **kept}


def _incomplete(answer: Answer) -> str | None:
    """Why an answer of Responses is not complete, or None."""
    return answer.reply.finish_reason or ("max_output_tokens" if answer.cut else None)


def unfinished(answer: Answer, status: str) -> dict[str, Any]:
    """An answer that is not made yet, or never will be."""
    return _response(answer, []) | {"status": status, "usage": None}


def finished(answer: Answer) -> dict[str, Any]:
    """One that is."""
    return _response(answer, _items(answer))


def _items(answer: Answer) -> list[dict[str, Any]]:
    reply, status = answer.reply, "incomplete" if _incomplete(answer) else "completed"
    if reply.tool_calls:
        return [
            {
                "type": "function_call",
                "id": f"fc_{answer.number}_{at}",
                "call_id": f"call_{answer.number}_{at}",
                "name": call.name,
                "arguments": json.dumps(call.arguments),
                "status": status,
            }
            for at, call in enumerate(reply.tool_calls)
        ]
    ran = [
        {"type": f"{tool}_call", "id": f"ws_{answer.number}_{tool}_{at}", "status": "completed"}
        | ({"action": {"type": "search", "query": "sky"}} if tool == "web_search" else {})
        for tool, runs in answer.tokens.runs.items()
        for at in range(runs)
    ]
    text = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    message = {"type": "message", "id": f"msg_{answer.number}", "role": "assistant", "status": status}
    return [*ran, {**message, "content": [text]}]


def _response(answer: Answer, items: list[dict[str, Any]]) -> dict[str, Any]:
    tokens, reason = answer.tokens, _incomplete(answer)
    usage = {
        "input_tokens": tokens.input,
        "input_tokens_details": {
            "cached_tokens": tokens.cached_input,
            "cache_write_tokens": tokens.cache_write + tokens.cache_write_1h,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }
    return {
        "id": f"resp_{answer.number}",
        "object": "response",
        "background": bool(answer.body.get("background")),
        "created_at": int(time.time()),
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": answer.body.get("instructions"),
        "metadata": {},
        "model": answer.model,
        "output": items,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": answer.body.get("tool_choice", "auto"),
        "tools": answer.body.get("tools", []),
        "top_p": 1.0,
        "service_tier": tier(answer) or "default",
    } | answer.reported(usage)
