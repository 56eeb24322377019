"""The hooks by which an integration covers the clients of an SDK."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

from ..errors import BursarError
from ..hookspecs import hookimpl
from ..runtime.imports import is_imported
from ..session import Session
from .patching import Patching
from .versions import too_old


class ClientHooks:
    """What bursar calls to cover an SDK, which is not imported before it is needed.

    Args:
        sdk: the name of its module.
        adapter: the name of the module with the `patching` that covers it; imports the SDK. Its package
            is named like the distribution whose extra ``sdk`` says which releases are covered.
    """

    def __init__(self, sdk: str, adapter: str) -> None:
        self._sdk = sdk
        self._adapter = adapter

    @hookimpl
    def bursar_wrap_client(self, client: object, session: Session) -> object | None:
        """Called to cover one client. Returns: the client, or None for what is no client of this SDK.

        Raises:
            BursarError: the SDK is too old; likewise in `bursar_patch`.
        """
        if not any(f"{base.__module__}.".startswith(f"{self._sdk}.") for base in type(client).__mro__):
            return None
        return self._patching().wrap(client, session)

    @hookimpl
    def bursar_patch(self) -> str | None:
        """Called to cover all clients of the process, once the SDK is imported, and again when that is.

        Returns:
            The name of the SDK, if it is installed.
        """
        if is_imported(self._sdk):
            self._patching().patch()
        elif self._sdk not in sys.modules and find_spec(self._sdk) is None:
            return None
        else:
            self._check()
        return self._sdk

    @hookimpl
    def bursar_unpatch(self) -> None:
        """Called to undo `bursar_patch`."""
        if self._adapter in sys.modules:
            self._patching().unpatch()

    def _check(self) -> None:
        why = too_old(self._adapter.partition(".")[0].replace("_", "-"))
        if why is not None:
            raise BursarError(why)

    def _patching(self) -> Patching:
        self._check()
        patching: Patching = import_module(self._adapter).patching
        return patching
