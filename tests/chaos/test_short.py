"""A storm of seconds over every store; `nox -s chaos` has the ones that take an hour."""

from __future__ import annotations

import sys

import pytest

from ..scale import scaled
from .stores import STORES
from .storm import Storm

PAIRS, KILLS, LEAST_HITS, MOST_S = scaled((800, 5, 3, 90), (8_000, 50, 25, 600))


@pytest.mark.parametrize("store", sorted(STORES.keys() - {"sqlite-normal"}))
def test_nobody_spends_too_much_whoever_is_killed(store: str) -> None:
    """Processes with threads or tasks are killed in calls, and a server if there is one: no check of the judge fails.

    Three at least die in an open hold; with `--full` it is 25.
    """
    outcome = Storm(
        store, seed=5, pairs=PAIRS, kills=KILLS, crashes=1, calls=300, hits=LEAST_HITS, most_s=MOST_S
    ).run()
    sys.stderr.write(f"{outcome}\n")
    assert not outcome.violations, outcome
    assert outcome.kills_in_a_hold >= LEAST_HITS, outcome
    assert outcome.rounds >= 3 and outcome.refusals > 100, outcome
    assert 0 < outcome.judged <= outcome.ledger, outcome
    assert min(outcome.per_process) > 0 and bool(outcome.crashes) == (store == "redis-always"), outcome
