"""WebSockets, which pass no seam: opening one is refused unless the budget allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from openai._resource import AsyncAPIResource, SyncAPIResource

from bursar import Seam

_RESOURCES = (SyncAPIResource, AsyncAPIResource)
_guarded: list[tuple[type, Callable[..., Any]]] = []


def guard(seam: Seam) -> None:
    """Guard `connect` of every resource that there is, or that the SDK will import later."""
    if _guarded:
        return
    for base in _RESOURCES:
        for resource in _below(base):
            _guard(resource, seam)
        base.__init_subclass__ = classmethod(lambda cls, **_: _guard(cls, seam))  # type: ignore[assignment]


def unguard() -> None:
    """Undo `guard`."""
    while _guarded:
        resource, connect = _guarded.pop()
        resource.connect = connect  # type: ignore[attr-defined]
    for base in _RESOURCES:
        if "__init_subclass__" in vars(base):
            del base.__init_subclass__


def _guard(resource: type, seam: Seam) -> None:
    connect = vars(resource).get("connect")
    if connect is None:
        return

    @wraps(connect)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        seam.open(self._client, "realtime")
        return connect(self, *args, **kwargs)

    _guarded.append((resource, connect))
    resource.connect = guarded  # type: ignore[attr-defined]


def _below(cls: type) -> Iterator[type]:
    subclasses: list[type] = cls.__subclasses__()
    for below in subclasses:
        yield below
        yield from _below(below)
