"""WebSockets, which pass no seam: opening one is refused unless the budget allows it.

In a covered process the SDK's resources are guarded; for a wrapped client its own class is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any
from weakref import WeakSet

from openai._resource import AsyncAPIResource, SyncAPIResource

from bursar.sdk import Patching

_RESOURCES = (SyncAPIResource, AsyncAPIResource)
_ENTERED = ("__enter__", "__aenter__", "enter")

_CONFIGURED = ("_configure_realtime", "_configure_realtime_with_api_key")

_passed: WeakSet[Any] = WeakSet()  # connections of wrapped clients that are allowed
_guarded: list[tuple[type, str, Callable[..., Any]]] = []
_allowed: WeakSet[Any] = WeakSet()  # connections that somebody pays for, and are not open yet


def guard(patching: Patching) -> None:
    """Guard `connect` of every resource that there is, or that the SDK will import later.

    What was prepared by a `connect` from before is guarded where it is entered.
    """
    if _guarded:
        return
    there = [resource for base in _RESOURCES for resource in _below(base)]
    for manager in {manager for resource in there for manager in _managers(resource)}:
        for name in [name for name in _ENTERED if name in vars(manager)]:
            _replace(manager, name, _entering(vars(manager)[name], patching))
    for resource in there:
        _guard(resource, patching)
    for base in _RESOURCES:
        base.__init_subclass__ = classmethod(lambda cls, **_: _guard(cls, patching))  # type: ignore[assignment]


def members(bare: type, patching: Patching) -> dict[str, Any]:
    """What the class of a wrapped client has, so that the SDK's resources open no WebSocket unseen.

    Each reads the client's address for WebSockets before it opens one, or has a client of Azure's make it.
    """

    def address(client: Any) -> Any:
        reader = sys._getframe(1)
        if str(reader.f_globals.get("__name__")).startswith("openai.resources."):
            _pass(reader.f_locals["self"], client, patching)
        return vars(client).get("websocket_base_url")

    def set_address(client: Any, url: Any) -> None:
        vars(client)["websocket_base_url"] = url

    def configured(name: str) -> Callable[..., Any]:
        def configure(client: Any, *args: Any, **kwargs: Any) -> Any:
            _pass(sys._getframe(1).f_locals["self"], client, patching)
            return getattr(bare, name)(client, *args, **kwargs)

        return configure

    azure = {name: configured(name) for name in _CONFIGURED if hasattr(bare, name)}
    return {"websocket_base_url": property(address, set_address), **azure}


def _pass(manager: Any, client: Any, patching: Patching) -> None:
    """A connection is about to be opened; what is guarded in its own class was seen there."""
    if not _guarded and manager not in _passed:
        patching.open(client, "realtime")
        _passed.add(manager)  # it asks more than once


def unguard() -> None:
    """Undo `guard`."""
    while _guarded:
        cls, name, method = _guarded.pop()
        setattr(cls, name, method)
    for base in _RESOURCES:
        if "__init_subclass__" in vars(base):
            del base.__init_subclass__


def _guard(resource: type, patching: Patching) -> None:
    connect = vars(resource).get("connect")
    if connect is None:
        return

    @wraps(connect)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        paid = patching.open(self._client, "realtime")
        manager = connect(self, *args, **kwargs)
        if paid:
            _allowed.add(manager)
        return manager

    _replace(resource, "connect", guarded)


def _entering(enter: Callable[..., Any], patching: Patching) -> Callable[..., Any]:
    @wraps(enter)
    def guarded(self: Any) -> Any:
        if self in _allowed:
            _allowed.discard(self)
        else:
            patching.open(
                next(kept for name, kept in vars(self).items() if name.endswith("__client")), "realtime"
            )
        return enter(self)

    return guarded


def _replace(cls: type, name: str, method: Callable[..., Any]) -> None:
    _guarded.append((cls, name, vars(cls)[name]))
    setattr(cls, name, method)


def _managers(resource: type) -> list[type]:
    """What `connect` of a resource returns: the classes beside it that keep a connection."""
    if "connect" not in vars(resource):
        return []
    beside = vars(sys.modules[resource.__module__]).values()
    return [cls for cls in beside if isinstance(cls, type) and cls.__name__.endswith("ConnectionManager")]


def _below(cls: type) -> Iterator[type]:
    subclasses: list[type] = cls.__subclasses__()
    for below in subclasses:
        yield below
        yield from _below(below)
