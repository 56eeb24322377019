"""Sessions that nobody can name any more are told to their store, some at a time."""

from __future__ import annotations

import gc

import pytest

from bursar import Budget
from bursar.store import MemoryStore


class Told(MemoryStore):
    """Remembers which sessions it was told have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    def end(self, root: str, keys: tuple[str, ...]) -> None:
        self.ended += keys
        super().end(root, keys)


@pytest.mark.parametrize("calls", [True, False])
@pytest.mark.parametrize(("sessions", "told"), [(63, 0), (64, 64)])
def test_sessions_that_nobody_has_any_more_are_told_together(sessions: int, told: int, calls: bool) -> None:
    """At the next step of the budget once there are 64 of them, whether or not they have ever called."""
    store = Told()
    budget = Budget("$1", store=store)
    for _ in range(sessions):
        session = budget.session()
        if calls:
            session.reserve(cost="$0.001").release()
        del session
    gc.collect()
    assert budget.spent == 0 and len(store.ended) == told
