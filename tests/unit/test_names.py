"""Names from outside."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.pricing.model_names import shorter_names, spelled, split_provider, undated
from bursar.values.names import MAX_NAME, check_name


@pytest.mark.parametrize(
    "name", ["x", "gpt-4o", "Zoë / 企業 🙂", "a" * MAX_NAME, " ", "us.anthropic.claude-v1:0"]
)
def test_fit_names(name: str) -> None:
    """A name of 1 to 200 printable characters is returned as it is."""
    assert check_name("model", name) is name


@pytest.mark.parametrize(
    "name", ["", "a" * (MAX_NAME + 1), "a\nb", "a\x00", "\x7f", "\x85", "a\u2028b", "\ud800", "a" * 60 + "\r"]
)
def test_unfit_names(name: str) -> None:
    """Empty, too long, control characters and lone surrogates are refused, in a short printable message."""
    with pytest.raises(ValueError, match="^model ") as refused:
        check_name("model", name)
    message = str(refused.value)
    assert len(message) < 400
    assert message.isprintable()
    message.encode()


@pytest.mark.parametrize("name", [None, 1, b"gpt-4o", ["gpt-4o"], True])
def test_names_are_text(name: object) -> None:
    """What is no str is no name, and the message says what it is."""
    with pytest.raises(ValueError, match=re.escape(type(name).__name__)):
        check_name("session id", name)


@given(st.text(max_size=300))
def test_any_text(name: str) -> None:
    """Any text is either returned or refused with a message that can be stored."""
    try:
        assert check_name("tool", name) is name
        name.encode()
    except ValueError as refused:
        str(refused).encode()


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet"),
        ("gpt-4-0613", "gpt-4"),
        ("codestral-latest", "codestral"),
        ("gpt-4o-audio-preview", "gpt-4o-audio-preview"),
        ("gpt-4o-2024-13-06", "gpt-4o-2024-13-06"),
        ("mistral-large-2411", "mistral-large-2411"),
        ("command-r-08-2024", "command-r-08-2024"),
        ("gemini-1.5-pro-002", "gemini-1.5-pro-002"),
    ],
)
def test_undated(name: str, base: str) -> None:
    """Only a date or ``-latest`` at the end is taken off, not a version that may be priced differently."""
    assert undated(name) == base


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("azure/gpt-4o", ("azure", "gpt-4o")),
        ("gemini/gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("meta-llama/llama-3", (None, "meta-llama/llama-3")),
        ("openai/", (None, "openai/")),
        ("openai", (None, "openai")),
    ],
)
def test_split_provider(name: str, split: tuple[str | None, str]) -> None:
    """Only a known provider in front of a model is one."""
    assert split_provider(name) == split


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("GPT-4o", "gpt-4o"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("claude-3.5-sonnet", "claude-3-5-sonnet"),
        ("gpt-4.1", "gpt-4.1"),
        ("accounts/fireworks/models/deepseek-v3", "deepseek-v3"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-v2:1",
            "us.anthropic.claude-v2:1",
        ),
    ],
)
def test_spelled(name: str, key: str) -> None:
    """Spellings of one name fall together; names of different models do not."""
    assert spelled(name) == key


@pytest.mark.parametrize(
    ("name", "shorter"),
    [
        ("gpt-4o", []),
        ("GPT-4o", ["gpt-4o"]),
        ("gpt-4o-audio-preview", []),
        ("openai/gpt-4o-2024-08-06", ["gpt-4o-2024-08-06", "gpt-4o"]),
        ("openrouter/anthropic/claude-3.5-sonnet",
         ["anthropic/claude-3.5-sonnet", "claude-3.5-sonnet", "claude-3-5-sonnet"]),
        ("vertex_ai/publishers/google/models/gemini-1.5-pro-002", ["gemini-1.5-pro-002", "gemini-1.5-pro"]),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", ["claude-haiku-4-5-20251001", "claude-haiku-4-5"]),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", ["gpt-4o-mini-2024-07-18", "gpt-4o-mini"]),
        ("ft:", []),
        ("arn:aws:bedrock:us-east-1:1:foundation-model/amazon.nova-pro-v1:0",
         ["amazon.nova-pro-v1:0", "nova-pro"]),
        ("mistral-large-2411", ["mistral-large"]),
        ("command-r-08-2024", ["command-r"]),
    ],
)  # fmt: skip
def test_shorter_names(name: str, shorter: list[str]) -> None:
    """A limit on a model may call it by its name without provider, version and date."""
    assert list(shorter_names(name)) == shorter


@given(st.text(max_size=200))
def test_any_name_can_be_shortened(name: str) -> None:
    """No text breaks the spelling rules, and spelling twice changes nothing more than the path in front."""
    assert spelled(undated(name)) is not None
    assert len(list(shorter_names(name))) <= 12
