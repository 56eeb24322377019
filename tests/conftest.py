"""Rules for every test: nothing leaves this machine, and no test gets lost."""

from __future__ import annotations

import functools
import gc
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import leftovers, scale

TIDY = ("unit", "contract", "stateful", "concurrency", "faults", "chaos")  # others run what is not ours
LOCAL = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"}


def stay_home(host: object) -> None:
    """Refuse to look up or to connect to any host but this one."""
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOCAL:
        raise RuntimeError(f"a test reached for the network: {host!r}")


def guarded(reach: Any, host_of: Callable[..., object]) -> Any:
    """The same function, which stays home.

    No audit hook does this: Python code in one lets another thread run in the midst of `sys.settrace`, with which
    threads begin that are measured, and which then fails.
    """

    @functools.wraps(reach)
    def at_home(*args: Any, **named: Any) -> Any:
        stay_home(host_of(*args))
        return reach(*args, **named)

    return at_home


def host_of(_: socket.socket, address: object) -> object:
    """Of an address; that of a local socket is a path."""
    return address[0] if isinstance(address, tuple) else None


for name in ("connect", "connect_ex"):
    setattr(socket.socket, name, guarded(getattr(socket.socket, name), host_of))
socket.getaddrinfo = guarded(socket.getaddrinfo, lambda host=None, *_: host)
leftovers.watch()
# Each client of HTTP reads the authorities that it trusts, 140 by default, in a tenth of what a test takes.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "data" / "authority.pem")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of tests that were there before, and whether the long ones are to be long."""
    parser.addoption("--minimum-tests", type=int, default=0, help="fail when fewer tests are collected")
    parser.addoption("--full", action="store_true", help="random and long runs as long as they can be")


def pytest_configure(config: pytest.Config) -> None:
    """Tell the modules of tests, which are imported after this."""
    scale.full = config.getoption("full")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compare it with those that are there now."""
    if not hasattr(session.config, "workerinput"):
        see_that_none_is_lost(session.config, len(session.items))
    gc.freeze()  # what was collected stays: nobody has to look through it again


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Where several processes run the tests, each collects all of them."""
    see_that_none_is_lost(node.config, len(ids))


def see_that_none_is_lost(config: pytest.Config, found: int) -> None:
    """End the run before it begins where there are too few tests."""
    minimum = config.getoption("minimum_tests")
    if found < minimum:
        pytest.exit(f"{found} tests collected, and there were {minimum}: has one been lost?", 4)


@pytest.fixture(autouse=True)
def _begins(request: pytest.FixtureRequest) -> None:
    """What was opened before is a server of all tests, or a fixture's of the module.

    And what finalizers of earlier tests have to say is not in the log of this one.
    """
    leftovers.begin()
    if "caplog" in request.fixturenames:
        gc.collect()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # after the records of the log are gone
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Who opens a store, a client, a server or an event loop in a test closes it, or lets go of it.

    And no test, of a framework either, leaves a file where the tests are run.
    """
    if item.path.relative_to(Path(__file__).parent).parts[0] not in TIDY:
        yield
    else:
        leftovers.give_up_bookings()
        yield
        item.funcargs.clear()  # type: ignore[attr-defined]
        failed = hasattr(sys, "last_value")  # and its traceback keeps what it had
        left = not failed and leftovers.still_open()
        assert not left, f"the test has left open: {left}"
    made = leftovers.new_files()
    assert not made, f"the test has left in the working directory: {made}"
