"""Covers the clients of the OpenAI SDK."""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import WeakSet

from openai._base_client import AsyncAPIClient, SyncAPIClient

from bursar import Session
from bursar.sdk import Demand, Patching, Unbounded, body_of

from ._demands import Bounded, Chat, Compact, Completions, Embeddings, Free, Responses
from ._realtime import guard, unguard
from ._surfaces import where

C = TypeVar("C")

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
    """Guards WebSockets, too: those of wrapped clients for as long as these are there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wrapped: WeakSet[Any] = WeakSet()

    def wrap(self, client: C, session: Session) -> C | None:
        wrapped = super().wrap(client, session)
        if wrapped is not None:
            guard(self)
            self._wrapped.add(wrapped)
        return wrapped

    def patch(self) -> None:
        super().patch()
        guard(self)

    def unpatch(self) -> None:
        super().unpatch()
        if not self._wrapped:
            unguard()


patching = _WithSockets(
    SyncAPIClient,
    AsyncAPIClient,
    read,
    question=("/chat/completions", {"model": "gpt-4o", "messages": [], "max_tokens": 16}),
)
