"""What may be sent to a process that was started afresh. The rows are those of docs/concurrency.md."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("spawned.py")
METHODS = [method for method in multiprocessing.get_all_start_methods() if method != "fork"]
SCENARIOS = (
    "Budget",
    "Session",
    "Hold",
    "MemoryStore",
    "register_model",
    "Limit",
    "BudgetExceeded",
    "ManualClock",
    "ScriptedProvider",
)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("row", SCENARIOS)
def test_between_processes(row: str, method: str) -> None:
    """What the table says of other processes, row by row."""
    command = [sys.executable, "-Werror", str(PROGRAM), method, row]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
