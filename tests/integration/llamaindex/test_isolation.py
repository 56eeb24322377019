"""What LlamaIndex goes on doing as before, and what of its secrets is told to nobody."""

from __future__ import annotations

import copy
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from tests.integration.llamaindex.conftest import QUESTION, managed

from bursar import Budget, BudgetExceeded, BursarError
from bursar_llamaindex import BudgetCallback, budget_llm, install, uninstall

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script

CANARY = "sk-canary-8d1f"


@pytest.mark.parametrize("brand", ["openai", "anthropic"])
def test_the_key_of_a_model_is_told_to_nobody(
    brand: str, provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a log, a report, a repr, an event or an exception."""
    caplog.set_level(logging.DEBUG, "bursar")
    session = Budget("2 calls").session()
    budget = BudgetCallback(session)
    Settings.callback_manager = managed(budget)
    Settings.llm = provider.model(brand, api_key=CANARY)
    stream = Settings.llm.stream_chat(QUESTION)
    told = [repr(budget), repr(budget._calls.__dict__), repr(budget.__dict__)]
    list(stream)
    Settings.llm.chat(QUESTION)
    with pytest.raises(BudgetExceeded) as refused:
        Settings.llm.chat(QUESTION)
    told += [repr(refused.value), str(refused.value), repr(refused.value.__dict__)]
    told += [repr(budget.report()), repr(session), repr(session.report())]
    told += [record.getMessage() for record in caplog.records if record.name.startswith("bursar")]
    assert provider.sent == 2
    assert CANARY not in "\n".join(told)


def test_other_handlers_hear_what_they_heard_before(provider: Script) -> None:
    """The same starts and ends, whether the budget is in their manager or is installed."""
    heard = []
    for budgeted in (False, True):
        debug = LlamaDebugHandler(print_trace_on_end=False)
        if budgeted:
            install("$1")
        model = provider.model(callback_manager=CallbackManager([debug]))
        model.chat(QUESTION)
        list(model.stream_chat(QUESTION))
        heard.append(
            [
                (event.event_type, sorted(event.payload or {}))
                for event in [one for pair in debug.get_event_pairs() for one in pair]
            ]
        )
    assert heard[0] == heard[1] != []


class Refuses(BaseCallbackHandler):
    """A handler of somebody else's, which raises."""

    def on_event_start(self, *args: Any, **kwargs: Any) -> str:
        raise RuntimeError("not today")

    def on_event_end(self, *args: Any, **kwargs: Any) -> None: ...

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, *args: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize("brand", ["openai", "elsewhere"])
@pytest.mark.parametrize("first", [True, False])
def test_a_call_that_another_handler_prevents_holds_nothing(
    first: bool, brand: str, provider: Script
) -> None:
    """LlamaIndex tells nobody of its end; the span does."""
    budget = BudgetCallback("$1")
    handlers = [budget, Refuses([], [])]
    Settings.callback_manager = CallbackManager(handlers if first else handlers[::-1])
    with pytest.raises(RuntimeError, match="not today"):
        provider.model(brand).chat(QUESTION)
    assert provider.sent == 0
    assert budget.reserved == 0


def test_two_budgets_in_one_manager_both_pay(provider: Script) -> None:
    """Each is charged once; the one with less money decides."""
    one, other = BudgetCallback("$1"), BudgetCallback("1 calls")
    Settings.callback_manager = CallbackManager([one, other])
    model = provider.model()
    model.chat(QUESTION)
    with pytest.raises(BudgetExceeded):
        model.chat(QUESTION)
    assert provider.sent == 1
    provider.assert_exact(one)
    provider.assert_exact(other)


def test_a_copy_of_a_model_pays_into_the_same_budget(provider: Script) -> None:
    """LlamaIndex copies models where it changes them."""
    session = Budget("1 calls").session()
    model = budget_llm(provider.model(), session)
    copy.copy(model).chat(QUESTION)
    with pytest.raises(BudgetExceeded):
        model.model_copy().chat(QUESTION)
    assert provider.sent == 1


def test_one_budget_is_installed_at_a_time(provider: Script) -> None:
    """The second is refused; after `uninstall` nobody pays, and the report has what was spent."""
    assert uninstall() is None
    install("$1")
    with pytest.raises(BursarError, match="installed already"):
        install("$1")
    provider.model().chat(QUESTION)
    report = uninstall()
    assert report is not None and round(report["total_spent"] * 10**9) == provider.bill_nanos
    provider.model().chat(QUESTION)
    assert provider.sent == 2


def test_a_handler_that_was_made_has_its_own_agents() -> None:
    """Limits for it are refused where it is installed."""
    with pytest.raises(ValueError, match="its own agents="):
        install(BudgetCallback("$1"), agents={"writer": "$1"})


def test_the_package_imports_llamaindex_only_when_it_is_used() -> None:
    """Its names are listed without it."""
    program = "import sys, bursar_llamaindex as b; dir(b); assert 'llama_index' not in sys.modules; b.BudgetCallback"
    subprocess.run([sys.executable, "-c", program], check=True)
