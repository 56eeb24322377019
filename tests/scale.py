"""How much of what is random, or long, is tried: some of it every time, all of it with `--full`."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

full = False


def scaled(some: T, all_: T) -> T:
    """The first, or the second with `--full`."""
    return all_ if full else some
