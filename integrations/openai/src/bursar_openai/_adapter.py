"""Covers the clients of the OpenAI SDK."""

from __future__ import annotations

from typing import Any

from openai._base_client import AsyncAPIClient, SyncAPIClient

from bursar.sdk import Demand, Patching, Unbounded, body_of

from ._demands import Bounded, Chat, Compact, Completions, Embeddings, Free, Responses
from ._realtime import guard, members, unguard
from ._surfaces import where

_BOUNDED: dict[str, type[Bounded]] = {
    "chat": Chat,
    "compact": Compact,
    "completions": Completions,
    "embeddings": Embeddings,
    "responses": Responses,
}


def read(client: Any, options: Any) -> Demand:
    """What a request of a client asks for."""
    to = where(options.method, options.url, str(client.base_url))
    if to.kind == "free":
        return Free(polled=to.answer)
    body = body_of(options)
    if body is None or to.kind == "unbounded":
        return Unbounded(body or {}, to.provider, to.word, files=bool(options.files))
    if body.get("model") is None:
        body["model"] = to.deployment
    return _BOUNDED[to.kind](to, body)


class _WithSockets(Patching):
    """Guards WebSockets, too."""

    def _members(self, bare: type) -> dict[str, Any]:
        return members(bare, self)

    def patch(self) -> None:
        super().patch()
        guard(self)

    def unpatch(self) -> None:
        super().unpatch()
        unguard()


patching = _WithSockets(
    SyncAPIClient,
    AsyncAPIClient,
    read,
    question=("/chat/completions", {"model": "gpt-4o", "messages": [], "max_tokens": 16}),
)
