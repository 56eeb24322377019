"""A store that nobody uses any more closes its file, without a warning about what was left open."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys

import pytest

from bursar.store.sqlite import open_sqlite

from ...files import file_url
from ...garbage import Witness


def test_dropped_store_closes_its_file_before_the_garbage_collector_finds_it() -> None:
    """In a ring of garbage, too, where anything may come first."""
    witness = Witness()
    store = open_sqlite(file_url())
    store.read("default")
    connection = store._file._connection
    assert connection is not None

    def is_closed() -> bool:
        try:
            connection.execute("SELECT 1")
        except sqlite3.ProgrammingError:
            return True
        return False

    saw = witness.of(store, is_closed)
    del store, witness
    gc.collect()
    assert saw == [True]


@pytest.mark.parametrize("last", ["", "store.itself = store", "import sys; sys.modules['kept'] = store"])
def test_store_that_is_open_at_exit_warns_of_nothing(last: str) -> None:
    """Whatever still refers to it, the interpreter ends without a word."""
    program = f"""
from bursar.store.sqlite import open_sqlite
store = open_sqlite({file_url()!r})
store.read("default")
{last}
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
