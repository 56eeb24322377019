"""The commands that people leave running beside programs that spend: at a terminal, and for a browser."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import cache

import pytest

from bursar.cli import accounts
from bursar.cli.app import main
from bursar.cli.serve.look import Look
from bursar.ledger.steps import run
from bursar.store import Store

LOOKS = ("top --interval 0.1", "who", "top --interval 0.1 --account tenant_3", "who --account tenant_3")


def looks(store: Store) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each command line, and what runs it on this store."""

    def look(line: str) -> None:
        words = [word.replace("_", " ") for word in line.split(" ")]
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
            patch.setattr("bursar.cli.place.open_store", lambda _: store)
            status = main([*words, "--store", "this one"])
        assert status == 0 and out.getvalue().startswith("account")

    for line in LOOKS:
        yield line, lambda line=line: look(line)  # type: ignore[misc]
    live = cache(lambda: Look(accounts.find(store, "default"), 30, "this one"))
    yield "serve", lambda: run(live()(), store).body()
