"""Costs that an answer states: which hosts send the bill for exactly what they state."""

from __future__ import annotations

from .model_names import PROVIDERS, split_provider

# OpenRouter takes `usage.cost` from the credits of the account. Elsewhere a stated cost may leave out
# fees or taxes, or be that of somebody in between: then the larger of it and of the price table counts.
# Source: openrouter.ai/docs/use-cases/usage-accounting, read on 2026-11-29.
_BILLED_AS_STATED = frozenset({"openrouter"})


def bills_as_it_says(provider: str | None, model: str | None) -> bool:
    """True when the cost that the answer states is what is billed, also where the table says more."""
    host = provider if provider is not None else split_provider(model or "")[0]
    return host is not None and PROVIDERS.get(host.lower(), host.lower()) in _BILLED_AS_STATED
