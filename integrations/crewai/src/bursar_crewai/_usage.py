"""What CrewAI's events say about a call: what was used."""

from __future__ import annotations

import sys
from typing import Any

from crewai.types.usage_metrics import UsageMetrics

from bursar import Usage
from bursar.integration import Result


def read_result(event: Any, llm: Any) -> Result:
    """Read the event that ends a call of a model; CrewAI knows the words of each provider."""
    counted = UsageMetrics.from_provider_dict(event.usage) if event.usage else None
    if counted is None or not (counted.prompt_tokens or counted.completion_tokens):
        return Result(finished=True)
    if _is_made_up(counted.prompt_tokens, event.messages, llm):
        return Result(finished=True)
    usage = Usage(
        input_tokens=counted.prompt_tokens,
        output_tokens=counted.completion_tokens,
        cached_input_tokens=counted.cached_prompt_tokens,
        cache_write_tokens=counted.cache_creation_tokens,
        reasoning_tokens=counted.reasoning_tokens,
    )
    return Result(usage=usage, finished=True)


def _is_made_up(input_tokens: int, messages: Any, llm: Any) -> bool:
    """True where LiteLLM counted a stream by itself, because the provider did not: it says nothing of that.

    It knows no reasoning, no tools and no template of the model's.
    """
    litellm = sys.modules.get("litellm")
    if litellm is None or type(llm).__module__ != "crewai.llm" or not llm.stream:
        return False
    names = {llm.model, llm.model.partition("/")[2]}
    try:
        return input_tokens in {litellm.token_counter(model=name, messages=messages) for name in names}
    except Exception:
        return True  # nobody can say
