"""Opens a store by its URL."""

from __future__ import annotations

from ..runtime.clock import Clock
from .base import Store


def open_store(url: str, clock: Clock | None) -> Store | None:
    """The store of ours at a URL; None for a scheme of somebody else.

    Args:
        url: ``sqlite://``, ``redis://``, ``rediss://``, ``unix://``, ``redis+cluster://`` or
            ``redis+sentinel://``.
        clock: tells the time to all users of the store; its own by default.

    Raises:
        ValueError: the URL names no place, or what it needs is not installed.
    """
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        from .sqlite import open_sqlite

        return open_sqlite(url, clock)
    if scheme == "unix" or scheme.partition("+")[0] in ("redis", "rediss"):
        try:
            from .redis import open_redis
        except ModuleNotFoundError:
            raise ValueError(f"store={scheme!r} needs redis-py: pip install 'bursar[redis]'") from None
        return open_redis(url, clock)
    return None
