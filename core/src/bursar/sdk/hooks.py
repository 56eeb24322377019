"""The hooks by which an integration covers the clients of an SDK."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

from ..hookspecs import hookimpl
from ..session import Session
from .patching import Patching


class ClientHooks:
    """What bursar calls to cover an SDK, which is not imported before it is needed.

    Args:
        sdk: the name of its module.
        adapter: the name of the module with the `patching` that covers it; imports the SDK.
    """

    def __init__(self, sdk: str, adapter: str) -> None:
        self._sdk = sdk
        self._adapter = adapter

    @hookimpl
    def bursar_wrap_client(self, client: object, session: Session) -> object | None:
        """Called to cover one client. Returns: the client, or None for what is no client of this SDK."""
        if self._sdk not in sys.modules:
            return None  # nobody can have made one
        return self._patching().wrap(client, session)

    @hookimpl
    def bursar_patch(self) -> str | None:
        """Called to cover all clients of the process. Returns: the name of the SDK, if it is installed."""
        if find_spec(self._sdk) is None:
            return None
        self._patching().patch()
        return self._sdk

    @hookimpl
    def bursar_unpatch(self) -> None:
        """Called to undo `bursar_patch`."""
        if self._adapter in sys.modules:
            self._patching().unpatch()

    def _patching(self) -> Patching:
        patching: Patching = import_module(self._adapter).patching
        return patching
