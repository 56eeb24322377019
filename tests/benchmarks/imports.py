"""How long an import takes in a fresh process whose bytecode is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

from rows import OURS, Row, ratio, row
from timing import ROUNDS, Rounds

PROGRAM = "from time import perf_counter as t; a = t(); import {}; print(1000 * (t() - a))"


def taken_ms(module: str) -> float:
    """Milliseconds of one import."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = (sys.executable, "-c", PROGRAM.format(module))
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def run(done: Callable[[int], object]) -> Iterator[Row]:
    """Ours beside pluggy, which it needs, and beside the others; the first of each writes the bytecode."""
    modules = (OURS, "pluggy", "agentbudget", "shekel", "floe_guard")
    found: dict[str, Rounds] = {module: [] for module in modules}
    for number in range(-1, ROUNDS):
        for module in modules[:: -1 if number % 2 else 1]:
            taken = taken_ms(module)
            if number >= 0:
                found[module].append(taken)
        done(1)
    goals = ratio("`import pluggy`", 2, found[OURS], found["pluggy"])
    found["floe-guard"] = found.pop("floe_guard")
    yield row("`import bursar`", found, goals, unit="ms")
