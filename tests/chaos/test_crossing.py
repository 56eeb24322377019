"""An alert is told once, however many get there at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ..files import file_url
from ..servers import shared_url
from ..unit.hooked import receiver
from .crossing import FRACTIONS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("where", "processes", "threads"), [("memory", 1, 64), ("sqlite", 8, 8), ("redis", 8, 8)]
)
def test_each_mark_of_a_limit_is_told_once_to_64_who_cross_it(
    where: str, processes: int, threads: int, tmp_path: Path
) -> None:
    """Each fraction of `soft_limit` and the first refusal: one alert each, in whichever process, and one POST each."""
    url = {"memory": "", "sqlite": file_url(timeout="30s"), "redis": shared_url(timeout="30s")}[where]
    told = tmp_path / "told"
    crossing = [sys.executable, "-m", f"{__package__}.crossing", url, str(told)]
    with receiver() as here:
        command = [*crossing, here.url, str(processes), str(threads)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    posted = {request.headers["webhook-id"]: json.loads(request.body)["kind"] for request in here.received}
    assert len(posted) == len(here.received)
    assert Counter(posted.values()) == {"soft_limit": len(FRACTIONS), "hard_limit": 1}
    expected = Counter([*(f"soft_limit {fraction}" for fraction in FRACTIONS), "hard_limit"])
    lines = (line.removesuffix(" None") for line in told.read_text().splitlines())
    assert Counter(line if "soft" in line else line.split()[0] for line in lines) == expected
