"""Two hosts whose clocks disagree by ten minutes: real processes, one of them under libfaketime, no `clock=`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..files import file_url
from ..servers import Server
from ..zones import early_zone

SHIFT_S = 600
PLACES = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/*.so.1",
)


def _library() -> str:
    """Libfaketime (Debian: faketime). Where there is none, the test is skipped on a laptop, and fails in CI."""
    for place in PLACES:
        found = sorted(Path("/").glob(place.lstrip("/")))
        if found:
            return str(found[0])
    why = "no libfaketime: apt-get install faketime"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def clock(shift: str) -> dict[str, str]:
    """The environment of a process whose clock is shifted."""
    given = {"LD_PRELOAD": _library(), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return os.environ | given


class Host:
    """One of them.

    Args:
        arguments: of `host.py`: the store, the time zone, the lease, the limits.
        shift: of its clock.
    """

    def __init__(self, *arguments: str, shift: str = "+0") -> None:
        program = str(Path(__file__).with_name("host.py"))
        self._process = subprocess.Popen(
            [sys.executable, program, *arguments],
            env=clock(shift),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, order: str) -> Any:
        """What it says to an order."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """It goes."""
        self._process.communicate()


Pair = Callable[..., tuple[Host, Host]]


@pytest.fixture
def hosts() -> Iterator[Pair]:
    """A host whose clock is right, and one whose clock is shifted."""
    made: list[Host] = []

    def make(url: str, lease: str, limit: str, *, shift: str) -> tuple[Host, Host]:
        tz = early_zone()
        made.extend(Host(url, tz, lease, limit, shift=by) for by in ("+0", shift))
        return made[-2], made[-1]

    yield make
    for host in made:
        host.close()


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A server with the right time."""
    server = Server()
    yield server.url()
    server.close()


SHIFTS = {"ahead": f"+{SHIFT_S}s", "behind": f"-{SHIFT_S}s"}
either = pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)


def until(host: Host, order: str, answer: object) -> None:
    """Ask until it says so; much sooner than the clocks disagree."""
    deadline = time.monotonic() + SHIFT_S / 10
    while (said := host(order)) != answer:
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


@either
def test_on_redis_a_window_is_not_opened_by_a_clock(hosts: Pair, redis_url: str, shift: str) -> None:
    """Ten minutes on one clock do not open a window of five."""
    right, wrong = hosts(redis_url, "15min", "$1/5min", shift=shift)
    assert abs(abs(wrong("time") - right("time")) - SHIFT_S) < 60
    assert (right("spend 0.6"), wrong("spend 0.4")) == ("spent", "spent")
    assert {wrong("spend 0.1"), right("spend 0.1")} == {"refused by $1/5min"}


@either
def test_on_redis_a_window_opens_for_both(hosts: Pair, redis_url: str, shift: str) -> None:
    """When it has passed by the server, whatever their own clocks say."""
    for host in hosts(redis_url, "15min", "$1/1s", shift=shift):
        for _ in range(2):
            until(host, "spend 1", "spent")


@either
def test_on_redis_a_lease_is_not_ended_by_a_clock(hosts: Pair, redis_url: str, shift: str) -> None:
    """Ten minutes on one clock do not end a lease of five, for neither of them."""
    right, wrong = hosts(redis_url, "5min", "$1/total", shift=shift)
    assert (right("hold 0.5"), wrong("hold 0.25")) == ("held", "held")
    assert wrong("balance") == right("balance") == ["0", "0.75"]
    assert wrong("spend 0.3") == right("spend 0.3") == "refused by $1/total"


@either
def test_on_redis_a_lease_ends_for_both(hosts: Pair, redis_url: str, shift: str) -> None:
    """Then it is booked, and corrected when they settle."""
    right, wrong = hosts(redis_url, "1s", "$1/total", shift=shift)
    assert (right("hold 0.5"), wrong("hold 0.25")) == ("held", "held")
    until(wrong, "balance", ["0.75", "0"])
    assert right("balance") == ["0.75", "0"]
    assert (wrong("settle 0.05"), right("settle 0.05")) == ("0", "0")
    assert wrong("balance") == right("balance") == ["0.1", "0"]


@pytest.mark.parametrize("shift", ["+86400s", "-86400s"], ids=["ahead", "behind"])
def test_on_redis_the_day_is_the_same_for_both(hosts: Pair, redis_url: str, shift: str) -> None:
    """One of them has another day than the server and the other host; both spend from the day of the server."""
    right, wrong = hosts(redis_url, "15min", "$1/day", shift=shift)
    assert (wrong("spend 0.6"), right("spend 0.4")) == ("spent", "spent")
    assert wrong("spend 0.1") == right("spend 0.1") == "refused by $1/day"
    assert wrong("balance") == right("balance") == ["1", "0"]


@either
def test_the_doctor_names_the_host(hosts: Pair, redis_url: str, shift: str) -> None:
    """The one whose clock is wrong, by how much; not the other."""
    right, wrong = hosts(redis_url, "15min", "$1/total", shift=shift)
    healthy, ill = right("doctor"), wrong("doctor")
    assert abs(abs(ill["clock_skew_seconds"]) - SHIFT_S) < 5 > abs(healthy["clock_skew_seconds"])
    named = [line for line in ill["warnings"] if socket.gethostname() in line]
    assert len(named) == 1 and "clock" in named[0]
    assert not [line for line in healthy["warnings"] if "clock" in line]


@either
def test_on_sqlite_a_shifted_clock_does_not_open_a_long_window(hosts: Pair, shift: str) -> None:
    """Of a day ten minutes are not enough; and a clock that is behind stands still where the ledger is."""
    right, wrong = hosts(file_url(), "15min", "$1/24h", shift=shift)
    assert (right("spend 0.6"), wrong("spend 0.4")) == ("spent", "spent")
    assert {wrong("spend 0.1"), right("spend 0.1")} == {"refused by $1/24h"}


def test_on_sqlite_a_clock_that_is_behind_opens_nothing(hosts: Pair) -> None:
    """Neither a window of a minute nor the lease of somebody else."""
    right, wrong = hosts(file_url(), "1min", "$1/1min", shift=SHIFTS["behind"])
    assert (right("hold 0.5"), wrong("spend 0.5")) == ("held", "spent")
    assert {wrong("spend 0.1"), right("spend 0.1")} == {"refused by $1/1min"}
    assert wrong("balance") == right("balance") == ["0.5", "0.5"]


def test_on_sqlite_a_clock_that_is_ahead_costs_no_money(hosts: Pair) -> None:
    """It ends the leases of others: what they hold is booked in full, opens nothing, and is corrected when they settle."""
    right, wrong = hosts(file_url(), "1min", "$1/total", shift=SHIFTS["ahead"])
    assert right("hold 0.5") == "held"
    assert wrong("spend 0.6") == "refused by $1/total"
    assert wrong("balance") == right("balance") == ["0.5", "0"]
    assert right("settle 0.2") == "0"
    assert wrong("balance") == right("balance") == ["0.2", "0"]
    assert wrong("spend 0.8") == "spent"


def test_on_sqlite_a_clock_that_is_ahead_opens_a_short_window_once(hosts: Pair) -> None:
    """There is no other clock to ask: the ledger goes by the fastest, and then stands still until the others are there."""
    right, wrong = hosts(file_url(), "15min", "$1/5min", shift=SHIFTS["ahead"])
    assert right("spend 1") == "spent"
    assert wrong("spend 1") == "spent"
    assert {wrong("spend 0.1"), right("spend 0.1")} == {"refused by $1/5min"}
