"""Run every session of nox that is marked with a star, as `nox` does, in about half of its time.

The core comes first and alone: its tests take two processors, and some measure how long something
takes. The others follow three at a time, the last of the list first.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple

NOX = (sys.executable, "-m", "nox")
FIRST = "core"
AT_ONCE = 3  # about half of their time they wait for a socket


class Ended(NamedTuple):
    """One session that has ended: its exit status, what it printed, and how many seconds it took."""

    session: str
    status: int
    output: str
    seconds: float


def run(session: str) -> Ended:
    """Run one session to its end."""
    began = time.monotonic()
    command = (*NOX, "-s", session)
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    ended = subprocess.run(command, stdout=pipe, stderr=both, text=True, check=False)
    return Ended(session, ended.returncode, ended.stdout, time.monotonic() - began)


def main() -> int:
    """Print what each session prints, when it ends, and at last a line for each; 1 if one of them failed."""
    listed = subprocess.run((*NOX, "--list", "--nocolor"), stdout=subprocess.PIPE, text=True, check=True)
    sessions = re.findall(r"^\* (.+?) ->", listed.stdout, re.MULTILINE)
    began = time.monotonic()
    ran = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for at_once in ([FIRST], [name for name in reversed(sessions) if name != FIRST]):
            for done in as_completed([threads.submit(run, session) for session in at_once]):
                ran.append(done.result())
                print(ran[-1].output, flush=True)
    for session, status, _, seconds in ran:
        print(f"{'passed' if status == 0 else 'FAILED':8}{seconds:6.0f} s  {session}")
    print(f"{len(ran)} sessions in {time.monotonic() - began:.0f} s")
    return int(any(one.status for one in ran))


if __name__ == "__main__":
    sys.exit(main())
