"""What bursar calls to cover the Anthropic SDK. Nothing of the SDK is imported before it is needed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bursar import hookimpl

if TYPE_CHECKING:
    from bursar import Session


@hookimpl
def bursar_wrap_client(client: object, session: Session) -> object | None:
    """Called to cover one client. Returns: the client, or None for what is no client of this SDK."""
    if "anthropic" not in sys.modules:
        return None  # nobody can have made one
    from . import _adapter

    return _adapter.wrap(client, session)


@hookimpl
def bursar_patch() -> str | None:
    """Called to cover all clients of the process. Returns: the name of the SDK, if it is installed."""
    if find_spec("anthropic") is None:
        return None
    from . import _adapter

    _adapter.patch()
    return "anthropic"


@hookimpl
def bursar_unpatch() -> None:
    """Called to undo `bursar_patch`."""
    if "bursar_anthropic._adapter" in sys.modules:
        from . import _adapter

        _adapter.unpatch()
