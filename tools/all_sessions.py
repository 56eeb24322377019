"""Run every session of nox that is marked with a star, as `nox` does, in about half of its time.

The core comes first and alone: its tests take two processors, and some measure how long something
takes. The others follow three at a time, the last of the list first. A session that passed is one
line; what the others printed comes at the end.
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
    """Print a line for each session that ends, and at last what those printed that failed; 1 if one did."""
    listed = subprocess.run((*NOX, "--list", "--nocolor"), stdout=subprocess.PIPE, text=True, check=True)
    sessions = re.findall(r"^\* (.+?) ->", listed.stdout, re.MULTILINE)
    began = time.monotonic()
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for at_once in ([FIRST], [name for name in reversed(sessions) if name != FIRST]):
            for done in as_completed([threads.submit(run, session) for session in at_once]):
                ended = done.result()
                failed += [ended] if ended.status else []
                outcome = "FAILED" if ended.status else "passed"
                print(f"{outcome:8}{ended.seconds:6.0f} s  {ended.session}", flush=True)
    for ended in failed:
        print(f"\n{ended.session} printed:\n{ended.output}")
    print(f"{len(sessions)} sessions in {time.monotonic() - began:.0f} s", end="; ")
    print(f"failed: {', '.join(ended.session for ended in failed)}" if failed else "all passed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
