"""Rules for every test: nothing leaves this machine, and no test gets lost."""

from __future__ import annotations

import sys
from typing import Any

import pytest

LOCAL = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"}


def stay_home(event: str, args: tuple[Any, ...]) -> None:
    """Refuse to look up or to connect to any host but this one."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):  # else a path: a local socket
        host = args[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOCAL:
        raise RuntimeError(f"a test reached for the network: {host!r}")


sys.addaudithook(stay_home)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of tests that were there before, and how long those are that can be long."""
    parser.addoption("--minimum-tests", type=int, default=0, help="fail when fewer tests are collected")
    parser.addoption("--pairs", type=int, default=500, help="of reserve and settle over a bad network")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compare it with those that are there now."""
    found, minimum = len(session.items), session.config.getoption("minimum_tests")
    if found < minimum:
        raise pytest.UsageError(f"{found} tests collected, and there were {minimum}: has one been lost?")
