"""The rule of every test of the core: what it opens it closes."""

from __future__ import annotations

import asyncio
import socket

from .. import leftovers


def test_open_socket_is_found_until_it_is_closed() -> None:
    """While somebody has it; and not one that is closed, or that nobody has any more."""
    leftovers.begin()
    with socket.socket() as kept, socket.socket():
        assert kept in leftovers.still_open(wait_s=0)
    assert leftovers.still_open() == []


def test_open_event_loop_is_found_until_it_is_closed() -> None:
    """By the sockets that wake it up."""
    leftovers.begin()
    loop = asyncio.new_event_loop()
    assert leftovers.still_open(wait_s=0) != []
    loop.close()
    assert leftovers.still_open() == []
