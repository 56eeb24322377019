"""The keys of a tree: all share a hash tag, so that they are on one node of a cluster.

A step names every key that it may write to without having read it. A Cluster that moves the tree to
another node then refuses the step as a whole while some of its keys are here and some are there.
"""

from __future__ import annotations

from functools import lru_cache

from ...values.account import is_session, root_key
from ..entry import Path

_SHARED = (
    "meta",
    "accounts",
    "budgets",
    "sessions",
    "ended",
    "leases",
    "final",
    "answers",
    "answered",
    "journal",
    "history",
    "alerts",
    "alert",
    "due",
)


def base_key(prefix: str, root: str) -> str:
    """What the keys of a tree begin with: ``bursar:{default}:``. Names in keys are percent-encoded."""
    return f"{prefix}:{{{root}}}:"


def tree_keys(prefix: str, root: str) -> list[str]:
    """The keys of a tree that are there once; the first is that of its sequence."""
    base = base_key(prefix, root)
    return [base + name for name in _SHARED]


def path_keys(prefix: str, path: Path, id: str = "") -> list[str]:
    """The keys of a step on this path: of the tree, of a record, and of the accounts from the root.

    Args:
        prefix: what all keys begin with.
        path: the accounts.
        id: of the record, percent-encoded; empty for a step without one.
    """
    before, after = _around(prefix, tuple(account.key for account in path))
    return [*before, f"{base_key(prefix, root_key(path[0].key))}r:{id}", *after] if id else [*before, *after]


@lru_cache(1024)
def _around(prefix: str, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The keys of a step before that of its record, and after it: the same at every step on a path."""
    root = root_key(names[0])
    base, keys = base_key(prefix, root), []
    for name in names:
        keys += [f"{base}b:{name}", f"{base}n:{name}"]
        if is_session(name):
            keys += [f"{base}c:{name}", f"{base}l:{name}"]
    return tree_keys(prefix, root), [*keys, *(f"{base}a:{name}" for name in names)]
