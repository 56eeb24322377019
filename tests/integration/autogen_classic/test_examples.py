"""The examples of the classic family run; they need an environment of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "autogen_classic").glob("*.py"))


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.name)
def test_example_is_stopped_at_its_budget(program: Path) -> None:
    """It says that a call was not made, and its own assertions hold."""
    command = [sys.executable, str(program)]
    ran = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "was not made" in ran.stdout
