"""`Terms`: what `bursar run` tells its program and all children of that, through the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

SITE = Path(__file__).parent / "site"
VARIABLE = "BURSAR_RUN"
BUDGET = "run"  # the name of the budget in its ledger


@dataclass(frozen=True)
class Terms:
    """One run.

    Attributes:
        limits: texts of limits.
        session: the id of the one session that pays for all processes.
        folder: where its ledger and its notes are.
        runner: the process that started it; the program is its child.
        strict: a child that cannot be covered does not start.
        hard_stop: False refuses nothing, and counts what it would have refused.
    """

    limits: tuple[str, ...]
    session: str
    folder: str
    runner: int
    strict: bool
    hard_stop: bool

    @property
    def store(self) -> str:
        """The URL of its ledger. A crash of the machine ends the run, too."""
        from urllib.parse import quote

        return f"sqlite:///{quote(self.folder)}/ledger.db?synchronous=normal&timeout=20"

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """That of the program."""
        paths = [str(SITE), *filter(None, [base.get("PYTHONPATH")])]
        return {**base, "PYTHONPATH": os.pathsep.join(paths), VARIABLE: json.dumps(asdict(self))}


def told() -> Terms:
    """The terms that this process was started with."""
    found = json.loads(os.environ[VARIABLE])
    return Terms(**{**found, "limits": tuple(found["limits"])})
