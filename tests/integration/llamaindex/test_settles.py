"""What is charged is what the provider bills."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index.core.prompts import PromptTemplate
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel
from tests.integration.llamaindex.conftest import QUESTION, WAYS, managed, run

from bursar import Budget, BudgetExceeded, UnknownModel
from bursar.testing import Reply
from bursar_llamaindex import BudgetCallback, budget_llm

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script


class Colour(BaseModel):
    """A colour."""

    name: str


@pytest.fixture
def budget() -> BudgetCallback:
    handler = BudgetCallback("$1")
    Settings.callback_manager = managed(handler)
    return handler


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
def test_cached_input_is_charged_at_its_price(
    brand: str, way: Any, budget: BudgetCallback, provider: Script
) -> None:
    """Read from the provider's cache, and with Anthropic written to it."""
    more = {"cache_write_tokens": 300} if brand == "anthropic" else {}
    provider.provider.always(Reply("ok", input_tokens=1000, cached_input_tokens=600, output_tokens=7, **more))
    way(provider.model(brand))
    provider.assert_exact(budget)


PROMPT = PromptTemplate("Which colour?")


def structured_predict(model: Any) -> None:
    assert model.structured_predict(Colour, PROMPT).name == "blue"


def astructured_predict(model: Any) -> None:
    assert run(model.astructured_predict(Colour, PROMPT)).name == "blue"


def structured_llm(model: Any) -> None:
    assert model.as_structured_llm(Colour).chat(QUESTION).raw.name == "blue"


def stream_structured(model: Any) -> None:
    assert list(model.as_structured_llm(Colour).stream_chat(QUESTION))


@pytest.mark.parametrize("limit", ["$1", "0 calls"])
@pytest.mark.parametrize("ask", [structured_predict, astructured_predict, structured_llm, stream_structured])
@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
def test_a_structured_answer_is_charged_once_or_refused(
    brand: str, ask: Any, limit: str, provider: Script
) -> None:
    """Where a `StructuredLLM` around the model tells of it, too, and where no callback tells of it at all."""
    session = Budget(limit).session()
    Settings.callback_manager = managed(BudgetCallback(session))
    model = provider.model(brand)
    if ".parse(" in inspect.getsource(type(model).structured_predict):  # the SDK's, past all callbacks
        model.model = "gpt-4o-mini" if brand == "responses" else "claude-haiku-4-5"
        provider.says('{"name": "blue"}')
    else:
        model.pydantic_program_mode = PydanticProgramMode.FUNCTION
        provider.calls(("Colour", {"name": "blue"}))
    if limit == "$1":
        ask(model)
        assert session.report()["breakdown"]["llm"]["calls"] == 1
    else:
        with pytest.raises(BudgetExceeded):
            ask(model)
    assert provider.sent == (limit == "$1")
    provider.assert_exact(session)


@pytest.mark.parametrize("ask", ["text", "atext", "query", "aquery", "batch", "abatch"])
def test_embeddings_are_charged_exactly(ask: str, budget: BudgetCallback, provider: Script) -> None:
    """One text or many, in batches of two, sync and async."""
    model = provider.embedding(embed_batch_size=2)
    texts = [f"text number {number}" for number in range(5)]
    asked: dict[str, Any] = {
        "text": lambda: model.get_text_embedding(texts[0]),
        "atext": lambda: run(model.aget_text_embedding(texts[0])),
        "query": lambda: model.get_query_embedding(texts[0]),
        "aquery": lambda: run(model.aget_query_embedding(texts[0])),
        "batch": lambda: model.get_text_embedding_batch(texts),
        "abatch": lambda: run(model.aget_text_embedding_batch(texts)),
    }
    assert asked[ask]()
    assert provider.sent == (3 if "batch" in ask else 1)
    assert budget.report()["breakdown"]["llm"]["calls"] == provider.sent
    provider.assert_exact(budget)


def test_an_embedding_from_llamaindexs_cache_is_free(budget: BudgetCallback, provider: Script) -> None:
    """The second time it is not sent, and not charged; the kind of model goes on to be trusted."""
    model = provider.embedding(embeddings_cache=SimpleKVStore())
    model.get_text_embedding("sky")
    model.get_text_embedding("sky")
    assert provider.sent == 1
    provider.assert_exact(budget)


def test_a_failed_call_costs_what_the_provider_bills(budget: BudgetCallback, provider: Script) -> None:
    """Nothing, where it answers with an error."""
    provider.provider.script(Reply(status=400))
    with pytest.raises(Exception, match="400"):
        provider.model().chat(QUESTION)
    assert provider.sent == 1
    assert budget.spent == 0
    provider.assert_exact(budget)


def test_a_model_without_a_price_is_not_asked(budget: BudgetCallback, provider: Script) -> None:
    """The error says that it has none."""
    model = provider.model("elsewhere", name="home-made")
    with pytest.raises(UnknownModel):
        model.complete("Why?")
    assert provider.sent == 0


def test_an_answer_without_usage_is_charged_at_its_hold(provider: Script) -> None:
    """A model on neither SDK that tells no usage: never free, and never above what was held."""
    session = Budget("$1").session()
    model = budget_llm(provider.model("elsewhere", tells=False), session)
    model.complete("Why?")
    assert session.spent * 10**9 > provider.bill_nanos
    assert session.reserved == 0
    assert session.report()["estimated"] == 1
