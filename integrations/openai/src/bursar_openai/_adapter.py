"""Covers the clients of the OpenAI SDK."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from openai._base_client import AsyncAPIClient, SyncAPIClient
from openai._models import FinalRequestOptions

from bursar import Budget, Session
from bursar.sdk import Demand, Patching, Unbounded, body_of

from ._demands import Bounded, Chat, Compact, Completions, Embeddings, Free, Responses
from ._realtime import guard, unguard
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


seam = Patching(SyncAPIClient, AsyncAPIClient, read)
_wrapped: WeakSet[Any] = WeakSet()


def wrap(client: object, session: Session) -> object | None:
    """Let a session pay for a client; None for what is no client of this SDK."""
    if not isinstance(client, SyncAPIClient | AsyncAPIClient):
        return None
    guard(seam)
    _wrapped.add(client)
    return seam.wrap(client, session)


def patch() -> None:
    """Cover every client of the process, and see that a call which has to be refused is."""
    question = {"model": "gpt-4o", "messages": [{"role": "user", "content": "?"}], "max_tokens": 16}
    options = FinalRequestOptions.construct(method="post", url="/chat/completions", json_data=question)
    nobody = Budget().session()
    nobody.trip("a call is made to see that it is refused")  # a limit would raise an alert
    seam.patch()
    try:
        seam.prove(nobody, options)
    except BaseException:
        seam.unpatch()
        raise
    guard(seam)


def unpatch() -> None:
    """Undo `patch`; the WebSockets of wrapped clients stay guarded."""
    seam.unpatch()
    if not _wrapped:
        unguard()
