"""What a call of a model asks for, and which SDK sends it."""

from __future__ import annotations

import sys
from typing import Any

from bursar import BudgetExceeded, BursarError
from bursar.integration import Payer, texts_of

_LEAST = 16  # output tokens: a covered SDK lowers no cap below

# By the module of CrewAI that the class of a model, or one of its bases, is from.
_SDKS = {
    "crewai.llms.providers.anthropic.completion": "anthropic",
    "crewai.llms.providers.openai.completion": "openai",
}


def read_request(event: Any) -> dict[str, Any]:
    """The arguments of `Session.reserve` for the event that begins a call."""
    cap = event.max_tokens
    return {
        "model": event.model,
        "messages": event.messages or [],
        "tools": event.tools,
        "max_output_tokens": None if cap is None else int(cap),
        "n": event.n or 1,
    }


def sdk_of(llm: Any) -> str | None:
    """The SDK that sends the requests of a model, or None: of none that is covered."""
    modules = [base.__module__ for base in type(llm).__mro__]
    if "crewai.llm" in modules:
        return "openai" if _provider_of(llm.model) == "openai" else None
    return next((_SDKS[module] for module in modules if module in _SDKS), None)


def _provider_of(model: str) -> str | None:
    """Where LiteLLM sends the calls of a model."""
    litellm = sys.modules.get("litellm")
    if litellm is None:
        return None
    try:
        provider: str = litellm.get_llm_provider(model)[1]
    except Exception:
        return None
    return provider


def may_fit(payer: Payer, asked: dict[str, Any]) -> bool:
    """False where a call is refused however low its output cap: then it is refused before CrewAI begins it.

    A covered SDK would refuse it, too, but CrewAI logs what an SDK raises as a failure of the provider.
    """
    cap = min(asked["max_output_tokens"] or _LEAST, _LEAST)
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts_of(asked["messages"]))
    try:
        payer.account.check(asked["model"], size, cap)
    except BudgetExceeded:
        return False
    except BursarError:  # what the SDK sends may say more, such as who bills it
        return True
    return True
