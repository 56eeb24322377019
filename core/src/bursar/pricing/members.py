"""The members of what a provider answers: a dict, or an object of whatever library."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import GetSetDescriptorType
from typing import Any

# All names that a reader of answers asks for. A class that has one of them itself, perhaps as a property, is
# asked by `getattr`.
NAMES = frozenset({
    "action", "audio", "audio_tokens", "billed_units", "cacheReadInputTokens", "cacheWriteInputTokens",
    "cache_creation", "cache_creation_input_tokens", "cache_read", "cache_read_input_tokens",
    "cache_write_tokens", "cached_content_token_count", "cachedContentTokenCount", "cached_tokens",
    "candidates", "candidatesTokenCount", "candidates_token_count", "choices", "citation_tokens",
    "completion_tokens", "completion_tokens_details", "content", "cost", "cost_details",
    "cost_in_usd_ticks", "created", "created_at", "ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens",
    "finishReason", "finish_reason", "id", "incomplete_details", "inputTokens", "input_token_details",
    "input_tokens", "input_tokens_details", "is_byok", "message", "meta", "modality", "model",
    "modelVersion", "model_version", "num_search_queries", "output", "outputTokens", "output_token_details",
    "output_tokens", "output_tokens_details", "promptTokenCount", "promptTokensDetails",
    "prompt_cache_hit_tokens", "prompt_token_count", "prompt_tokens", "prompt_tokens_details", "reason",
    "reasoning", "reasoning_tokens", "responseId", "response_id", "server_tool_use", "service_tier",
    "speed", "stopReason", "stop_reason", "text", "thoughtsTokenCount", "thoughts_token_count",
    "tokenCount", "token_count", "tokens", "toolUsePromptTokenCount", "tool_use_prompt_token_count",
    "totalTokenCount", "totalTokens", "total_cost", "total_token_count", "total_tokens", "type",
    "upstream_inference_cost", "usage", "usageMetadata", "usage_metadata", "value", "web_search_requests",
})  # fmt: skip

_ASKED, _PLAIN, _PYDANTIC = range(3)  # how the objects of a class tell their members
_CACHE_SIZE = 1_024

_classes: dict[type, int] = {}


def get(holder: object, name: str) -> Any:
    """A member of an object or a dict; None where there is none."""
    if type(holder) is dict:  # seen at once, where an abstract class takes its time
        return holder.get(name)
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def first(holder: object, name: str, *others: str) -> Any:
    """The first of these members that is there."""
    value = holder.get(name) if type(holder) is dict else get(holder, name)
    if value is not None or not others:
        return value
    return first(holder, *others)


def members(holder: object) -> Any:
    """The dict of an object's members, where it has all that `get` finds of `NAMES`; else the object itself.

    To ask a model of Pydantic for what it does not have takes it a function of Python and an error.
    """
    kind = type(holder)
    if kind is dict:
        return holder
    how = _classes.get(kind)
    if how is None:
        if len(_classes) >= _CACHE_SIZE:
            _classes.clear()
        how = _classes[kind] = _how(kind)
    if how == _ASKED:
        return holder
    found: object = vars(holder)
    more = getattr(holder, "__pydantic_extra__", None) if how == _PYDANTIC else None
    if type(found) is not dict or (more is not None and type(more) is not dict):
        return holder
    return {**more, **found} if more else found


def _how(kind: type) -> int:
    """How objects of a class are read: from their dict, also from Pydantic's extras, or only by `getattr`."""
    own = [vars(cls) for cls in kind.__mro__ if cls is not object]
    places = [known["__dict__"] for known in own if "__dict__" in known]
    odd = any(
        "__getattribute__" in known or "__class__" in known or not NAMES.isdisjoint(known) for known in own
    )
    if odd or not places or not all(isinstance(place, GetSetDescriptorType) for place in places):
        return _ASKED
    if issubclass(kind, Mapping):
        return _ASKED
    ask = next((known["__getattr__"] for known in own if "__getattr__" in known), None)
    if ask is None:
        return _PLAIN
    base = getattr(sys.modules.get("pydantic.main"), "BaseModel", object)
    return _PYDANTIC if ask is vars(base).get("__getattr__") else _ASKED
