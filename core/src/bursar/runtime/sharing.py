"""Shares the interpreter with the other threads of the process in the midst of long work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import perf_counter, sleep
from typing import TypeVar

T = TypeVar("T")

_MOST_S = 0.0001  # longer, and threads that make many short steps wait for several milliseconds
_PAUSE_S = 0.000_001  # 0 is no pause on Python 3.10: who asks for it goes on before another is awake
_since_s = 0.0  # the thread that computes now went on later than this


def in_turns(items: Iterable[T]) -> Iterator[T]:
    """The same items; between two of them other threads go on, once this one has computed for 0.1 ms.

    Python runs one thread at a time, and lets a thread that does not pause go on for 5 ms.
    """
    for item in items:
        yield item
        if perf_counter() - _since_s > _MOST_S:
            let_others_go()


def let_others_go() -> None:
    """Let other threads go on first, where some can."""
    global _since_s  # noqa: PLW0603 - of the process: only one thread computes at a time
    with suppress(OSError):  # under libfaketime the end of so short a pause may be past when it begins
        sleep(_PAUSE_S)
    _since_s = perf_counter()
