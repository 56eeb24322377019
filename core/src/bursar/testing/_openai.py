"""The shapes of OpenAI: completions of chats and texts, embeddings, pictures."""

from __future__ import annotations

import base64
import json
import math
import struct
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ._bill import Rate
from ._hosts import HOSTS, told_by
from ._script import Rejected
from ._shapes import Answer, Demand, Event, count, optional, positive, required, schema

_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
BAD = "invalid_request_error"
_DIMENSIONS = 4  # of an embedding, where the request does not say
_MOST_DIMENSIONS = 3072
_MOST_CHOICES = 128
_MOST_PICTURES = 10
_DEFAULT_CAP = 16  # of completions
_REASONING = ("o1", "o3", "o4", "gpt-5")  # how the names of models begin that refuse `max_tokens`
_CODES = {"context_length_exceeded", "invalid_value", "model_not_found", "unsupported_parameter"}


class OpenAI:
    headers: ClassVar[tuple[str, ...]] = ("authorization", "api-key")

    def error(self, status: int, kind: str, message: str, param: str | None) -> dict[str, Any]:
        code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
        error = {
            "message": message,
            "type": "requests" if status == 429 else BAD if status < 500 else "server_error",
            "param": param,
            "code": kind if kind in _CODES else code,
        }
        return {"error": error}

    def check(self, model: str, demand: Demand, read: int, size: Rate) -> None:
        """Nothing is known of the sizes of other models than those that write text."""


class Chat(OpenAI):
    """``POST /v1/chat/completions``."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        messages = required(body, "messages", list)
        for message in messages:
            if not isinstance(message, dict) or str(message.get("role")) not in _ROLES:
                raise Rejected(400, BAD, "Invalid value for 'messages[].role'.", "messages")
        if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
            message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
            raise Rejected(400, BAD, message, "max_tokens")
        optional(body, "stream_options", dict)
        if body.get("stream_options") is not None and not body.get("stream"):
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise Rejected(400, BAD, message, "stream_options")
        extras = schema(optional(body, "tools", list)) + schema(optional(body, "response_format", dict))
        capped = (name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None)
        return Demand(
            count([messages, extras], len(messages), bytes_per_token),
            positive(body, "max_completion_tokens", positive(body, "max_tokens")),
            next(capped, None),
            n=positive(body, "n", 1, most=_MOST_CHOICES) or 1,
        )

    def check(self, model: str, demand: Demand, read: int, size: Rate) -> None:
        if demand.field == "max_tokens" and model.startswith(_REASONING):
            message = (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead."
            )
            raise Rejected(400, "unsupported_parameter", message, "max_tokens")
        too_large(demand, size, "completion")
        window, cap = size.context_window or math.inf, demand.cap or 0
        most_read = most_input(model, size)
        if read <= most_read and read + cap <= window:
            return
        message = (
            f"This model's maximum context length is {window} tokens. However, you requested {read + cap} "
            f"tokens ({read} in the messages, {cap} in the completion). Please reduce the length of the "
            "messages or completion."
        )
        if most_read < min(read, window):
            message = (
                f"Input tokens exceed the configured limit of {most_read} tokens. Your messages resulted "
                f"in {read} tokens. Please reduce the length of the messages."
            )
        elif read > window or not cap:
            message = (
                f"This model's maximum context length is {window} tokens. However, your messages resulted "
                f"in {read} tokens. Please reduce the length of the messages."
            )
        raise Rejected(400, "context_length_exceeded", message, "messages")

    def document(self, answer: Answer) -> dict[str, Any]:
        reply = answer.reply
        message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
        if reply.tool_calls:
            message |= {"content": None, "tool_calls": _chat_tools(answer)}
        choices = [
            {"index": index, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
            for index in range(answer.choices)
        ]
        host = reply.host
        usage = _chat_usage(answer) if host is None else HOSTS[host].tells(answer)
        return _chat(answer, "chat.completion", choices) | answer.reported(usage)

    def events(self, answer: Answer) -> Iterator[Event]:
        host = answer.reply.host
        return self._events(answer) if host is None else told_by(host, self._events(answer), answer)

    def _events(self, answer: Answer) -> Iterator[Event]:
        asked = bool((answer.body.get("stream_options") or {}).get("include_usage"))
        asked = asked and answer.reply.host is None
        silent = {"usage": None} if asked else {}

        def chunk(
            index: int, delta: dict[str, Any], finish: str | None = None, *, grows: bool = False
        ) -> Event:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            return Event(_chat(answer, "chat.completion.chunk", [choice]) | silent, grows=grows)

        for index in range(answer.choices):
            yield chunk(index, {"role": "assistant", "content": ""})
            if answer.reply.tool_calls:
                for at, call in enumerate(_chat_tools(answer)):
                    yield chunk(index, {"tool_calls": [{"index": at, **call}]}, grows=True)
            else:
                for piece in answer.reply.pieces():
                    yield chunk(index, {"content": piece}, grows=True)
            yield chunk(index, {}, _finish(answer))
        if asked:
            last = _chat(answer, "chat.completion.chunk", []) | answer.reported(_chat_usage(answer))
            yield Event(last, usage=True)
        yield Event("[DONE]")


class Completions(OpenAI):
    """``POST /v1/completions``, for each of its prompts."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        given = body.get("prompt")
        if not isinstance(given, str | list) or not given:
            raise Rejected(400, BAD, "Missing required parameter: 'prompt'.", "prompt")
        several = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
        sizes = [len(one) if isinstance(one, list) else count(one, -1, bytes_per_token) for one in several]
        choices = positive(body, "n", 1, most=_MOST_CHOICES) or 1
        made = max(choices, positive(body, "best_of", 1) or 1)
        cap = positive(body, "max_tokens", _DEFAULT_CAP)
        every = made * len(several)
        return Demand(sum(sizes), cap, "max_tokens", max(sizes), every, shown=choices * len(several))

    def check(self, model: str, demand: Demand, read: int, size: Rate) -> None:
        window, cap = size.context_window or math.inf, demand.cap or 0
        if read + cap > window:
            message = (
                f"This model's maximum context length is {window} tokens, however you requested {read + cap} "
                f"tokens ({read} in your prompt; {cap} for the completion). Please reduce your prompt; or "
                "completion length."
            )
            raise Rejected(400, BAD, message)

    def document(self, answer: Answer) -> dict[str, Any]:
        choices = [
            _text(answer, index, answer.reply.text, _finish(answer)) for index in range(answer.choices)
        ]
        return _completion(answer, choices) | answer.reported(_chat_usage(answer))

    def events(self, answer: Answer) -> Iterator[Event]:
        asked = bool((answer.body.get("stream_options") or {}).get("include_usage"))
        silent = {"usage": None} if asked else {}
        for index in range(answer.choices):
            for piece in answer.reply.pieces():
                yield Event(_completion(answer, [_text(answer, index, piece, None)]) | silent, grows=True)
            yield Event(_completion(answer, [_text(answer, index, "", _finish(answer))]) | silent)
        if asked:
            yield Event(_completion(answer, []) | answer.reported(_chat_usage(answer)), usage=True)
        yield Event("[DONE]")


class Images(OpenAI):
    """``POST /v1/images/generations``: pictures, paid by the token."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        given = required(body, "prompt", str)
        return Demand(count(given, 0, bytes_per_token), n=positive(body, "n", 1, most=_MOST_PICTURES) or 1)

    def document(self, answer: Answer) -> dict[str, Any]:
        tokens = answer.tokens
        usage = {
            "input_tokens": tokens.input,
            "input_tokens_details": {"text_tokens": tokens.input, "image_tokens": 0},
            "output_tokens": tokens.output,
            "total_tokens": tokens.input + tokens.output,
        }
        data = [{"b64_json": "aW1hZ2U="} for _ in range(answer.choices)]
        return {"created": int(time.time()), "data": data} | answer.reported(usage)

    def events(self, answer: Answer) -> Iterator[Event]:
        """None: pictures come whole."""
        return iter(())


class Embeddings(OpenAI):
    """``POST /v1/embeddings``."""

    def demand(self, body: Mapping[str, Any], bytes_per_token: int) -> Demand:
        required(body, "model", str)
        given = body.get("input")
        if not isinstance(given, str | list) or not given:
            raise Rejected(400, BAD, "Missing required parameter: 'input'.", "input")
        if body.get("stream"):
            raise Rejected(400, BAD, "Unrecognized request argument supplied: stream", "stream")
        if body.get("encoding_format") not in (None, "float", "base64"):
            message = "Invalid value for 'encoding_format': supported are 'float' and 'base64'."
            raise Rejected(400, BAD, message, "encoding_format")
        positive(body, "dimensions", most=_MOST_DIMENSIONS)
        if isinstance(given, list) and all(isinstance(token, int) for token in given):
            return Demand(len(given), 0)
        if isinstance(given, list) and all(isinstance(one, list) for one in given):
            return Demand(sum(len(one) for one in given), 0)
        return Demand(count(given, 0, bytes_per_token), 0)

    def document(self, answer: Answer) -> dict[str, Any]:
        given = answer.body["input"]
        several = isinstance(given, list) and not isinstance(given[0], int)
        numbers = [1.0] + [0.0] * ((answer.body.get("dimensions") or _DIMENSIONS) - 1)
        vector: list[float] | str = numbers
        if answer.body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index in range(len(given) if several else 1)
        ]
        usage = {"prompt_tokens": answer.tokens.input, "total_tokens": answer.tokens.input}
        return {"object": "list", "data": data, "model": answer.model} | answer.reported(usage)

    def events(self, answer: Answer) -> Iterator[Event]:
        """None: `demand` takes no request for a stream."""
        return iter(())


def too_large(demand: Demand, size: Rate, kind: str) -> None:
    """Raises `Rejected` for a cap above the most that the model writes."""
    most = size.max_output_tokens or math.inf
    if demand.cap is not None and demand.cap > most:
        message = (
            f"{demand.field} is too large: {demand.cap}. This model supports at most {most} {kind} tokens, "
            f"whereas you provided {demand.cap}."
        )
        raise Rejected(400, "invalid_value", message, demand.field)


def most_input(model: str, size: Rate) -> float:
    """The most that a model reads: GPT-5 keeps room for all that it can write."""
    kept = (size.max_output_tokens or 0) if model.startswith("gpt-5") else 0
    return (size.context_window or math.inf) - kept


def _chat(answer: Answer, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    document = {
        "id": f"chatcmpl-{answer.number}",
        "object": kind,
        "created": int(time.time()),
        "model": answer.model,
        "choices": choices,
    }
    served_at = tier(answer)
    return document | ({"service_tier": served_at} if served_at else {})


def _completion(answer: Answer, choices: list[dict[str, Any]]) -> dict[str, Any]:
    made = {"id": f"cmpl-{answer.number}", "object": "text_completion", "created": int(time.time())}
    return {**made, "model": answer.model, "choices": choices}


def _text(_answer: Answer, index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def tier(answer: Answer) -> str | None:
    asked = answer.body.get("service_tier")
    return answer.reply.service_tier or (None if asked is None else "default" if asked == "auto" else asked)


def _finish(answer: Answer) -> str:
    natural = "tool_calls" if answer.reply.tool_calls else "stop"
    return answer.reply.finish_reason or ("length" if answer.cut else natural)


def _chat_tools(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{answer.number}_{at}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for at, call in enumerate(answer.reply.tool_calls)
    ]


def _chat_usage(answer: Answer) -> dict[str, Any]:
    tokens = answer.tokens
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cached_input,
            "cache_write_tokens": tokens.cache_write + tokens.cache_write_1h,
            "audio_tokens": tokens.audio_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": tokens.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
