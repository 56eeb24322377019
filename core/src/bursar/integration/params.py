"""What the parameters of a request say about its worst case, whatever client sends it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Who bills, by the words that frameworks have for their clients. A client that is not here may talk to
# anybody, and the name of the model says more.
_BILLERS = {
    **{name: name for name in ("ai21", "anthropic", "azure", "cerebras", "cohere", "deepseek", "fireworks")},
    **{name: name for name in ("groq", "mistral", "openai", "openrouter", "perplexity", "sambanova")},
    **{name: name for name in ("together", "xai")},
    "amazon_bedrock": "bedrock",
    "google_genai": "google",
    "google_vertexai": "vertex",
    "mistralai": "mistral",
    "vertexai": "vertex",
}
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
_CHOICES = ("n", "best_of", "candidate_count")
_TIERS = frozenset({"batch", "flex", "priority"})
_SENT_TOO = ("response_format", "functions", "system", "instructions", "text")
_STORED_INPUT = ("previous_response_id", "conversation", "prompt")  # text that only the provider has
_HOSTED = ("mcp_servers", "web_search_options")  # tools that run, and are billed, at the provider
_REASONING = ("reasoning", "reasoning_effort", "thinking")
# Families that bill no output which they do not show, unless they are asked to think.
_SHOWS_ALL = re.compile(r"(^|[/:.])(gpt-3\.5|gpt-4|chatgpt-4o|claude)")


@dataclass(frozen=True, slots=True)
class CallParams:
    """A model call, as far as its parameters tell it.

    Attributes:
        model: the requested name.
        provider: who bills; None: the name of the model says it.
        messages: what will be sent, for the bound of the input; None: not known.
        tools: the tool schemas that go with them, and the tools that run at the provider.
        max_output_tokens: the output cap of one choice; None: the model's own.
        n: how many choices are billed.
        tier: the service tier that is asked for.
        hidden_output: True when output may be billed that no answer shows.
        hour_cache: True when the request asks for a cache of one hour.
    """

    model: str
    provider: str | None = None
    messages: list[Any] | None = field(default_factory=list)
    tools: list[Any] = field(default_factory=list)
    max_output_tokens: int | None = None
    n: int = 1
    tier: str | None = None
    hidden_output: bool = True
    hour_cache: bool = False

    def asked(self, calls: int = 1) -> dict[str, Any]:
        """The arguments of `Session.reserve` for so many calls that are sent together."""
        return {
            "model": self.model,
            "provider": self.provider,
            "messages": self.messages,
            "tools": self.tools,
            "max_output_tokens": self.max_output_tokens,
            "n": self.n * calls,
            "tier": self.tier,
        }


def read_params(
    params: Mapping[str, Any],
    messages: Sequence[Any] | str = (),
    *,
    model: str | None = None,
    client: object = None,
    max_tokens: object = None,
) -> CallParams:
    """Read the parameters of a request, in the words of OpenAI, Anthropic or those that took them over.

    Args:
        params: the parameters, perhaps with an ``extra_body``; the prompts may be among them.
        messages: the prompts as they are sent, where they are not among the parameters.
        model: the name of the model, where the parameters do not say it.
        client: the framework's word for the client, such as ``"openai"`` or ``"amazon_bedrock"``.
        max_tokens: the output cap, where the parameters do not say one.
    """
    extra = params.get("extra_body")
    places = (params, extra) if isinstance(extra, Mapping) else (params,)
    named = params.get("model")
    name = named if isinstance(named, str) and named else model or "unknown"
    caps = [cap for place in places for key in _CAPS if (cap := _whole(place.get(key))) is not None]
    if not caps and (cap := _whole(max_tokens)) is not None:
        caps = [cap]
    choices = [number for place in places for key in _CHOICES if (number := _whole(place.get(key)))]
    tools = list(params.get("tools") or ())
    tools += [{"type": key} for place in places for key in _HOSTED if place.get(key)]
    given = messages or params.get("messages") or params.get("input") or ()
    given = [given] if isinstance(given, str) else list(given)
    sent = [*given, *(_dumps(place[key]) for place in places for key in _SENT_TOO if place.get(key))]
    stored = any(place.get(key) for place in places for key in _STORED_INPUT)
    tier = "fast" if params.get("speed") == "fast" else params.get("service_tier")
    return CallParams(
        model=name,
        provider=_BILLERS.get(client) if isinstance(client, str) else None,
        messages=None if stored else sent,
        tools=tools,
        max_output_tokens=max(caps, default=None),
        n=max(choices, default=1),
        tier=tier if tier in _TIERS or tier == "fast" else None,
        hidden_output=not _SHOWS_ALL.search(name)
        or any(place.get(key) for place in places for key in _REASONING),
        hour_cache=_asks_for_an_hour([params, given]),
    )


def _dumps(value: Any) -> str:
    """JSON, non-ASCII escaped: at least as long as any other way to write it."""
    return json.dumps(value, default=repr)


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _asks_for_an_hour(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("ttl") == "1h" or any(_asks_for_an_hour(part) for part in value.values())
    return isinstance(value, list | tuple) and any(_asks_for_an_hour(part) for part in value)
