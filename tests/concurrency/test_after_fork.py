"""What a forked child may do with what it inherits. The rows are those of docs/concurrency.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("forked.py")
SCENARIOS = (
    "Budget",
    "Session",
    "Hold",
    "with hold:",
    "MemoryStore",
    "register_model",
    "ManualClock",
    "ScriptedProvider",
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("row", SCENARIOS)
def test_after_fork(row: str) -> None:
    """What the table says of forked children, row by row; none of them gets stuck."""
    command = [sys.executable, "-Werror", "-Wignore::DeprecationWarning", str(PROGRAM), row]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
