"""Where workers come from, as the storm sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from .worker import Order

ROOT = Path(__file__).parents[2]


def _state(thread: Path) -> str:
    """What a thread is doing, as the system abbreviates it."""
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


class Nursery:
    """One process that forks workers; see `worker.nurse`.

    Args:
        log: what workers write to their standard error.
    """

    def __init__(self, log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.worker"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def start(self, order: Order) -> int:
        """A new worker; its process id, which is its own until it is buried."""
        return int(self._ask(f"start {json.dumps(order)}"))

    def signal(self, pid: int, name: str) -> None:
        """Send it a signal by its name."""
        os.kill(pid, getattr(signal, name))

    def stop(self, pid: int) -> None:
        """Send it SIGSTOP, and wait until it stands still: one of its threads has to run once to stop the others."""
        self.signal(pid, "SIGSTOP")
        threads = Path(f"/proc/{pid}/task")
        while threads.exists() and not all(_state(thread) == "T" for thread in threads.iterdir()):
            time.sleep(0.001)

    def bury(self, pid: int) -> int:
        """Wait for its end; its exit status, negative where a signal ended it."""
        return int(self._ask(f"bury {pid}"))

    def _ask(self, order: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery died"
        return answer

    def close(self) -> None:
        """End it, and all that is left of it."""
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            end.close()
        self._process.wait()
