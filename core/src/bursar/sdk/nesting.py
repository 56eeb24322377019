"""The request under way in this context, so that covered methods inside each other act once."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

from .request import Sending

Method: TypeAlias = Callable[..., Any]
Original: TypeAlias = Callable[[str], Method]
Begin: TypeAlias = Callable[[Any, Any], Sending | None]

now_sending: ContextVar[Sending | None] = ContextVar("bursar_sending", default=None)


def under_way(client: object) -> Sending | None:
    """The request that this client is sending from this context."""
    sending = now_sending.get()
    return sending if sending is not None and sending.client is client else None
