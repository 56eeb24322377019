"""The callback within a session, of its own budget or of another: one charge, at the provider's bill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import bursar
from bursar import Session
from bursar_langchain import BudgetCallback

from ... import one_charge

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script


class Invoked(one_charge.Stage):
    """A model of LangChain's, called one way, with the callbacks that are around the call."""

    def __init__(self, script: Script, brand: str, how: str, limit: str, question: Any) -> None:
        self._model: Any = script.model(brand)
        super().__init__(
            script.provider, getattr(self._model, "model_name", None) or self._model.model, limit
        )
        self._how = how
        self._question = question
        self._callbacks: list[BudgetCallback] = []

    @contextmanager
    def callback(self, session: Session) -> Iterator[None]:
        self._callbacks.append(BudgetCallback(session))
        yield

    def call(self, client: Any = None) -> Any:
        config = {"callbacks": self._callbacks}
        if self._how == "ainvoke":
            return asyncio.run(self._model.ainvoke(self._question, config))
        if self._how == "invoke":
            return self._model.invoke(self._question, config)
        return list(self._model.stream(self._question, config))


@pytest.fixture(autouse=True)
def nothing_covered() -> Iterator[None]:
    """Each test leaves the process as it was."""
    yield
    bursar.teardown()


@pytest.mark.parametrize("brand", ["openai", "anthropic"])
@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream"])
@one_charge.each(one_charge.CALLBACKS)
def test_a_call_is_charged_once_to_one_session(
    row: one_charge.Row,
    limit: str,
    how: str,
    brand: str,
    provider: Script,
    question: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is booked is the bill, and whose it is; with too little money for it, nothing is sent or booked."""
    stage = Invoked(provider, brand, how, limit, question)
    one_charge.assert_charged_once(row, stage, limit, caplog)
