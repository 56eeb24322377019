"""The program of a run, started from this process: what its end says."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bursar.cli.run.launch import End, launch

pytestmark = pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="this system has no sigtimedwait")


def launched(script: str) -> End:
    """A program of the shell, with this environment."""
    return launch(["/bin/sh", "-c", script], os.environ)


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Path]:
    """A file that the program makes when it runs; then this thread, and no other one, is told to end."""
    file, waits = tmp_path / "ready", threading.get_ident()

    def tell() -> None:
        while not file.exists():
            time.sleep(0.01)
        signal.pthread_kill(waits, signal.SIGTERM)

    thread = threading.Thread(target=tell)
    thread.start()
    yield file
    file.touch()  # if there was no program
    thread.join()


def test_a_signal_for_the_command_goes_to_its_program(ready: Path) -> None:
    """Which ends by it: that is no crash."""
    end = launched(f"touch '{ready}'; exec sleep 60")
    assert end[1:] == (128 + signal.SIGTERM, False, True)


def test_a_program_may_end_well_on_a_signal(ready: Path) -> None:
    """It says how it ends."""
    end = launched(f"trap 'exit 7' TERM; touch '{ready}'; while :; do sleep 0.01; done")
    assert end[1:] == (7, False, True)


@pytest.mark.parametrize(
    ("script", "status", "crashed"), [("exit 5", 5, False), ("kill -KILL $$", 128 + signal.SIGKILL, True)]
)
def test_an_end_without_a_signal_for_the_command(script: str, status: int, crashed: bool) -> None:
    """The status of its program; a signal that nobody sent through us is a crash."""
    assert launched(script)[1:] == (status, crashed, False)
