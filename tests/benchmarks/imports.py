"""How long an import takes in a fresh process whose bytecode is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

from rows import OURS, Row, ratio, row
from timing import ROUNDS, Rounds

PROGRAM = "from time import perf_counter as t; a = t(); {}; print(1000 * (t() - a))"
STATEMENTS = {
    OURS: "import bursar",
    "with Budget": "from bursar import Budget",
    "pluggy": "import pluggy",
    "agentbudget": "import agentbudget",
    "shekel": "import shekel",
    "floe-guard": "import floe_guard",
}


def taken_ms(statement: str) -> float:
    """Milliseconds of one import."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = (sys.executable, "-c", PROGRAM.format(statement))
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def run(done: Callable[[int], object]) -> Iterator[Row]:
    """Ours beside pluggy, which it needs, and beside the others; the first of each writes the bytecode."""
    names = tuple(STATEMENTS)
    found: dict[str, Rounds] = {name: [] for name in names}
    for number in range(-1, ROUNDS):
        for name in names[:: -1 if number % 2 else 1]:
            taken = taken_ms(STATEMENTS[name])
            if number >= 0:
                found[name].append(taken)
        done(1)
    goals = ratio("`import pluggy`", 2, found[OURS], found["pluggy"])
    yield row("`import bursar`", found, goals, unit="ms")
