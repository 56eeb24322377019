"""Every store keeps the same promises."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

from bursar.store.memory import MemoryStore
from bursar.store.redis import RedisStore, open_redis
from bursar.store.sqlite import SqliteStore, open_sqlite
from bursar.testing import ManualClock, StoreContract

from ..files import file_url
from ..scale import scaled
from ..servers import shared_url
from .toy_store import ToyStore

PUBLIC = ("bursar", "bursar.store", "bursar.testing")


class Promises(StoreContract):
    """Those of stores that forget by age alone: a few calls do for that, and with `--full` it is many."""

    many_calls = scaled(300, 12_000)


class TestMemoryStore(Promises):
    """Balances in this process."""

    def open_store(self, clock: ManualClock) -> MemoryStore:
        """An empty store in memory."""
        return MemoryStore(clock)


class BareStore(MemoryStore):
    """With the verbs alone."""

    roots = holds = history = alerts = None  # type: ignore[assignment]


class TestBareStore(Promises):
    """A store need not list its trees, nor what is in flight, nor keep a history or alerts."""

    def open_store(self, clock: ManualClock) -> MemoryStore:
        """An empty store in memory that cannot list."""
        return BareStore(clock)


class TestToyStore(Promises):
    """A list of lines, written by somebody who knows the protocol only."""

    def open_store(self, clock: ManualClock) -> ToyStore:
        """An empty list."""
        return ToyStore(clock)


class TestRedisStore(Promises):
    """Balances on a server."""

    def open_store(self, clock: ManualClock) -> RedisStore:
        """An empty tree of keys."""
        return open_redis(shared_url(timeout="20s"), clock)


class TestSqliteStore(Promises):
    """Balances in a file."""

    def open_store(self, clock: ManualClock) -> SqliteStore:
        """An empty file."""
        return open_sqlite(file_url(), clock)


def test_a_store_of_ones_own_needs_public_names_only() -> None:
    """The toy store imports what is in `__all__` of a public module, and nothing else of ours."""
    imported = set()
    for name in ("toy_store.py", "toy_lines.py", "toy_days.py", "toy_alerts.py"):
        for node in ast.walk(ast.parse((Path(__file__).parent / name).read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                imported |= {(node.module or "", alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                imported |= {(alias.name, "") for alias in node.names}
    ours = {(module, name) for module, name in imported if module.split(".")[0] == "bursar"}
    assert len(ours) > 20
    assert ours <= {(module, name) for module in PUBLIC for name in import_module(module).__all__}
