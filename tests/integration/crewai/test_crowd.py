"""Fifty different calls at once, without an output cap, on a budget that holds three worst cases."""

from __future__ import annotations

from contextvars import copy_context

import pytest

from bursar_crewai import BudgetMiddleware

from .. import crowd
from .conftest import Script


@pytest.mark.parametrize("store", crowd.STORES)
def test_fifty_calls_at_once_are_all_served(store: str, provider: Script) -> None:
    """In threads and at most ten waves; none with a cap below 8,192."""
    model = provider.llm(model="gpt-4o", max_tokens=None)
    with crowd.in_waves(provider.provider, "$0.50", store) as budget, BudgetMiddleware(budget):
        contexts = [copy_context() for _ in range(crowd.CALLS)]
        crowd.in_threads(lambda number: contexts[number].run(model.call, crowd.question(number)))
