"""Output caps that the middleware may lower so that a call fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bursar import BursarError
from bursar.integration import CallParams

_CAP_NAMES = ("max_completion_tokens", "max_output_tokens", "max_tokens")
# Whose clients take ``max_tokens`` for one call, where the request does not show the cap.
_CAPPED_BY_MAX_TOKENS = frozenset({"anthropic", "azure", "deepseek", "groq", "mistral", "openai", "xai"})


class Lowered(BursarError):
    """No refusal: the call fits with fewer output tokens, and the middleware makes it again with that cap."""


def cap_name(request: CallParams, params: Mapping[str, Any]) -> str | None:
    """The argument that lowers the output cap of a request; None where a lower cap could spoil it.

    A model that thinks first may spend a low cap on its thoughts, and never come to an answer.
    """
    if request.hidden_output:
        return None
    for name in _CAP_NAMES:
        if params.get(name) is not None:
            return name
    return "max_tokens" if request.provider in _CAPPED_BY_MAX_TOKENS else None
