"""Answers of providers, in the shapes that they really have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from bursar.pricing.response import Answer, read_answer
from bursar.values.usage import Usage


def as_object(value: Any) -> Any:
    """The same answer as an SDK gives it."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(part) for name, part in value.items()})
    return value


CHAT = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "usage": {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 5},
        "completion_tokens_details": {
            "reasoning_tokens": 192,
            "audio_tokens": 7,
            "accepted_prediction_tokens": 3,
            "rejected_prediction_tokens": 4,
        },
    },
}
RESPONSES = {
    "model": "o3-2025-04-16",
    "service_tier": "flex",
    "usage": {
        "input_tokens": 75,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens": 1186,
        "output_tokens_details": {"reasoning_tokens": 1024},
        "total_tokens": 1261,
    },
}
TRANSCRIPTION = {
    "text": "blue",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
        "output_tokens": 5,
        "total_tokens": 19,
    },
}
EMBEDDING = {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}}
MESSAGES = {
    "model": "claude-sonnet-4-5-20250929",
    "usage": {
        "input_tokens": 50,
        "cache_creation_input_tokens": 248,
        "cache_read_input_tokens": 1800,
        "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 503,
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "batch",
    },
}
PLAIN_MESSAGES = {
    "model": "claude-3-opus-20240229",
    "usage": {
        "input_tokens": 12,
        "output_tokens": 6,
        "cache_creation_input_tokens": None,
        "cache_read_input_tokens": 0,
        "server_tool_use": None,
        "service_tier": "standard",
    },
}
LITELLM_OF_CLAUDE = {
    "model": "claude-3-5-sonnet",
    "usage": {
        "prompt_tokens": 2098,
        "completion_tokens": 503,
        "total_tokens": 2601,
        "prompt_tokens_details": {"cached_tokens": 1800},
        "cache_read_input_tokens": 1800,
        "cache_creation_input_tokens": 248,
    },
}


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (
            CHAT,
            Answer(
                Usage(
                    2006,
                    300,
                    cached_input_tokens=1920,
                    reasoning_tokens=192,
                    audio_input_tokens=5,
                    audio_output_tokens=7,
                ),
                "gpt-4o-2024-08-06",
                "standard",
                ("chatcmpl-1", None),
            ),
        ),
        (
            RESPONSES,
            Answer(Usage(75, 1186, cached_input_tokens=64, reasoning_tokens=1024), "o3-2025-04-16", "flex"),
        ),
        (TRANSCRIPTION, Answer(Usage(14, 5, audio_input_tokens=10))),
        (EMBEDDING, Answer(Usage(8, 0), "text-embedding-3-small")),
        (
            MESSAGES,
            Answer(
                Usage(
                    2098,
                    503,
                    cached_input_tokens=1800,
                    cache_write_tokens=148,
                    cache_write_1h_tokens=100,
                    requests={"web_search": 2},
                ),
                "claude-sonnet-4-5-20250929",
                "batch",
            ),
        ),
        (PLAIN_MESSAGES, Answer(Usage(12, 6), "claude-3-opus-20240229", "standard")),
        (
            LITELLM_OF_CLAUDE,
            Answer(Usage(2098, 503, cached_input_tokens=1800, cache_write_tokens=248), "claude-3-5-sonnet"),
        ),
    ],
    ids=["chat", "responses", "transcription", "embedding", "messages", "plain messages", "litellm"],
)
def test_real_answers(response: dict[str, Any], answer: Answer) -> None:
    """Each provider's shape, as a dict or an object, is brought to one form, whose parts fit into their whole."""
    assert read_answer(response) == answer
    assert read_answer(as_object(response)) == answer
    assert answer.usage is not None
    assert answer.usage.flaw is None


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 900}, 900),
        ({"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 900}, 900),
        ({"prompt_tokens": 10, "completion_tokens": 0}, 10),
        ({"output_tokens": 10}, 10),
    ],
)
def test_partial_usage_counts(usage: dict[str, Any], tokens: int) -> None:
    """Usage in any one class is usage."""
    found = read_answer({"usage": usage}).usage
    assert found is not None
    assert found.flaw is None
    assert found.tokens == tokens


@pytest.mark.parametrize(
    "response",
    [
        None, "text", 5, b"", [], {}, pytest.param(object(), id="object"),
        {"usage": None}, {"usage": {}}, {"usage": []}, {"usage": "many"}, {"usage": 5},
        {"usage": {"prompt_tokens": None, "completion_tokens": None}},
        {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
        {"usage": {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0}},
        {"usage": {"total_tokens": 50}},
    ],
    ids=repr,
)  # fmt: skip
def test_absent_usage_is_none(response: Any) -> None:
    """An answer with no usage, an empty one or zeros has none: it is never taken for a free call."""
    assert read_answer(response).usage is None


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "10", "completion_tokens": 5},
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": float("nan"), "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        {"prompt_tokens": 2**63, "completion_tokens": 5},
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 11}},
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": "1"}},
        {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}},
        {"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 11},
        {"input_tokens": "50", "output_tokens": 5, "cache_read_input_tokens": 1},
        {"input_tokens": 50, "output_tokens": 5, "cache_read_input_tokens": "1"},
        {"input_tokens": 50, "output_tokens": 5, "cache_read_input_tokens": -100},
        {"input_tokens": 50, "output_tokens": 5, "cache_creation_input_tokens": []},
        {
            "input_tokens": 50,
            "output_tokens": 5,
            "cache_creation_input_tokens": 10,
            "cache_creation": {"ephemeral_1h_input_tokens": 11},
        },
        {
            "input_tokens": 50,
            "output_tokens": 5,
            "cache_creation_input_tokens": 10,
            "cache_creation": {"ephemeral_1h_input_tokens": "1"},
        },
        {"input_tokens": 50, "output_tokens": 5, "server_tool_use": {"web_search_requests": "2"}},
        {"input_tokens": 50, "output_tokens": 5, "server_tool_use": {"web_search_requests": -2}},
    ],
    ids=repr,
)
def test_nonsense_usage_is_kept_for_its_flaw(usage: dict[str, Any]) -> None:
    """Nonsense in any class is read without an exception, and found by `Usage.flaw`."""
    for response in ({"usage": usage}, as_object({"usage": usage})):
        found = read_answer(response).usage
        assert found is not None
        assert found.flaw is not None


def test_mock_is_nonsense() -> None:
    """An object that has every attribute is nonsense, not free."""
    found = read_answer(MagicMock())
    assert found.usage is not None
    assert found.usage.flaw is not None
    assert found.model is None
    assert found.tier is None


@pytest.mark.parametrize(
    ("response", "tier"),
    [
        ({"service_tier": "batch"}, "batch"),
        ({"service_tier": "flex"}, "flex"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "default"}, "standard"),
        ({"service_tier": "auto"}, "standard"),
        ({"service_tier": "standard"}, "standard"),
        ({"service_tier": None}, None),
        ({"service_tier": ["flex"]}, None),
        ({"usage": {"service_tier": "priority"}}, "priority"),
        ({"usage": {"service_tier": "standard"}}, "standard"),
        ({"usage": {"service_tier": "standard", "speed": "fast"}}, "fast"),
        ({"usage": {"service_tier": "standard", "speed": "standard"}}, "standard"),
        ({}, None),
    ],
)
def test_tier(response: dict[str, Any], tier: str | None) -> None:
    """The tier is that of the answer or of its usage; one that is not known, or not told, is None."""
    assert read_answer(response).tier == tier


@pytest.mark.parametrize(
    ("model", "read"), [("gpt-4o", "gpt-4o"), (None, None), (5, None), (b"gpt-4o", None)]
)
def test_model(model: Any, read: str | None) -> None:
    """The model is read where it is text."""
    assert read_answer({"model": model}).model == read


@pytest.mark.parametrize(
    ("response", "id"),
    [
        ({"id": "chatcmpl-1", "created": 1_750_000_000}, ("chatcmpl-1", 1_750_000_000)),
        ({"id": "resp_1", "created_at": 1_750_000_000.5}, ("resp_1", 1_750_000_000.5)),
        ({"id": "msg_1"}, ("msg_1", None)),
        ({"id": "x", "created": ["now"]}, ("x", None)),
        ({"id": 5, "created": 1}, None),
        ({}, None),
    ],
)
def test_id(response: dict[str, Any], id: object) -> None:
    """An answer is told from others by its name and the moment of its making, where it has a name."""
    assert read_answer(response).id == id


def test_runs_of_hosted_tools() -> None:
    """The runs that Responses lists among its output are counted: searches, but not the pages it opens."""
    output = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "web_search_call"},
        {"type": "file_search_call"},
        {"type": "message", "content": []},
        {"type": ["odd"]},
        "odd",
    ]
    response = {**RESPONSES, "output": output}
    usage = read_answer(response).usage
    assert usage is not None and usage.requests == {"web_search": 2, "file_search": 1}
