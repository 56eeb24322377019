"""Takes model names apart: provider prefixes, dates and shorter names.

Pure text; nothing here knows a price. A name is only ever shortened by a part whose
meaning is known. ``gpt-4o`` is no prefix of ``gpt-4o-audio-preview`` here: another
model may cost ten times as much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# What SDKs, frameworks and gateways call a provider, and what the price table calls it.
PROVIDERS = {
    "ai21": "ai21",
    "amazon": "bedrock",
    "amazon-bedrock": "bedrock",
    "amazon_bedrock": "bedrock",
    "anthropic": "anthropic",
    "aws": "bedrock",
    "aws.bedrock": "bedrock",
    "azure": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azure-openai": "azure",
    "azure.ai.openai": "azure",
    "azureopenai": "azure",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "cerebras": "cerebras",
    "codestral": "mistral",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "deepseek-ai": "deepseek",
    "fireworks": "fireworks",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "vertex",
    "gemini": "google",
    "google": "google",
    "google-genai": "google",
    "google-vertex": "vertex",
    "google_genai": "google",
    "google_vertexai": "vertex",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot": "moonshot",
    "moonshotai": "moonshot",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "text-completion-openai": "openai",
    "together": "together",
    "together_ai": "together",
    "togetherai": "together",
    "vertex": "vertex",
    "vertex_ai": "vertex",
    "vertexai": "vertex",
    "voyage": "voyage",
    "voyageai": "voyage",
    "x-ai": "xai",
    "xai": "xai",
    "z-ai": "zai",
    "zai": "zai",
}

_MONTH, _DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_YEAR = "20[0-9]{2}"
_DATED = re.compile(
    f"(?:-{_YEAR}-{_MONTH}-{_DAY}|[-@]{_YEAR}{_MONTH}{_DAY}|-{_MONTH}{_DAY}|[-@]latest|@default)$"
)
# Versions that select the same family for a limit, but that are not priced alike:
# Mistral's -YYMM, Cohere's -MM-YYYY, Google's -001.
_VERSIONED = re.compile(f"(?:-2[0-9]{_MONTH}|-{_MONTH}-{_YEAR}|-00[1-9])$")
_BEDROCK = re.compile(
    r"(?:(?:us|eu|apac|global|jp|au|us-gov)\.)?[a-z0-9]+\.(?P<model>[a-z].*?)(?:-v[0-9]+(?::[0-9]+)?)?$"
)
_CLAUDE_DOT = re.compile(r"(?<=[0-9])\.(?=[0-9])")
_PATHS = (
    "accounts/fireworks/models/",
    "publishers/google/models/",
    "publishers/anthropic/models/",
    "models/",
)


def spelled(name: str) -> str:
    """One spelling for names that differ in case, or as ``claude-3.5`` and ``claude-3-5`` do."""
    name = name.lower()
    if name.startswith("arn:aws"):
        name = name.rpartition("/")[2]
    name = _unpathed(name)
    return _CLAUDE_DOT.sub("-", name) if "claude" in name and not name.startswith("ft:") else name


def _unpathed(name: str) -> str:
    for path in _PATHS:
        name = name.removeprefix(path)
    return name


def undated(name: str) -> str:
    """The name without its release date or ``-latest``; itself if it has none."""
    return _DATED.sub("", name, count=1)


def split_provider(name: str) -> tuple[str | None, str]:
    """``"azure/gpt-4o"`` -> ``("azure", "gpt-4o")``; ``(None, name)`` without a known provider."""
    head, slash, rest = name.partition("/")
    provider = PROVIDERS.get(head.lower()) if slash and rest else None
    return (provider, rest) if provider else (None, name)


def shorter_names(name: str) -> Iterator[str]:
    """What a limit on a model may call it: without provider, without version, without date."""
    if name != name.lower():
        name = name.lower()
        yield name
    if name.startswith("arn:aws"):
        name = name.rpartition("/")[2]
        yield name
    # openrouter/anthropic/claude-3.5-sonnet, vertex_ai/publishers/google/models/gemini-1.5-pro
    while (rest := _unpathed(split_provider(name)[1])) != name:
        name = rest
        yield name
    if name.startswith("ft:") and len(name) > 3:
        name = name.split(":")[1]
        yield name
    bedrock = _BEDROCK.fullmatch(name)
    if bedrock is not None:
        name = bedrock["model"]
        yield name
    if name != spelled(name):
        name = spelled(name)
        yield name
    for pattern in (_DATED, _VERSIONED):
        short = pattern.sub("", name, count=1)
        if short != name:
            name = short
            yield name
