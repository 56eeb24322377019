"""Finds accounts in a store by the names that people type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import accumulate
from urllib.parse import quote

from ..reports.balance import account_views
from ..store.base import HasRoots, Store
from ..store.entry import Path
from ..store.views import AccountView, Snapshot
from ..values.account import name_of, path_of, root_key, shown_key
from .mistake import Mistake

MOST_NAMES = 10  # of an error that lists what there is


@dataclass(frozen=True, slots=True)
class Found:
    """An account that the store has.

    Attributes:
        store: where it is.
        key: its key.
        snapshot: the accounts of its path; or the whole tree around it, see `with_tree`.
    """

    store: Store
    key: str
    snapshot: Snapshot

    @property
    def name(self) -> str:
        """As people know it: ``default/alice``."""
        return shown_key(self.key)

    @property
    def path(self) -> Path:
        """From the root."""
        return path_of(self.key)

    @property
    def views(self) -> tuple[AccountView, ...]:
        """Of each account of the path, the root first."""
        return account_views(self.snapshot, self.path)

    @property
    def view(self) -> AccountView:
        """Of the account itself."""
        return self.views[-1]

    @property
    def zone(self) -> str:
        """The time zone of its calendar limits, or of those above it."""
        known = (limit.limit.tz for view in reversed(self.views) for limit in view.limits)
        return next(filter(None, known), "UTC")

    def with_tree(self) -> Found:
        """The same, read with all budgets below it."""
        return Found(self.store, self.key, self.store.read(self.key))


def keys_of_path(key: str) -> tuple[str, ...]:
    """The keys from the root to an account."""
    return tuple(accumulate(key.split("/"), lambda above, own: f"{above}/{own}"))


def names_of_path(key: str) -> list[str]:
    """The names from the root to an account, as they were given."""
    return [name_of(key) for key in keys_of_path(key)]


def find(store: Store, name: str) -> Found:
    """The account of a name: its path from the root (``default/alice``), or its own name where one has it.

    Raises:
        Mistake: there is none, or there are several.
    """
    key = _by_path(store, name)
    if key is None:
        known = {key: shown_key(key) for root in root_keys(store) for key in store.read(root).accounts}
        keys = [key for key, path in known.items() if path == name]
        keys = keys or [key for key in known if name_of(key) == name]
        if len(keys) > 1:
            raise Mistake(f"there are several accounts {name!r}: {_listed([known[key] for key in keys])}")
        if not keys:
            raise Mistake(_unknown(name, known))
        key = keys[0]
    return Found(store, key, store.read(root_key(key), keys_of_path(key)))


def roots(store: Store) -> list[Found]:
    """The budgets at the top, by name.

    Raises:
        Mistake: the store has none.
    """
    keys = root_keys(store)
    if not keys:
        raise Mistake("the store has no accounts yet: they are made by the first call under a Budget")
    return [Found(store, key, store.read(key, (key,))) for key in keys]


def only_root(store: Store) -> Found:
    """The budget at the top, where there is one.

    Raises:
        Mistake: there are several.
    """
    found = roots(store)
    if len(found) > 1:
        raise Mistake(f"which account? --account takes one of {_listed([one.name for one in found])}")
    return found[0]


def chosen(store: Store, name: str | None) -> Found:
    """The account of a name, or the only one at the top."""
    return only_root(store) if name is None else find(store, name)


def root_keys(store: Store) -> list[str]:
    """The keys of the trees of a store.

    Raises:
        Mistake: it cannot list them.
    """
    if not isinstance(store, HasRoots):
        raise Mistake("this store cannot list its accounts; name one: --account NAME")
    return sorted(store.roots(), key=shown_key)


def _by_path(store: Store, name: str) -> str | None:
    """The key of exactly this path; a name of a session has no mark, or its ``@``."""
    names = name.split("/")
    if not all(names):
        return None
    candidates = tuple(_spellings(names))
    known = store.read(candidates[0].partition("/")[0], candidates).accounts
    return next((key for key in candidates if key in known), None)


def _spellings(names: list[str]) -> Iterator[str]:
    """The keys that a path of names may stand for: the last ones may be of sessions."""
    plain = [quote(name, safe="") for name in names]
    for budgets in range(len(names), 0, -1):
        sessions = (f"@{quote(name.removeprefix('@'), safe='')}" for name in names[budgets:])
        yield "/".join((*plain[:budgets], *sessions))


def _unknown(name: str, known: dict[str, str]) -> str:
    """Which accounts are close to a name, by their paths or their own names; else which there are."""
    words = {*known.values(), *map(name_of, known)}
    near = {*get_close_matches(name, words, MOST_NAMES, 0.6), *(word for word in words if name in word)}
    paths = [path for key, path in known.items() if path in near or name_of(key) in near]
    if paths:
        return f"there is no account {name!r}; close to it: {_listed(paths)}"
    there = f"there are {_listed([*known.values()])}" if known else "the store has none yet"
    return f"there is no account {name!r}; {there}"


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
