"""The web app of the examples shares the budgets of its users between processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..servers import shared_url

PROGRAM = Path(__file__).parents[2] / "examples" / "web_app.py"


def test_four_processes_share_the_budgets_of_their_users_in_redis() -> None:
    """100 requests at once: no user spends more than a day has, by the bill."""
    command = (sys.executable, str(PROGRAM), "--store", shared_url(timeout="30s"), "--workers", "4")
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("of $0.0005 a day") == 5
