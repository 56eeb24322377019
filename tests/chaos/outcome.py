"""What came of a storm."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass

from .judge import Violation

MOST_SHOWN = 10


@dataclass(frozen=True)
class Outcome:
    """One run. Money in nano-dollars.

    Attributes:
        kills: SIGKILLs to processes.
        kills_in_a_hold: those that ended a process while one of its threads had a hold open.
        crashes: SIGKILLs to the server.
        bill: of all calls that were served, by the provider.
        judged: the part of it that belongs to ledgers that outlived their processes: all of it,
            but for balances in memory.
        ledger: what these ledgers have in the end, when every lease is over.
        per_process: pairs of each process, with all that replaced it.
        steps: at which step threads were when they were killed.
    """

    store: str
    seed: int
    pairs: int
    kills: int
    kills_in_a_hold: int
    crashes: int
    rounds: int
    refusals: int
    served: int
    bill: int
    judged: int
    ledger: int
    slowest_reserve_ms: float
    slowest_settle_ms: float
    per_process: list[int]
    steps: dict[str, int]
    seconds: float
    violations: list[Violation]

    def __str__(self) -> str:
        steps = ", ".join(f"{step} {count}" for step, count in self.steps.items())
        lines = [
            f"store {self.store}, seed {self.seed}, {self.seconds:,.0f} s",
            f"  pairs of reserve and settle   {self.pairs:>20,}   by process: {self.per_process}",
            f"  budgets spent to the edge     {self.rounds:>20,}   refusals: {self.refusals:,}",
            f"  kills of processes            {self.kills:>20,}   threads were at: {steps}",
            f"  kills while a hold was open   {self.kills_in_a_hold:>20,}",
            f"  kills of the server           {self.crashes:>20,}",
            f"  calls served by the provider  {self.served:>20,}",
            f"  the provider's bill           {usd(self.bill):>20}",
        ]
        if self.judged != self.bill:
            lines.append(f"  of ledgers that outlived it   {usd(self.judged):>20}")
        lines += [
            f"  the ledger                    {usd(self.ledger):>20}",
            f"  the ledger has more by        {usd(self.ledger - self.judged):>20}   calls whose cost nobody knows, at their worst",
            f"  slowest reserve, settle       {self.slowest_reserve_ms:>13,.1f} ms, {self.slowest_settle_ms:,.1f} ms",
            f"  violations                    {len(self.violations):>20,}",
        ]
        lines += [
            f"    {count:,} x {check}" for check, count in Counter(v.check for v in self.violations).items()
        ]
        lines += [f"    {violation}" for violation in self.violations[:MOST_SHOWN]]
        return "\n".join(lines)

    def document(self) -> str:
        """As JSON, on one line."""
        found = asdict(self) | {"violations": [violation._asdict() for violation in self.violations]}
        return json.dumps(found)


def usd(nanos: int) -> str:
    """Whole nano-dollars as dollars."""
    return f"${nanos // 10**9:,}.{nanos % 10**9:09d}" if nanos >= 0 else f"-{usd(-nanos)}"
