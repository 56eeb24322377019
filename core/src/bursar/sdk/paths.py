"""The paths of a provider's API, and the hosts that bill."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, TypeVar

K = TypeVar("K", bound=str)

_BASE = re.compile(r"anthropic|api|beta|inference|openai|v[0-9]\w*")  # what may stand before a free path
_READS = frozenset({"get", "head", "options", "delete"})
_ANY = {"/**": "(?:/.+)?", "*": "[^/]+"}
# Who bills, by the end of the host's name. A host that is not here bills like the model's vendor.
_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "ai21.com": "ai21",
    "amazonaws.com": "bedrock",
    "api.aws": "bedrock",
    "anthropic.com": "anthropic",
    "cerebras.ai": "cerebras",
    "cohere.ai": "cohere",
    "cohere.com": "cohere",
    "deepseek.com": "deepseek",
    "fireworks.ai": "fireworks",
    "aiplatform.googleapis.com": "vertex",
    "generativelanguage.googleapis.com": "google",
    "groq.com": "groq",
    "minimax.io": "minimax",
    "minimaxi.com": "minimax",
    "mistral.ai": "mistral",
    "moonshot.ai": "moonshot",
    "moonshot.cn": "moonshot",
    "openrouter.ai": "openrouter",
    "perplexity.ai": "perplexity",
    "together.ai": "together",
    "together.xyz": "together",
    "voyageai.com": "voyage",
    "x.ai": "xai",
    "bigmodel.cn": "zai",
    "z.ai": "zai",
}


class Paths(Generic[K]):
    """What an integration knows of the paths that requests are sent to.

    Args:
        rules: a path without what stands before it, what it is billed as, and the word of
            ``allow=`` where nothing bounds the cost. `*` is one part of a path, `**` any rest.
            The first rule that fits counts.
        free: what is billed as nothing.
        unbounded: what nothing bounds.
    """

    def __init__(self, rules: Iterable[tuple[str, K, str | None]], free: K, unbounded: K) -> None:
        self._rules = [(_compiled(path), kind, word) for path, kind, word in rules]
        self._free = free
        self._unbounded = unbounded

    def billed(self, method: str, path: str) -> tuple[K, str | None]:
        """What a request is billed as: one that only reads as nothing, one that nobody knows as unbounded."""
        if method.lower() in _READS:
            return self._free, None
        return self.find(path) or (self._unbounded, "other")

    def find(self, path: str) -> tuple[K, str | None] | None:
        """What is known of a path; a part of it that is paid for counts before a free one."""
        parts = path.strip("/").split("/")
        if ".." in parts:
            return None
        free = None
        for at in range(len(parts)):
            rule = self._rule("/".join(parts[at:]))
            if rule is not None and rule[0] != self._free:
                return rule
            if free is None and all(map(_BASE.fullmatch, parts[:at])):
                free = rule
        return free

    def _rule(self, path: str) -> tuple[K, str | None] | None:
        return next(((kind, word) for fits, kind, word in self._rules if fits.fullmatch(path)), None)


@lru_cache(maxsize=256)
def biller(host: str) -> str | None:
    """Who bills what is sent to a host; None: whoever made the model."""
    name = host.rpartition("@")[2].partition(":")[0].lower()
    if name.endswith("-aiplatform.googleapis.com"):  # of a region
        return "vertex"
    parts = name.split(".")
    ends = (".".join(parts[at:]) for at in range(len(parts)))
    return next((_HOSTS[end] for end in ends if end in _HOSTS), None)


def _compiled(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"/\*\*|\*", lambda found: _ANY[found[0]], path))
