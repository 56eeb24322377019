"""Ids: unique without asking anybody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from bursar.runtime.ids import _renew, new_id


def test_ids_are_names() -> None:
    """An id is short printable ASCII without the separators of keys."""
    for _ in range(100):
        assert new_id().replace("-", "").isalnum()
        assert new_id().isascii()
        assert len(new_id()) < 40


def test_ids_are_unique_across_threads() -> None:
    """Eight threads that make ids at once never make the same one."""
    start = threading.Barrier(8)
    made: list[list[str]] = []

    def work() -> None:
        start.wait()
        made.append([new_id() for _ in range(5_000)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id for ids in made for id in ids}) == 40_000


def test_ids_are_unique_across_processes() -> None:
    """Two fresh processes share no id."""
    code = "from bursar.runtime.ids import new_id\nfor _ in range(100): print(new_id())"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    ids = [id for run in runs for id in run.stdout.split()]
    assert len(set(ids)) == len(ids) == 200


def test_renewal_begins_another_series() -> None:
    """What a forked child does first gives it ids that its parent never makes."""
    before = [new_id() for _ in range(5)]
    _renew()
    after = [new_id() for _ in range(5)]
    assert len({*before, *after}) == 10
    assert {id.partition("-")[0] for id in before}.isdisjoint(id.partition("-")[0] for id in after)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_makes_its_own() -> None:
    """Parent and children of a fork count on from the same place and still share no id."""
    new_id()
    made: list[str] = []
    for _ in range(3):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - runs in the child, where nobody measures
            os.write(writer, "\n".join(new_id() for _ in range(50)).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            theirs = pipe.read().split()
        assert os.waitpid(child, 0)[1] == 0
        assert len(theirs) == 50
        made += theirs
        made += (new_id() for _ in range(50))
    assert len(set(made)) == 300
