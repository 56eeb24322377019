"""Fifty different calls at once, without an output cap, on a budget that holds three worst cases."""

from __future__ import annotations

from contextvars import copy_context

import pytest

from bursar_crewai import BudgetMiddleware

from .. import crowd
from .conftest import Script


@pytest.mark.parametrize("store", crowd.STORES)
def test_fifty_calls_at_once_are_all_served(store: str, provider: Script) -> None:
    """In threads; none with a cap below 8,192."""
    crowd.scripted(provider.provider)
    model = provider.llm(model="gpt-4o", max_tokens=None)
    with BudgetMiddleware(crowd.budget("$0.50", store)) as budget:
        contexts = [copy_context() for _ in range(crowd.CALLS)]
        crowd.in_threads(lambda number: contexts[number].run(model.call, crowd.question(number)))
    crowd.all_are_served(provider.provider, budget.session)
