"""The keys of a tree: all share a hash tag, so that they are on one node of a cluster.

A step names every key that it may write to without having read it. A Cluster that moves the tree to
another node then refuses the step as a whole while some of its keys are here and some are there.
"""

from __future__ import annotations

from ...values.account import is_session, root_key
from ..base import Path

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
    root = root_key(path[0].key)
    base = base_key(prefix, root)
    keys = tree_keys(prefix, root)
    if id:
        keys.append(f"{base}r:{id}")
    for account in path:
        keys += [f"{base}b:{account.key}", f"{base}n:{account.key}"]
        if is_session(account.key):
            keys += [f"{base}c:{account.key}", f"{base}l:{account.key}"]
    return [*keys, *(f"{base}a:{account.key}" for account in path)]
