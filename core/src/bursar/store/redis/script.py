"""The Lua script of the store, put together from its files."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files

from ..engine import constants

# In the order in which they need each other. Each is a function that returns what others use of it: a step
# makes all of them anew, and Lua looks a name up once for a file instead of once for each function in it.
_PARTS = ("account", "window", "limit", "rule", "breaker", "history", "alerts", "record", "retire", "spend")
_SELDOM = ("days", "migrate", "order", "look")  # made only where a step needs them


@lru_cache
def source() -> str:
    """The whole script: the numbers that it shares with the rules in Python, then its files."""
    shared = [f"local {name} = {getattr(constants, name)}" for name in constants.SHARED]
    seldom = f"local function seldom()\n{''.join(map(_read, _SELDOM))}end"
    return "\n".join((*shared, _read("step"), *map(_module, _PARTS), seldom, _read("run")))


def _read(part: str) -> str:
    return (files(__package__) / "lua" / f"{part}.lua").read_text("utf-8")


def _module(part: str) -> str:
    text = _read(part)
    names = " ".join(text.rpartition("\nreturn ")[2].split())
    return f"local {names} = (function()\n{text}end)()"


@lru_cache
def sha() -> str:
    """What a server calls it."""
    return digest(source())


def digest(text: str) -> str:
    """What a server calls a script."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
