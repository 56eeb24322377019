"""A process that ends with a booking that it could not deliver: reserves, is told that the server is gone, settles."""

from __future__ import annotations

import os
import signal
import sys

from bursar import Budget

if __name__ == "__main__":
    url, cost = sys.argv[1:]
    session = Budget("$1/total", store=url).session("$1")
    hold = session.reserve(cost="$0.30")
    os.write(1, b"held\n")
    sys.stdin.readline()
    hold.settle(cost=cost)
    os.write(1, b"settled\n")
    os.kill(os.getpid(), signal.SIGKILL)
