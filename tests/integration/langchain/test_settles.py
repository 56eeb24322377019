"""What is booked is what the provider bills, to the nano-dollar."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage

from bursar import Budget, BudgetExceeded, Price
from bursar_langchain import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

USAGES = {
    "plain": {"input_tokens": 100, "output_tokens": 20},
    "cached": {"input_tokens": 100, "output_tokens": 20, "cached_input_tokens": 40},
    "everything cached": {"input_tokens": 100, "output_tokens": 1, "cached_input_tokens": 100},
    "odd": {"input_tokens": 333, "output_tokens": 7, "cached_input_tokens": 111},
}
WRITES = {
    "written": {"input_tokens": 100, "output_tokens": 20, "cache_write_tokens": 60},
    "read and written": {
        "input_tokens": 100,
        "output_tokens": 20,
        "cached_input_tokens": 30,
        "cache_write_tokens": 15,
    },
}


def ask(model: Any, how: str, question: Any, budget: BudgetCallback) -> None:
    config: Any = {"callbacks": [budget]}
    if how == "stream":
        list(model.stream(question, config))
    else:
        model.invoke(question, config)


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
def test_usage(brand: str, how: str, usage: dict[str, Any], provider: Script) -> None:
    """Every class of tokens is booked at its own price, streamed or not."""
    provider.says(**usage)
    budget = BudgetCallback("$1")
    ask(provider.model(brand), how, "x" * 500, budget)
    assert provider.sent == 1
    provider.assert_exact(budget)
    assert budget.report()["estimated"] == 0


@pytest.mark.parametrize("usage", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_cache_writes(how: str, usage: dict[str, Any], provider: Script) -> None:
    """Anthropic's writes to its cache are booked at the five-minute price, once."""
    provider.says(**usage)
    budget = BudgetCallback("$1")
    text = {"type": "text", "text": "x" * 500, "cache_control": {"type": "ephemeral"}}
    ask(provider.anthropic(), how, [HumanMessage([text])], budget)
    provider.assert_exact(budget)


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_cache_writes_for_an_hour(how: str, provider: Script) -> None:
    """A cache of an hour costs more; a stream that does not tell is taken to be what was asked for."""
    provider.says(input_tokens=100, output_tokens=20, cache_write_1h_tokens=60)
    budget = BudgetCallback("$1")
    text = {"type": "text", "text": "x" * 500, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ask(provider.anthropic(), how, [HumanMessage([text])], budget)
    provider.assert_exact(budget)


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("tier", ["flex", "priority", None])
@pytest.mark.parametrize("brand", ["openai", "responses"])
def test_tier(brand: str, tier: str | None, how: str, provider: Script) -> None:
    """The tier that the answer was served at sets the price, with cached tokens, too."""
    provider.serves_at(tier)
    provider.says(input_tokens=100, output_tokens=20, cached_input_tokens=40, service_tier=tier)
    budget = BudgetCallback("$1")
    ask(provider.model(brand, model="gpt-5", service_tier=tier), how, "x" * 500, budget)
    provider.assert_exact(budget)


@pytest.mark.parametrize("asked", [1, 3])
def test_several_choices(asked: int, provider: Script, question: Any) -> None:
    """Several choices come with one usage, which is booked once."""
    budget = BudgetCallback("$1")
    provider.openai(n=asked).generate([question], callbacks=[budget])
    assert provider.sent == 1
    assert budget.session.calls == 1
    provider.assert_exact(budget)


def test_several_choices_are_held(provider: Script, question: Any) -> None:
    """What is held grows with the number of choices: the cap of each is lowered, to a third of what is left."""
    one = provider.openai(max_tokens=400)
    budget = BudgetCallback("$0.006")
    one.invoke(question, {"callbacks": [budget]})
    provider.openai(max_tokens=400, n=3).invoke(question, {"callbacks": [budget]})
    caps = [body["max_completion_tokens"] for body in provider.bodies]
    assert caps[0] == 400
    assert 100 < caps[1] <= 200
    provider.assert_exact(budget)


def test_answer_without_usage(provider: Script, question: Any) -> None:
    """An answer that does not say what it used is estimated, never free and never below the bill."""
    provider.says("The sky scatters blue light.", usage="absent")
    budget = BudgetCallback("$1")
    provider.openai().invoke(question, {"callbacks": [budget]})
    assert budget.spent * 10**9 >= provider.bill_nanos > 0
    assert budget.report()["estimated"] == 1
    assert budget.reserved == 0


def test_price_of_the_tool_schemas_is_held(provider: Script, question: Any) -> None:
    """Tool schemas are input: with a large one the call does not fit where it did without."""

    def look_up(place: str) -> str:
        return place

    look_up.__doc__ = "Look up. " + "Many words. " * 1000
    budget = BudgetCallback("$0.01")
    provider.openai().invoke(question, {"callbacks": [budget]})
    with pytest.raises(BudgetExceeded):
        provider.openai().bind_tools([look_up]).invoke(question, {"callbacks": [budget]})
    assert provider.sent == 1
    provider.assert_exact(budget)


@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
def test_langchains_cache_is_free(brand: str, provider: Script, question: Any) -> None:
    """The second, same question is answered from LangChain's cache: no request, no charge, counted as saved."""
    set_llm_cache(InMemoryCache())
    budget = BudgetCallback("$1")
    model = provider.model(brand)
    model.invoke(question, {"callbacks": [budget]})
    first = budget.spent
    model.invoke(question, {"callbacks": [budget]})
    assert provider.sent == 1
    assert budget.spent == first > 0
    assert Decimal(str(budget.report()["saved"])) == first
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "asked"), [("$1", 1), ("$1", 3), ("2 calls", 3)])
def test_text_model(limit: str, asked: int) -> None:
    """Models that complete text have one hold a prompt; if one does not fit, none is asked."""
    answered: list[str] = []

    class Completes(FakeListLLM):
        def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
            answered.append(prompt)
            return "said"

    price = Price("1", "2", context_window=1000, max_output_tokens=100)
    budget = BudgetCallback(Budget(limit, prices={"text": price}))
    handlers: Any = [budget]
    model = Completes(responses=[""], metadata={"ls_model_name": "text"})
    if limit == "$1":
        model.generate(["Say it"] * asked, callbacks=handlers)
        assert len(answered) == budget.session.calls == asked
        assert budget.spent > 0
    else:
        with pytest.raises(BudgetExceeded):
            model.generate(["Say it"] * asked, callbacks=handlers)
        assert not answered
        assert budget.spent == 0
    assert budget.reserved == 0


def test_a_run_id_that_is_used_again(provider: Script, question: Any) -> None:
    """A caller's own run id names several calls; each of them is paid for."""
    from uuid import uuid4

    budget = BudgetCallback("2 calls")
    config: Any = {"callbacks": [budget], "run_id": uuid4()}
    provider.openai().invoke(question, config)
    provider.openai().invoke("Another, longer question", config)
    with pytest.raises(BudgetExceeded):
        provider.openai().invoke(question, config)
    assert provider.sent == 2
    provider.assert_exact(budget)


def test_model_without_a_bill() -> None:
    """A local model is counted at $0 where the budget says that unknown models are free."""
    budget = BudgetCallback(Budget("$0.01", unknown_model="free"))
    model = GenericFakeChatModel(messages=iter([AIMessage("hello")]))
    model.invoke("hi", {"callbacks": [budget]})
    assert budget.spent == 0
    assert budget.reserved == 0
    assert budget.session.calls == 1


def test_report_and_balances(provider: Script, question: Any) -> None:
    """The handler shows what its session shows."""
    budget = BudgetCallback("$1")
    provider.openai().invoke(question, {"callbacks": [budget]})
    session = budget.session
    assert budget.spent == session.spent
    assert budget.remaining == session.remaining
    assert budget.remaining == 1 - budget.spent
    assert budget.get_report()["total_spent"] == budget.report()["total_spent"] == float(budget.spent)


def test_copies_are_the_same_budget() -> None:
    """LangChain copies configs; the copy of a handler is the handler."""
    import copy

    budget = BudgetCallback("$1")
    assert copy.copy(budget) is budget
    assert copy.deepcopy({"callbacks": [budget]})["callbacks"][0] is budget


def test_nothing_of_a_prompt_is_kept(provider: Script) -> None:
    """After the call the handler holds no text of the question or the answer."""
    budget = BudgetCallback("$1")
    provider.openai().invoke("a very secret question", {"callbacks": [budget]})
    assert len(budget._runs) == 0
    assert "secret" not in repr(vars(budget._runs)) + repr(budget.report())
