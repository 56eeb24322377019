"""Notes that the processes of a run leave in its folder: who was refused last, and who is not covered."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import BudgetExceeded, CallVetoed
from ...hookspecs import hookimpl
from ...ledger.refusals import Refusal
from ...ledger.swallowed import SwallowedRefusals
from ...reports.text import clean

_MOST = 1_000  # threads and tasks that are remembered; a process with more of them is stopped for good


class Notes:
    """The notes of one process; a plugin of its budget.

    A process is stopped while the latest call of one of its threads or tasks was refused: one that made a
    smaller call afterwards went on.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._mine = self._folder / f"refused-{os.getpid()}"
        self._mine.unlink(missing_ok=True)  # of the program that this process was before an exec
        self._stopped: set[object] = set()
        self._lock = threading.Lock()

    @hookimpl
    def bursar_reserved(self, hold: object) -> None:
        """A call was admitted."""
        if self._stopped:
            with self._lock:
                if len(self._stopped) < _MOST:
                    self._stopped.discard(_here())
                if not self._stopped:
                    self._mine.unlink(missing_ok=True)

    @hookimpl
    def bursar_refused(self, refusal: Refusal) -> None:
        """A call was refused."""
        if isinstance(refusal.error, CallVetoed):
            return  # by a plugin, and not by the budget
        latest = SwallowedRefusals(swallow=True)
        latest.note(refusal.error)
        note = {
            "at_ns": time.time_ns(),
            "message": str(refusal.error),
            "terminated_by": latest.terminated_by,
        }
        with self._lock:
            if len(self._stopped) < _MOST:
                self._stopped.add(_here())
            draft = self._mine.with_name(f"draft-{os.getpid()}")
            draft.write_text(json.dumps(note), "utf-8")
            draft.replace(self._mine)

    def ends_by(self, error: BaseException | None) -> None:
        """The program ends by an exception; was it a refusal, or raised from one, that is what stopped it."""
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            if isinstance(error, BudgetExceeded):
                self.bursar_refused(Refusal(None, error, 0))  # type: ignore[arg-type]
                return
            seen.add(id(error))
            error = error.__cause__ or error.__context__

    def uncovered(self, line: str) -> None:
        """A child cannot be covered."""
        line = clean(" ".join(line.split()))
        with (self._folder / "uncovered").open("a", encoding="utf-8") as notes:
            notes.write(f"{json.dumps(line)}\n")
        sys.stderr.write(f"bursar: {line}\n")

    def failed(self, line: str) -> None:
        """The program itself cannot be covered, and is not run."""
        (self._folder / "failed").write_text(line, "utf-8")


class Found:
    """What the runner reads when the program has ended.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    @property
    def failure(self) -> str | None:
        """Why the program was not run."""
        failed = self._folder / "failed"
        return failed.read_text("utf-8") if failed.exists() else None

    @property
    def uncovered(self) -> list[str]:
        """Children that could not be covered."""
        lines: list[str] = []
        with suppress(FileNotFoundError):
            lines = list(map(json.loads, (self._folder / "uncovered").read_text("utf-8").splitlines()))
        return lines

    def stop(self, program: int, status: int) -> dict[str, Any] | None:
        """The refusal that stopped the program.

        Its own, or that of a child by which it failed; where it went on and ended well after a child was
        refused, it was not stopped.

        Args:
            program: the number of its process.
            status: its exit status.
        """
        own = self._folder / f"refused-{program}"
        refused = [own] if own.exists() else [*self._folder.glob("refused-*")] if status else []
        notes: list[dict[str, Any]] = [json.loads(note.read_text("utf-8")) for note in refused]
        return max(notes, key=lambda note: note["at_ns"], default=None)


def _here() -> object:
    """The task or the thread that runs this."""
    with suppress(RuntimeError):  # there is no loop here
        return asyncio.current_task() or threading.current_thread()
    return threading.current_thread()
