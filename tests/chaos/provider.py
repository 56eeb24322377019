"""The judge: a bill that a call is written on when it is served, and prices that nobody else knows.

It imports nothing of what it judges. A line is one write of sixteen bytes to the end of a file, and
no line crosses a page, so that a process that is killed leaves a line whole or not at all.
"""

from __future__ import annotations

import os
import random
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

RATES = {"gpt-4o": (2_500, 10_000), "gpt-4o-mini": (150, 600)}  # nano-dollars per token, in and out
MODELS = tuple(RATES)
PLAIN = len(MODELS)  # a call whose price is named beforehand, in nano-dollars
MEAN = 3_100_000  # nano-dollars that a call costs here, about

_LINE = struct.Struct("<IHHII")  # ledger, tenant, model, input tokens, output tokens or nano-dollars


def price(model: int, sent: int, answered: int) -> int:
    """What a call costs, in nano-dollars."""
    if model == PLAIN:
        return answered
    rate_in, rate_out = RATES[MODELS[model]]
    return sent * rate_in + answered * rate_out


class Question(NamedTuple):
    """A call that somebody wants to make; `most` is its output cap, or its price at the worst."""

    model: int
    sent: int
    most: int

    @property
    def worst(self) -> int:
        """Nano-dollars."""
        return price(*self)

    @property
    def words(self) -> dict[str, Any]:
        """The same, as a reserve is told."""
        if self.model == PLAIN:
            return {"cost": f"{self.most / 10**9:.9f}"}
        return {"model": MODELS[self.model], "input_tokens": self.sent, "max_output_tokens": self.most}

    def served(self, cap: int | None, dice: random.Random) -> Question:
        """What the provider makes of it: all of its cap in a third of the calls, less in the others."""
        most = self.most if cap is None else min(cap, self.most)
        if dice.random() < 1 / 3:
            return self._replace(most=most)
        return Question(
            self.model, dice.randint(1, self.sent) if self.sent else 0, dice.randint(1, max(1, most))
        )


def question(dice: random.Random) -> Question:
    """One of very different size."""
    model = dice.choice((0, 0, 1, PLAIN))
    if model == PLAIN:
        return Question(PLAIN, 0, dice.randint(1, 4_000_000))
    return Question(model, dice.randint(1, 1_200), dice.randint(16, 800))


class Bill:
    """Lines of all calls that were served; many processes append, anybody reads on."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._read = 0
        self._sums: Counter[tuple[int, int]] = Counter()
        self.calls = 0

    def serve(self, ledger: int, tenant: int, call: Question) -> None:
        """The provider does its work: from here on it has to be paid."""
        os.write(self._file, _LINE.pack(ledger, tenant, *call))

    def read_on(self) -> Bill:
        """Add up what came since it was last read."""
        while lines := os.pread(self._file, 1 << 20, self._read):
            lines = lines[: len(lines) - len(lines) % _LINE.size]
            self._read += len(lines)
            for ledger, tenant, *call in _LINE.iter_unpack(lines):
                self._sums[ledger, tenant] += price(*call)
                self.calls += 1
        return self

    def of(self, ledger: int, tenant: int | None = None) -> int:
        """Nano-dollars of a ledger, or of one of its tenants, as far as it was read."""
        if tenant is not None:
            return self._sums[ledger, tenant]
        return sum(self._sums[ledger, number] for number in range(2))

    @property
    def total(self) -> int:
        """Nano-dollars of all calls."""
        return self._sums.total()

    def close(self) -> None:
        """Nobody is served any more."""
        os.close(self._file)


class Bills:
    """Those of several processes, as one.

    Args:
        paths: of their files.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.calls, self._sums = 0, Counter[tuple[int, int]]()
        for path in paths:
            bill = Bill(path).read_on()
            self.calls += bill.calls
            self._sums.update(bill._sums)
            bill.close()

    of, total = Bill.of, Bill.total

    @property
    def ledgers(self) -> set[int]:
        """All that are on it."""
        return {ledger for ledger, _ in self._sums}
