"""The programs that we show: they run against this CrewAI, and do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("crewai_agents.py", r"stopped: (.|\n)*Researcher: \$0\.\d+\nWriter: \$0\.\d+"),
        ("crewai_flow.py", r"2 answers for \$0\.\d+"),
    ],
    ids=["agents", "flow"],
)
def test_example(program: str, says: str, tmp_path: Path) -> None:
    """A crew with budgets of its agents, and a flow that ends with what it has."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(ROOT / "examples" / program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert re.search(says, done.stdout), done.stdout
