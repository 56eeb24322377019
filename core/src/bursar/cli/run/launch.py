"""Starts the program of a run and waits for its end, whatever signals come."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_FROM_THE_KERNEL = 0x80  # si_code: a terminal has told the whole group


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
    if not hasattr(signal, "sigtimedwait"):
        return _wait_only(command, env)
    passed_on = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    # Blocked, they wait for `sigtimedwait`; the program gets the mask that was there before.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*passed_on, signal.SIGCHLD})
    told: set[int] = set()
    try:
        process = os.posix_spawn(
            command[0], list(command), env, setsigmask=before, setsigdef=(signal.SIGPIPE, signal.SIGXFSZ)
        )
        ended, wait_status = 0, 0
        while not ended:
            came = signal.sigtimedwait({*passed_on, signal.SIGCHLD}, 1.0)
            if came is not None and came.si_signo != signal.SIGCHLD:
                told.add(came.si_signo)
                if came.si_code != _FROM_THE_KERNEL:  # pragma: no branch - tested in a terminal of its own
                    os.kill(process, came.si_signo)
            ended, wait_status = os.waitpid(process, os.WNOHANG)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    status = os.waitstatus_to_exitcode(wait_status)
    crashed = status < 0 and -status not in told
    return End(process, status if status >= 0 else 128 - status, crashed, bool(told))


def _wait_only(command: Sequence[str], env: Mapping[str, str]) -> End:
    """On a system that does not tell where a signal comes from: a terminal tells the program by itself."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, env=dict(env))  # noqa: S603 - which is what it is for
        status = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return End(process.pid, status if status >= 0 else 128 - status, status < 0, told=False)
