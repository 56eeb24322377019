"""Stands where an SDK sends that could not be covered, and tells whoever would have to pay."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..ledger import context
from ..ledger.hold import covered_hold
from .patching import session_of

_guarded: list[tuple[type, str, Any, Any]] = []  # a class, the name of a method, ours, and its own


def guard(sdk: str, tell: Callable[[], object]) -> None:
    """Have `tell` called before a client of an SDK sends what a session would pay for; it may raise.

    A wrapped client, and a hold that is entered, pay by themselves. Where the SDK has no such clients, as in
    ancient releases, it is called at once.

    Args:
        sdk: the name of its module, which is imported.
        tell: what is called.
    """
    base = sys.modules.get(f"{sdk}._base_client")
    found = [vars(base)[name] for name in ("SyncAPIClient", "AsyncAPIClient") if base and name in vars(base)]
    if not found:
        tell()
    for cls in found:
        for name in {"post", "request"} & vars(cls).keys():
            own = vars(cls)[name]
            method = _telling(own, tell)
            _guarded.append((cls, name, method, own))
            setattr(cls, name, method)


def leave() -> None:
    """Undo every `guard`. Where another library has patched over us, ours stays."""
    while _guarded:
        cls, name, method, own = _guarded.pop()
        if vars(cls).get(name) is method:
            setattr(cls, name, own)


def _telling(method: Callable[..., Any], tell: Callable[[], object]) -> Callable[..., Any]:
    @wraps(method)
    def telling(client: object, *args: Any, **kwargs: Any) -> Any:
        if session_of(client) is None and covered_hold() is None:
            session = context.paying()
            if session is not None and session._ledger.policy.terms.enforce:
                tell()
        return method(client, *args, **kwargs)

    return telling
