"""The rule of every test of the core: what it opens it closes."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

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


def test_file_in_the_working_directory_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a folder; not a hidden one, which tools of the tests write, and not one that was there before."""
    (tmp_path / "before").touch()
    monkeypatch.setattr(leftovers, "_where", tmp_path)
    monkeypatch.setattr(leftovers, "_files", {"before"})
    assert leftovers.new_files() == []
    (tmp_path / ".hidden").touch()
    (tmp_path / "left.pkl").touch()
    assert leftovers.new_files() == ["left.pkl"]
    assert leftovers.new_files() == []
