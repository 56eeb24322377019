"""Starts the program of a run and waits for its end, whatever signals come."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FROM_THE_KERNEL = 0x80  # si_code: a terminal told the whole group


class End(NamedTuple):
    """How a program ended.

    Attributes:
        process: its number.
        status: its exit status; 128 and the number of the signal that ended it.
        crashed: True where it was ended by a signal that nobody sent through us.
        told: True where a signal came that ends programs.
    """

    process: int
    status: int
    crashed: bool
    told: bool


def launch(command: Sequence[str], env: Mapping[str, str]) -> End:
    """Run a program to its end. Signals that end programs are the program's; it says how it ends."""
    # Blocked, they wait for `sigtimedwait`; the program gets the mask that was there before.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGCHLD})
    told: set[int] = set()
    try:
        process = subprocess.Popen(  # noqa: S603 - which is what it is for
            command, env=dict(env), preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before)
        )
        while process.poll() is None:
            came = signal.sigtimedwait({*_PASSED_ON, signal.SIGCHLD}, 1.0)
            if came is not None and came.si_signo != signal.SIGCHLD:
                told.add(came.si_signo)
                if came.si_code != _FROM_THE_KERNEL:
                    process.send_signal(came.si_signo)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    status = process.returncode
    return End(
        process.pid, status if status >= 0 else 128 - status, status < 0 and -status not in told, bool(told)
    )
