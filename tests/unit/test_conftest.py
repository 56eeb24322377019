"""The network guard of every test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest


def look_up() -> None:
    """A name."""
    socket.getaddrinfo("example.com", 443)


def connect() -> None:
    """Over the shortest way."""
    with socket.socket() as made:
        made.connect(("192.0.2.1", 443))


def connect_ex() -> None:
    """Without an exception of its own."""
    with socket.socket() as made:
        made.connect_ex(("192.0.2.1", 443))


def create_connection() -> None:
    """As most libraries do."""
    socket.create_connection(("192.0.2.1", 443), timeout=1)


def open_connection() -> None:
    """In an event loop, which looks names up in a thread, and addresses not at all."""
    asyncio.run(asyncio.open_connection("192.0.2.1", 443))


@pytest.mark.parametrize("reach", [look_up, connect, connect_ex, create_connection, open_connection])
def test_reach_for_another_host_is_refused(reach: Callable[[], None]) -> None:
    """Whichever way it is tried; 192.0.2.1 is nobody's address."""
    with pytest.raises(RuntimeError, match="a test reached for the network"):
        reach()
