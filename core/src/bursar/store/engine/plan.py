"""`Plan`: the writes of one step, decided before the first is made; `Count`: sums of one account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ...values.amounts import Amounts

Sums: TypeAlias = tuple[int, int, int, int, int, int]
ZERO: Sums = (0, 0, 0, 0, 0, 0)


class Count:
    """What was spent and what is reserved.

    Attributes:
        sums: spent USD, tokens and calls, then the reserved ones; replaced as a whole.
    """

    __slots__ = ("sums",)

    def __init__(self) -> None:
        self.sums = ZERO

    @property
    def spent(self) -> Amounts:
        return Amounts(*self.sums[:3])

    @property
    def reserved(self) -> Amounts:
        return Amounts(*self.sums[3:])

    def forget(self, plan: Plan) -> None:
        """Nothing was spent; what is reserved stays."""
        plan.moves.append((self, (0, 0, 0, *self.sums[3:])))


class Plan:
    """The writes of one verb: decided first, then made.

    Each puts a final value, so that a plan cut short by an interrupt can simply be
    carried out again by the next verb: a verb happens whole or not at all.

    Attributes:
        moves: counts, and what is in them from now on; made first.
        puts: dicts, keys and values; made second.
        calls: everything else, in order.
    """

    __slots__ = ("calls", "moves", "puts")

    def __init__(self) -> None:
        self.moves: list[tuple[Count, Sums]] = []
        self.puts: list[tuple[dict[Any, Any], object, object]] = []
        self.calls: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def put(self, mapping: dict[Any, Any], key: object, value: object) -> None:
        self.puts.append((mapping, key, value))

    def set(self, target: object, name: str, value: object) -> None:
        self.calls.append((setattr, (target, name, value)))

    def drop(self, mapping: dict[Any, Any], key: object) -> None:
        self.calls.append((mapping.pop, (key, None)))

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """A call that does no harm when it is made twice."""
        self.calls.append((function, arguments))

    def carry_out(self) -> None:
        for count, sums in self.moves:
            count.sums = sums
        for mapping, key, value in self.puts:
            mapping[key] = value
        for function, arguments in self.calls:
            function(*arguments)
