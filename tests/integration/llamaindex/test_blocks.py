"""A call that does not fit is never sent, whichever way it is made; one that fits is charged once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from tests.integration.llamaindex.conftest import BRANDS, WAYS, managed

from bursar import BudgetExceeded
from bursar_llamaindex import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script

LIMITS = [pytest.param("$1", id="enough"), pytest.param("0 calls", id="nothing")]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize("way", WAYS)
def test_one_call_is_charged_once_or_not_sent(way: Any, brand: str, limit: str, provider: Script) -> None:
    """Also where LlamaIndex tells of it twice, as of `complete` of Anthropic: the bill is the ledger."""
    budget = BudgetCallback(limit)
    Settings.callback_manager = managed(budget)
    model = provider.model(brand)
    if limit == "$1":
        way(model)
        assert provider.sent == 1
        assert budget.report()["breakdown"]["llm"]["calls"] == 1
    else:
        with pytest.raises(BudgetExceeded) as refused:
            way(model)
        assert type(refused.value) is BudgetExceeded
        assert provider.sent == 0
    provider.assert_exact(budget)
