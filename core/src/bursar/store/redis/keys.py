"""The keys of a tree: all share a hash tag, so that they are on one node of a cluster."""

from __future__ import annotations

from ...account import root_key
from ..base import Path


def base_key(prefix: str, root: str) -> str:
    """What the keys of a tree begin with: ``bursar:{default}:``. Names in keys are percent-encoded."""
    return f"{prefix}:{{{root}}}:"


def path_keys(prefix: str, path: Path) -> list[str]:
    """The keys that a step on this path names: of the tree, then of the accounts from the root."""
    base = base_key(prefix, root_key(path[0].key))
    return [f"{base}meta", *(f"{base}a:{account.key}" for account in path)]
