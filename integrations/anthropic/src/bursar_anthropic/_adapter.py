"""Covers the clients of the Anthropic SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import IOBase
from typing import Any

from anthropic._base_client import AsyncAPIClient, SyncAPIClient
from anthropic._types import NotGiven, Omit

from bursar.sdk import Demand, Patching, Unbounded, body_of

from ._demands import Completions, Messages
from ._surfaces import where

_LONG_CONTEXT = "context-1m"  # how the names of the betas begin that make the context window longer


def read(client: Any, options: Any) -> Demand:
    """What a request of a client asks for."""
    to = where(client, options.method, options.url)
    if to.kind == "free":
        return Demand()
    body = body_of(options)
    try:
        body = None if body is None else _plain(body)
    except RecursionError:
        body = None
    if body is None or to.kind == "unbounded":
        return Unbounded(body or {}, to.provider, to.word)
    if to.kind == "complete":
        return Completions(to, body)
    betas = f"{options.headers} {getattr(client, '_custom_headers', None)} {body.get('anthropic_beta')}"
    return Messages(to, body, long=_LONG_CONTEXT in betas)


def _plain(value: Any) -> Any:
    """The data as the SDK will send it: what can be read only once is a list, what is not given is gone."""
    if isinstance(value, Mapping):
        return {
            name: _plain(inner) for name, inner in value.items() if not isinstance(inner, NotGiven | Omit)
        }
    once = isinstance(value, Iterator) and not isinstance(value, IOBase)
    if once or isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return value


patching = Patching(
    SyncAPIClient,
    AsyncAPIClient,
    read,
    question=("/v1/messages", {"model": "claude-sonnet-4-5", "messages": [], "max_tokens": 16}),
)
