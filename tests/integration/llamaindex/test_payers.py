"""Who pays: every way to hang a budget on a model, alone and with every other way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from tests.integration.llamaindex.conftest import achat, astream_chat, chat, managed, stream_chat

import bursar
from bursar import Budget, BudgetExceeded, Session
from bursar_llamaindex import BudgetCallback, budget_embedding, budget_llm, install

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script


def embed(model: Any) -> None:
    model.get_text_embedding("Why is the sky blue?")


# The closest to the model first: the first that is there pays.
COVERS = ["budget_llm", "own handler", "Settings", "install", "init"]
SUBSETS = [chosen for size in range(1, 6) for chosen in combinations(COVERS, size)]
WAYS = [chat, stream_chat, achat, astream_chat, embed]


@pytest.fixture(autouse=True)
def no_init() -> Iterator[None]:
    yield
    bursar.teardown()


def cover(
    covers: tuple[str, ...], way: Any, limit: str, provider: Script, brand: str = "openai"
) -> tuple[Any, dict[str, Session]]:
    """A model with all of these budgets, and the session of each."""
    limits = {name: limit if name == covers[0] else "$1" for name in covers}
    sessions = {
        name: bursar.init(own) if name == "init" else Budget(own).session() for name, own in limits.items()
    }
    if "install" in covers:
        install(sessions["install"])
    if "Settings" in covers:
        Settings.callback_manager = managed(BudgetCallback(sessions["Settings"]))
    more = {}
    if "own handler" in covers:
        more["callback_manager"] = CallbackManager([BudgetCallback(sessions["own handler"])])
    model: Any = provider.embedding(**more) if way is embed else provider.model(brand, **more)
    if "budget_llm" in covers:
        (budget_embedding if way is embed else budget_llm)(model, sessions["budget_llm"])
    return model, sessions


@pytest.mark.parametrize("limit", ["$1", "0 calls"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("covers", SUBSETS, ids="+".join)
def test_the_closest_budget_pays_and_no_other(
    covers: tuple[str, ...], way: Any, limit: str, provider: Script
) -> None:
    """One charge, in one session; where that one is exhausted, nothing is sent, whatever the others have."""
    assert_pays(covers, way, limit, provider, "openai")


@pytest.mark.parametrize("limit", ["$1", "0 calls"])
@pytest.mark.parametrize("way", [chat, astream_chat])
@pytest.mark.parametrize("covers", [one for one in SUBSETS if one != ("init",)], ids="+".join)
def test_the_same_for_a_model_on_neither_sdk(
    covers: tuple[str, ...], way: Any, limit: str, provider: Script
) -> None:
    """The handler holds the worst case by itself; `init` alone does not see such a model."""
    assert_pays(covers, way, limit, provider, "elsewhere")


def assert_pays(covers: tuple[str, ...], way: Any, limit: str, provider: Script, brand: str) -> None:
    model, sessions = cover(covers, way, limit, provider, brand)
    payer = sessions.pop(covers[0])
    if limit == "$1":
        way(model)
        assert provider.sent == 1
        assert payer.report()["breakdown"]["llm"]["calls"] == 1
    else:
        with pytest.raises(BudgetExceeded):
            way(model)
        assert provider.sent == 0
    provider.assert_exact(payer)
    assert [session.spent for session in sessions.values()] == [0] * len(sessions)
