"""The shapes of Anthropic: messages, and the text completions of the first models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ._bill import Rate
from ._script import Rejected
from ._shapes import Answer, Demand, Event, count, optional, positive, required, schema

_BAD = "invalid_request_error"
_TOOL_PREAMBLE = 346  # what Anthropic adds once a request has tools
_SMALLEST_THINKING = 1024
# Before Claude 4.5 a prompt and a cap that exceed the window were refused; since then the answer ends there.
_BEFORE_4_5 = re.compile(r"claude-(?:3|(?:sonnet|opus)-4(?!-[4-9]\b))")


class Messages:
    """``POST /v1/messages``. Input tokens are reported without those of the cache."""

    headers: ClassVar[tuple[str, ...]] = ("x-api-key", "authorization", "api-key")

    def error(self, status: int, kind: str, message: str, param: str | None) -> dict[str, Any]:
        kinds = {
            401: "authentication_error",
            403: "permission_error",
            404: "not_found_error",
            413: "request_too_large",
            429: "rate_limit_error",
            529: "overloaded_error",
        }
        kind = kinds.get(status, _BAD if status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        messages = required(body, "messages", list)
        for message in messages:
            if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
                raise Rejected(400, _BAD, "messages: Unexpected role. Use the top-level `system` parameter.")
        cap = positive(body, "max_tokens")
        if cap is None:
            raise Rejected(400, _BAD, "max_tokens: Field required")
        thinking = optional(body, "thinking", dict)
        if thinking.get("type") == "enabled":
            budget = positive(thinking, "budget_tokens", 0) or 0
            if not _SMALLEST_THINKING <= budget < cap:
                message = (
                    "`max_tokens` must be greater than `thinking.budget_tokens`, which is 1024 at the least"
                )
                raise Rejected(400, _BAD, message)
        tools = optional(body, "tools", list)
        preamble = _TOOL_PREAMBLE if tools else 0
        parts = [messages, body.get("system"), schema(tools)]
        uses = [tool.get("max_uses") for tool in tools if isinstance(tool, dict)]
        most = sum(use for use in uses if use is not None)
        read = count(parts, len(messages) + 1, bytes_per_token) + preamble
        before = optional(body, "thread", dict).get("previous_message_id")
        return Demand(
            read,
            cap,
            "max_tokens",
            stored=(before,) if before else (),
            most_runs=most if any(use is not None for use in uses) else None,
        )

    def check(self, model: str, demand: Demand, read: int, size: Rate) -> None:
        cap, most, window = demand.cap or 0, size.max_output_tokens, size.context_window
        if most is not None and cap > most:
            message = (
                f"{demand.field}: {cap} > {most}, "
                f"which is the maximum allowed number of output tokens for {model}"
            )
            raise Rejected(400, _BAD, message)
        if window is not None and read > window:
            raise Rejected(400, _BAD, f"prompt is too long: {read} tokens > {window} maximum")
        if window is not None and read + cap > window and _BEFORE_4_5.search(model):
            message = (
                f"input length and `{demand.field}` exceed context limit: {read} + {cap} > {window}, "
                f"decrease input length or `{demand.field}` and try again"
            )
            raise Rejected(400, _BAD, message)

    def document(self, answer: Answer) -> dict[str, Any]:
        return _message(answer, _blocks(answer), _stop(answer)) | answer.reported(_usage(answer))

    def events(self, answer: Answer) -> Iterator[Event]:
        def event(kind: str, *, final: bool = False, **members: Any) -> Event:
            data = {"type": kind, **members}
            return Event(data, named=True, usage=final, grows=kind == "content_block_delta")

        started = answer.reported(_usage_so_far(answer))
        yield event("message_start", message=_message(answer, [], None) | started)
        yield event("ping")
        for index, block in enumerate(_blocks(answer)):
            if block["type"] == "tool_use":
                yield event("content_block_start", index=index, content_block={**block, "input": {}})
                deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
            else:
                yield event("content_block_start", index=index, content_block={**block, "text": ""})
                deltas = [{"type": "text_delta", "text": piece} for piece in answer.reply.pieces()]
            for delta in deltas:
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        ended = {"stop_reason": _stop(answer), "stop_sequence": None}
        yield event("message_delta", final=True, delta=ended, **answer.reported(_usage(answer)))
        yield event("message_stop")


class Complete(Messages):
    """``POST /v1/complete``. It bills its tokens, and tells nothing of them."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        prompt = required(body, "prompt", str)
        cap = positive(body, "max_tokens_to_sample")
        if cap is None:
            raise Rejected(400, _BAD, "max_tokens_to_sample: Field required")
        return Demand(count(prompt, 0, bytes_per_token), cap, "max_tokens_to_sample")

    def document(self, answer: Answer) -> dict[str, Any]:
        return _completion(answer, answer.reply.text, "max_tokens" if answer.cut else "stop_sequence")

    def events(self, answer: Answer) -> Iterator[Event]:
        for piece in answer.reply.pieces():
            yield Event(_completion(answer, piece, None), named=True, grows=True)
        yield Event(_completion(answer, "", "stop_sequence"), named=True)


def _completion(answer: Answer, text: str, stop: str | None) -> dict[str, Any]:
    return {
        "type": "completion",
        "id": f"compl_{answer.number}",
        "completion": text,
        "stop_reason": stop,
        "model": answer.model,
    }


def _message(answer: Answer, content: list[dict[str, Any]], stop: str | None) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.number}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    if answer.reply.finish_reason == "refusal" and not answer.reply.text:
        return []
    if not answer.reply.tool_calls:
        return [{"type": "text", "text": answer.reply.text}]
    return [
        {
            "type": "tool_use",
            "id": f"toolu_{answer.number}_{at}",
            "name": call.name,
            "input": dict(call.arguments),
        }
        for at, call in enumerate(answer.reply.tool_calls)
    ]


def _stop(answer: Answer) -> str:
    natural = "tool_use" if answer.reply.tool_calls else "end_turn"
    ended = "model_context_window_exceeded" if answer.full else "max_tokens" if answer.cut else natural
    return answer.reply.finish_reason or ended


def _usage(answer: Answer) -> dict[str, Any]:
    tokens, tier = answer.tokens, answer.reply.service_tier or "standard"
    ran = {f"{tool}_requests": tokens.runs.get(tool, 0) for tool in ("web_search", "web_fetch")}
    return {
        "input_tokens": tokens.fresh_input,
        "cache_creation_input_tokens": tokens.cache_write + tokens.cache_write_1h,
        "cache_read_input_tokens": tokens.cached_input,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "output_tokens": tokens.output,
        **({"service_tier": "standard", "speed": "fast"} if tier == "fast" else {"service_tier": tier}),
        **({"server_tool_use": ran} if tokens.runs else {}),
    }


def _usage_so_far(answer: Answer) -> dict[str, Any]:
    """What the first event of a stream tells: nothing of what tools of the provider's will add."""
    usage = _usage(answer)
    usage.pop("server_tool_use", None)
    readings = 1 + sum(answer.tokens.runs.values())
    return {
        **usage,
        "input_tokens": usage["input_tokens"] // readings,
        "output_tokens": min(1, usage["output_tokens"]),
    }
