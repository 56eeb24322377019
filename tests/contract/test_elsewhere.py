"""The stores, `init` and the wait work on a system that is not POSIX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("elsewhere.py")
TESTS = (
    "tests/contract/test_store_promises.py::TestMemoryStore",
    "tests/contract/test_store_promises.py::TestSqliteStore",
    "tests/unit/test_dropin.py",
    "tests/unit/test_waiting.py",
)


def test_without_fcntl_fork_and_users_the_promises_are_kept() -> None:
    """Balances in memory and in a file, two lines for a process, and calls that wait for others, in a process of its own."""
    command = (sys.executable, str(PROGRAM), "-q", "-pno:cacheprovider", "-pno:xdist", *TESTS)
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert " passed" in run.stdout and "skipped" not in run.stdout
