"""Retries of LlamaIndex and of the SDKs: each attempt is on the bill once, and a refusal is not repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from llama_index.core import Settings
from tests.integration.llamaindex.conftest import WAYS, managed

from bursar import BudgetExceeded
from bursar.testing import Reply
from bursar_llamaindex import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for sdk in (anthropic, openai):
        monkeypatch.setattr(sdk._base_client.BaseClient, "_calculate_retry_timeout", lambda *_: 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
def test_a_call_that_is_retried_is_charged_exactly(brand: str, way: Any, provider: Script) -> None:
    """The provider is overloaded once, which it bills nothing for."""
    budget = BudgetCallback("$1")
    Settings.callback_manager = managed(budget)
    provider.provider.script(Reply(status=503))
    way(provider.model(brand, max_retries=2))
    assert provider.sent == 2
    assert budget.report()["breakdown"]["llm"]["calls"] == 1
    provider.assert_exact(budget)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
def test_a_refusal_is_not_retried(brand: str, way: Any, provider: Script) -> None:
    """With LlamaIndex's own retries as they are by default: refused once, and nothing is sent."""
    budget = BudgetCallback("0 calls")
    Settings.callback_manager = managed(budget)
    with pytest.raises(BudgetExceeded):
        way(provider.model(brand, max_retries=3))
    assert provider.sent == 0
    assert budget.report()["refusals"] == 1
