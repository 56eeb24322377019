"""What CrewAI's events say about a call: what was used."""

from __future__ import annotations

from typing import Any

from crewai.types.usage_metrics import UsageMetrics

from bursar import Usage
from bursar.integration import Result


def read_result(event: Any) -> Result:
    """Read the event that ends a call of a model; CrewAI knows the words of each provider."""
    counted = UsageMetrics.from_provider_dict(event.usage) if event.usage else None
    if counted is None or not (counted.prompt_tokens or counted.completion_tokens):
        return Result(finished=True)
    usage = Usage(
        input_tokens=counted.prompt_tokens,
        output_tokens=counted.completion_tokens,
        cached_input_tokens=counted.cached_prompt_tokens,
        cache_write_tokens=counted.cache_creation_tokens,
        reasoning_tokens=counted.reasoning_tokens,
    )
    return Result(usage=usage, finished=True)
