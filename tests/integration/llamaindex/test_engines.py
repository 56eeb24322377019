"""Engines and indexes: the model whose manager they replace, queries in parallel, embeddings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex, get_response_synthesizer
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.tools import QueryEngineTool
from tests.integration.llamaindex.conftest import QUESTION, managed, run

from bursar import Budget, BudgetExceeded
from bursar.testing import Reply
from bursar_llamaindex import BudgetCallback, budget_embedding, budget_llm, budgeted, install, uninstall

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script

DOCUMENTS = [Document(text=f"Document {number} is about the sky.") for number in range(3)]


def index_of(provider: Script) -> VectorStoreIndex:
    return VectorStoreIndex.from_documents(DOCUMENTS, embed_model=provider.embedding(embed_batch_size=2))


def query(engine: Any) -> None:
    str(engine.query("Why?"))


def aquery(engine: Any) -> None:
    run(engine.aquery("Why?"))


def read_query(engine: Any) -> None:
    assert "".join(engine.query("Why?").response_gen)


def aread_query(engine: Any) -> None:
    async def read() -> None:
        response = await engine.aquery("Why?")
        assert [part async for part in response.async_response_gen()]

    run(read())


QUERIES = [
    pytest.param(query, {}, id="query"),
    pytest.param(aquery, {}, id="aquery"),
    pytest.param(read_query, {"streaming": True}, id="streaming"),
    pytest.param(aread_query, {"streaming": True}, id="astreaming"),
    pytest.param(aquery, {"use_async": True, "response_mode": "accumulate"}, id="accumulate-async"),
    pytest.param(query, {"response_mode": "tree_summarize"}, id="tree_summarize"),
    pytest.param(query, {"response_mode": "refine"}, id="refine"),
]


@pytest.mark.parametrize("way", ["Settings", "install", "budgeted"])
@pytest.mark.parametrize(("ask", "settings"), QUERIES)
def test_a_query_is_charged_or_refused(ask: Any, settings: Any, way: str, provider: Script) -> None:
    """Embedding and model alike, sync, async and streamed; a budget for k calls serves k, and no more."""
    engine = index_of(provider).as_query_engine(llm=provider.model(), **settings)
    built, billed = provider.sent, provider.bill_nanos
    ask(engine)
    calls, cost = provider.sent - built, provider.bill_nanos - billed
    assert built == 2 and calls >= 2
    for limit in (calls, calls - 1, 1, 0):
        session = Budget(f"{limit} calls").session()
        before, billed = provider.sent, provider.bill_nanos
        if way == "budgeted":
            engine = budgeted(engine, session)
        elif way == "install":
            install(session)
        else:
            Settings.callback_manager = managed(BudgetCallback(session))
        if limit == calls:
            ask(engine)
            assert session.spent * 10**9 == cost
        else:
            with pytest.raises(BudgetExceeded):
                ask(engine)
            assert session.spent * 10**9 == provider.bill_nanos - billed
        assert session.reserved == 0
        assert provider.sent - before == session.report()["breakdown"]["llm"]["calls"] == limit
        uninstall()


@pytest.mark.parametrize("use_async", [False, True])
@pytest.mark.parametrize("limit", [2, 1, 0])
def test_building_an_index_is_charged_or_refused(limit: int, use_async: bool, provider: Script) -> None:
    """Each batch of embeddings is one request; what does not fit is not sent."""
    budget = BudgetCallback(f"{limit} calls")
    Settings.callback_manager = managed(budget)
    model = provider.embedding(embed_batch_size=2)
    if limit == 2:
        VectorStoreIndex.from_documents(DOCUMENTS, embed_model=model, use_async=use_async)
    else:
        with pytest.raises(BudgetExceeded):
            VectorStoreIndex.from_documents(DOCUMENTS, embed_model=model, use_async=use_async)
    run(asyncio.sleep(0))  # both batches are sent at once, and the one that fits goes on after the refusal
    assert provider.sent == limit
    provider.assert_exact(budget)


def chat_once(engine: Any) -> None:
    engine.chat("Why?")


def achat_once(engine: Any) -> None:
    run(engine.achat("Why?"))


def stream_once(engine: Any) -> None:
    assert list(engine.stream_chat("Why?").response_gen)


def astream_once(engine: Any) -> None:
    async def read() -> None:
        response = await engine.astream_chat("Why?")
        assert [part async for part in response.async_response_gen()]

    run(read())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # LlamaIndex's writer
@pytest.mark.parametrize("way", ["Settings", "budgeted"])
@pytest.mark.parametrize("mode", ["simple", "context", "condense_plus_context"])
@pytest.mark.parametrize("ask", [chat_once, achat_once, stream_once, astream_once])
def test_a_chat_engine_is_charged_or_refused(ask: Any, mode: str, way: str, provider: Script) -> None:
    """Also where its stream is written by a thread of LlamaIndex's."""
    index, model = index_of(provider), provider.model()
    for limit in ("$1", "0 calls"):
        session = Budget(limit).session()
        before, billed = provider.sent, provider.bill_nanos
        if way == "Settings":
            Settings.callback_manager = managed(BudgetCallback(session))
        engine: Any = index.as_chat_engine(chat_mode=mode, llm=model)
        if way == "budgeted":
            engine = budgeted(engine, session)
        if limit == "$1":
            ask(engine)
            assert provider.sent - before == session.report()["breakdown"]["llm"]["calls"] > 0
        else:
            with pytest.raises(BudgetExceeded):
                ask(engine)
            assert provider.sent == before
        assert session.spent * 10**9 == provider.bill_nanos - billed
        assert session.reserved == 0


@pytest.mark.parametrize("use_async", [False, True])
@pytest.mark.parametrize("limit", ["$1", "2 calls", "0 calls"])
def test_sub_questions_are_charged_or_refused(limit: str, use_async: bool, provider: Script) -> None:
    """One call asks for the questions, and each of them is a query with an embedding of its own."""
    questions = (
        '[{"sub_question": "What?", "tool_name": "sky"}, {"sub_question": "How?", "tool_name": "sky"}]'
    )
    provider.provider.always(Reply("ok"))
    index, model = index_of(provider), provider.model()
    built, billed = provider.sent, provider.bill_nanos
    provider.says(f'{{"items": {questions}}}')
    session = Budget(limit).session()
    Settings.callback_manager = managed(BudgetCallback(session))
    tool = QueryEngineTool.from_defaults(index.as_query_engine(llm=model), name="sky", description="the sky")
    engine = SubQuestionQueryEngine.from_defaults(
        [tool],
        question_gen=LLMQuestionGenerator.from_defaults(llm=model),
        response_synthesizer=get_response_synthesizer(llm=model),
        llm=model,
        use_async=use_async,
        verbose=False,
    )
    if limit == "$1":
        with session:
            engine.query("Why?")
        assert provider.sent - built == 6
    else:
        with pytest.raises(BudgetExceeded), session:
            engine.query("Why?")  # it swallows the refusal of a sub-question: then the session raises it
        run(asyncio.sleep(0))  # what was sent beside the refused one goes on
        assert provider.sent - built == int(limit[0])
    assert provider.sent - built == session.report()["breakdown"]["llm"]["calls"]
    assert session.spent * 10**9 == provider.bill_nanos - billed
    assert session.reserved == 0


# -- the bypass: an engine replaces the manager of the model that it is given ---------------------


@pytest.mark.parametrize("limit", ["$1", "0 calls"])
@pytest.mark.parametrize("way", ["own handler", "budget_llm"])
def test_an_engine_does_not_take_the_budget_off_a_model(way: str, limit: str, provider: Script) -> None:
    """Neither for the queries nor for what is asked of the model directly, afterwards."""
    index = index_of(provider)
    session = Budget(limit).session()
    if way == "own handler":
        model = provider.model(callback_manager=managed(BudgetCallback(session)))
    else:
        model = budget_llm(provider.model(), session)
    engine = index.as_query_engine(llm=model)
    index.as_chat_engine(chat_mode="context", llm=model)
    before = provider.sent
    for ask, sent in ((lambda: engine.query("Why?"), 2), (lambda: model.chat(QUESTION), 1)):
        if limit == "$1":
            ask()
            assert provider.sent - before == sent
        else:
            with pytest.raises(BudgetExceeded):
                ask()
            assert provider.sent - before == sent - 1  # the embedding of the query, which has no budget here
        before = provider.sent
    assert session.report()["breakdown"]["llm"]["calls"] == (2 if limit == "$1" else 0)


@pytest.mark.parametrize("limit", ["$1", "0 calls"])
def test_an_index_does_not_take_the_budget_off_an_embedding_model(limit: str, provider: Script) -> None:
    """Nor does `Settings`, whose manager has a handler, too."""
    others = BudgetCallback("$1")
    Settings.callback_manager = managed(others)
    session = Budget(limit).session()
    model = budget_embedding(provider.embedding(), session)
    Settings.embed_model = model
    if limit == "$1":
        VectorStoreIndex.from_documents(DOCUMENTS)
    else:
        with pytest.raises(BudgetExceeded):
            VectorStoreIndex.from_documents(DOCUMENTS)
    assert provider.sent == (limit == "$1")
    provider.assert_exact(session)
    assert others.spent == 0


def test_the_other_handlers_of_an_engine_are_told_as_before(provider: Script) -> None:
    """A handler of somebody else's in the engine's manager hears of the call of a budgeted model."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    model = budget_llm(provider.model(), "$1")
    Settings.callback_manager = CallbackManager([debug])
    index_of(provider).as_query_engine(llm=model).query("Why?")
    assert len(debug.get_llm_inputs_outputs()) == 1


def test_the_handler_of_settings_is_the_one_that_is_there_now(provider: Script) -> None:
    """A model that lives longer than the handler of a request pays into that of the next request."""
    model = provider.model()
    Settings.llm = model
    for _ in range(2):
        budget = BudgetCallback("1 calls")
        Settings.callback_manager = managed(budget)
        Settings.llm.chat(QUESTION)
        with pytest.raises(BudgetExceeded):
            model.chat(QUESTION)
    assert provider.sent == 2


def test_a_model_that_is_older_than_settings_is_guarded(provider: Script) -> None:
    """It has a manager of its own, without any handler."""
    model = provider.model()
    budget = BudgetCallback("1 calls")
    Settings.callback_manager = managed(budget)
    model.chat(QUESTION)
    with pytest.raises(BudgetExceeded):
        model.chat(QUESTION)
    assert provider.sent == 1
    provider.assert_exact(budget)
