"""Chat models whose requests a covered SDK sends: there the SDK holds and books what the handler promises."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bursar.integration import covered_sdks

_logger = logging.getLogger("bursar")

# By the last two parts of LangChain's id of the class. A subclass has another name, and may send elsewhere.
_SDKS: Mapping[tuple[str, ...], str] = {
    ("openai", "ChatOpenAI"): "openai",
    ("azure_openai", "AzureChatOpenAI"): "openai",
    ("anthropic", "ChatAnthropic"): "anthropic",
    ("xai", "ChatXAI"): "openai",
    ("deepseek", "ChatDeepSeek"): "openai",
}
_elsewhere: set[tuple[str, ...]] = set()  # classes whose answers came around the SDK


def class_of(serialized: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What tells the class of a model from others."""
    return tuple(map(str, ((serialized or {}).get("id") or ())[-2:]))


def is_sent_by_covered_sdk(kind: tuple[str, ...]) -> bool:
    """True for a class of models whose requests a covered SDK sends, as far as is known.

    Raises:
        BursarError: the SDK cannot be covered.
    """
    sdk = _SDKS.get(kind)
    return sdk is not None and kind not in _elsewhere and sdk in covered_sdks(sdk)


def came_around(kind: tuple[str, ...]) -> None:
    """An answer of such a model came although no covered SDK sent its request: from now on it is held."""
    if kind not in _elsewhere:
        _elsewhere.add(kind)
        _logger.error(
            "%s did not send its request through the covered SDK (a client of its own, or a subclass of it):"
            " the answer is booked, and every further call of this class is held at its worst case",
            ".".join(kind),
        )
