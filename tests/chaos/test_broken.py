"""The storm is worth something: over a store that breaks a promise it turns red, by the check that is about it."""

from __future__ import annotations

from functools import lru_cache

import pytest

from ..scale import scaled
from .broken import BROKEN, FOUND_BY
from .outcome import Outcome
from .storm import Storm

SEED = 7
TRIES = 16  # dice say when a process is killed, and not when the machine lets it run


@lru_cache
def storm(store: str, broken: str = "", seed: int = SEED) -> Outcome:
    """The same dice for all; a longer one with `--full`."""
    return Storm(store, seed, pairs=scaled(1_000, 4_000), kills=2, calls=300, broken=broken, most_s=60).run()


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("store", ["memory", "sqlite", "redis"])
def test_a_broken_store_is_found_out(store: str, broken: str) -> None:
    """A check that is named for it fails, and not one does over the sound store with the same seed."""
    assert not storm(store).violations, storm(store)
    for seed in range(SEED, SEED + TRIES):
        found = {violation.check for violation in storm(store, broken, seed).violations}
        if FOUND_BY[broken] & found:
            return
    raise AssertionError(storm(store, broken))
