"""The writes of one step of the memory store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Plan:
    """The writes of one verb: decided first, then made.

    Each puts a final value, so that a plan cut short by an interrupt can simply be
    carried out again by the next verb: a verb happens whole or not at all.
    """

    __slots__ = ("writes",)

    def __init__(self) -> None:
        self.writes: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def set(self, target: object, name: str, value: object) -> None:
        self.writes.append((setattr, (target, name, value)))

    def put(self, mapping: dict[Any, Any], key: object, value: object) -> None:
        self.writes.append((mapping.__setitem__, (key, value)))

    def drop(self, mapping: dict[Any, Any], key: object) -> None:
        self.writes.append((mapping.pop, (key, None)))

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """A call that does no harm when it is made twice."""
        self.writes.append((function, arguments))

    def carry_out(self) -> None:
        for write, arguments in self.writes:
            write(*arguments)
