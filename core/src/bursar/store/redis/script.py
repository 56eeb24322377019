"""The Lua script of the store, put together from its files."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files

from ..engine import constants

# In the order in which they need each other.
_PARTS = (
    *("step", "account", "window", "limit", "rule", "breaker", "history", "alerts"),
    *("record", "retire", "spend", "days", "migrate", "order", "look", "run"),
)


@lru_cache
def source() -> str:
    """The whole script: the numbers that it shares with the rules in Python, then its files."""
    shared = [f"local {name} = {getattr(constants, name)}" for name in constants.SHARED]
    folder = files(__package__) / "lua"
    return "\n".join(shared + [(folder / f"{part}.lua").read_text("utf-8") for part in _PARTS])


@lru_cache
def sha() -> str:
    """What a server calls it."""
    return digest(source())


def digest(text: str) -> str:
    """What a server calls a script."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
