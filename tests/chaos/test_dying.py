"""No alert is lost with the process that caused it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bursar import Budget

from ..files import file_url
from ..scale import scaled
from ..servers import shared_url
from ..unit.hooked import receiver, until
from .dying import PLACES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("where", ["sqlite", "redis"])
def test_alerts_of_killed_processes_are_delivered_by_the_next(where: str) -> None:
    """SIGKILL between the mark and the end of the POST: the receiver has every id when the next one was started."""
    url = {"sqlite": file_url, "redis": shared_url}[where](timeout="20s")
    command = [sys.executable, "-m", f"{__package__}.dying", url]
    kills = scaled(5, 50)
    with receiver() as here:
        for number in range(kills):
            dying = [*command, here.url, f"run{number}", PLACES[number % len(PLACES)]]
            done = subprocess.run(dying, cwd=ROOT, capture_output=True, timeout=60, check=False)
            assert done.returncode == -signal.SIGKILL, done.stderr
        store: Any = Budget(store=url)._ledger.store
        expected = {alert.id for alert in store.alerts("default").alerts}
        assert len(expected) == kills and all(alert.due for alert in store.alerts("default").alerts)
        before = [request.headers["webhook-id"] for request in here.received]
        assert len(before) == len(set(before)) == sum(number % 3 == 2 for number in range(kills))
        after = subprocess.Popen([*command, here.url], cwd=ROOT, stdin=subprocess.PIPE, text=True)
        until(lambda: not any(alert.due for alert in store.alerts("default").alerts))
        after.communicate("", timeout=60)
        ids = [request.headers["webhook-id"] for request in here.received]
    assert set(ids) == expected and len(ids) == kills + len(before)
