"""Opens a store by its URL."""

from __future__ import annotations

from ..runtime.clock import Clock
from .base import Store

_EXAMPLES = {"sqlite": "sqlite:///budget.db", "redis": "redis://localhost:6379/0"}
_ALSO = ("rediss://", "unix://", "redis+cluster://", "redis+sentinel://")


def open_store(url: str, clock: Clock | None) -> Store | None:
    """The store of ours at a URL; None for a scheme of somebody else.

    Args:
        url: ``sqlite://``, ``redis://``, ``rediss://``, ``unix://``, ``redis+cluster://`` or
            ``redis+sentinel://``.
        clock: tells the time to all users of the store; its own by default.

    Raises:
        ValueError: the URL names no place, or what it needs is not installed.
    """
    scheme, place, _ = url.partition("://")
    if not place:
        return None
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


def not_opened(url: str) -> str:
    """The message about a URL that nobody opens, without what may be a password."""
    scheme, place, _ = url.partition("://")
    words = scheme[:40] if place or scheme.isidentifier() else "..."
    ours = _EXAMPLES.get(scheme, "' or '".join(_EXAMPLES.values()))
    more = "" if scheme in _EXAMPLES else f" (also {', '.join(_ALSO)}), the URL of a plugin, a Store, or None"
    flaw = "names no place" if scheme in _EXAMPLES else "is opened by no plugin"
    return f"store={words!r} {flaw}; write '{ours}'{more}"
