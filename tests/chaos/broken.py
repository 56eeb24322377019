"""Stores that break a promise, to see that the storm finds them out.

Each takes a sound store and spoils it, in every process that opens it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from bursar.runtime.ids import new_id
from bursar.store import (
    PLAIN,
    Amounts,
    Booked,
    Contended,
    Entry,
    Granted,
    Refused,
    StalePeriod,
    Store,
    Terms,
)
from bursar.store.entry import Ask
from bursar.store.memory import MemoryStore
from bursar.store.redis import script
from bursar.store.sqlite import SqliteStore
from bursar.store.sqlite import store as sqlite_store

from ..contract.test_broken_scripts import BROKEN as SCRIPTS
from ..contract.test_broken_stores import Hasty
from . import judge


def check_then_act(store: Store) -> None:
    """A reserve looks first and takes later: two that look at once both take."""
    probe, reserve = store.probe, store.reserve

    def broken(
        entry: Entry,
        minimum: Amounts,
        terms: Terms = PLAIN,
        floor: Amounts | None = None,
        ask: Ask = "last",
    ) -> Granted | Contended | Refused | StalePeriod:
        seen = probe(entry, minimum, terms)
        if not isinstance(seen, Granted):
            return reserve(entry, minimum, terms, floor, ask)
        time.sleep(0.001)
        taken = reserve(entry._replace(amounts=seen.amounts), minimum, terms._replace(enforce=False))
        return taken._replace(ignored=None) if isinstance(taken, Granted) else taken

    store.reserve = broken  # type: ignore[method-assign]
    _sync_only(store)


def books_twice(store: Store) -> None:
    """A settle that is sent again is booked again."""
    settle = store.settle

    def broken(entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        booked = settle(entry, terms)
        if isinstance(booked, Booked) and booked.repeated:
            store.book(entry._replace(id=new_id()), terms)
        return booked

    store.settle = broken  # type: ignore[method-assign]
    _sync_only(store)


def gives_back(store: Store) -> None:
    """What a lease leaves behind is nobody's: it is given back."""
    if isinstance(store, MemoryStore):
        store._verbs = Hasty()
    elif isinstance(store, SqliteStore):
        sqlite_store.Verbs = Hasty  # type: ignore[misc]
    else:
        sound, spoilt, _ = SCRIPTS["gives back what a lease leaves behind"]
        source = script.source().replace(sound, spoilt)
        script.source, script.sha = lambda: source, lambda: script.digest(source)  # type: ignore[assignment]


def _sync_only(store: Store) -> None:
    """Its asyncio client takes the same spoilt verbs."""

    async def acall(verb: str, *arguments: Any) -> Any:
        return await asyncio.to_thread(getattr(store, verb), *arguments)

    store.acall = acall  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[Store], None]] = {
    "check then act": check_then_act,
    "books twice": books_twice,
    "gives back": gives_back,
}
FOUND_BY = {
    "check then act": {judge.OVERSPENT, judge.OVERBOOKED},
    "books twice": {judge.INEXACT},
    "gives back": {judge.UNDERBOOKED, judge.INEXACT, judge.OVERBOOKED, judge.OVERSPENT},
}
