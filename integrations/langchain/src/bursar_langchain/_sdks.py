"""Chat models whose requests a covered SDK sends: there the SDK holds and books what the handler promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By the last two parts of LangChain's id of the class. A subclass has another name, and may send elsewhere.
_SDKS: Mapping[tuple[str, ...], str] = {
    ("openai", "ChatOpenAI"): "openai",
    ("azure_openai", "AzureChatOpenAI"): "openai",
    ("anthropic", "ChatAnthropic"): "anthropic",
    ("xai", "ChatXAI"): "openai",
    ("deepseek", "ChatDeepSeek"): "openai",
}


def class_of(serialized: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What tells the class of a model from others."""
    return tuple(map(str, ((serialized or {}).get("id") or ())[-2:]))


def sdk_of(kind: tuple[str, ...]) -> str | None:
    """The SDK that sends the requests of a class of models; None: none that is known to."""
    return _SDKS.get(kind)
