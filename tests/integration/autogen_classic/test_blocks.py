"""The classic agents: a call that may not fit is not sent, and what is sent is charged exactly."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from autogen import AssistantAgent, Cache, GroupChat, GroupChatManager

import bursar_autogen
from bursar import Budget, BudgetExceeded, BursarError
from bursar_autogen import classic
from bursar_autogen.classic import (
    BudgetedAssistantAgent,
    BudgetedGroupChatManager,
    BudgetedUserProxyAgent,
    budgeted,
)

from .conftest import WAYS, Script, chat, proxy

pytestmark = pytest.mark.seam


@pytest.mark.parametrize("calls", [0, 1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_chat_makes_as_many_calls_as_the_budget_has(provider: Script, way: str, calls: int) -> None:
    """In each way to chat, k calls are served, and the refusal reaches the caller with its type."""
    assistant = BudgetedAssistantAgent(
        name="assistant", budget=Budget(f"{calls} calls"), llm_config=provider.config()
    )
    with pytest.raises(BudgetExceeded):
        chat(way, proxy(), assistant, 10)
    assert provider.sent == calls
    provider.assert_exact(assistant)


@pytest.mark.parametrize("way", WAYS)
def test_chat_ends_where_the_money_suffices(provider: Script, way: str) -> None:
    """The same chat with five dollars: four turns, four requests, each charged exactly."""
    assistant = BudgetedAssistantAgent(name="assistant", budget="$5.00", llm_config=provider.config())
    chat(way, proxy(), assistant, 4)
    assert provider.sent == assistant.session.calls == 4
    provider.assert_exact(assistant)
    assert assistant.get_report()["agents"] == {"assistant": pytest.approx(float(assistant.spent))}


def test_cached_tokens_are_charged_at_their_price(provider: Script) -> None:
    """Also those that autogen's own cost leaves out."""
    provider.says("ok", input_tokens=100, cached_input_tokens=60)
    assistant = BudgetedAssistantAgent("assistant", budget="$1", llm_config=provider.config())
    chat("sync", proxy(), assistant, 1)
    provider.assert_exact(assistant)


@pytest.mark.needs("streams that tell their usage")
def test_stream_is_charged_exactly(provider: Script) -> None:
    """stream=True in the config."""
    provider.says("one two three", output_tokens=9)
    assistant = BudgetedAssistantAgent("assistant", budget="$1", llm_config=provider.config(stream=True))
    chat("sync", proxy(), assistant, 2)
    assert provider.sent == 2
    provider.assert_exact(assistant)


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.needs("selection of speakers")
@pytest.mark.parametrize(("calls", "sent"), [(3, 3), (100, 6)])
def test_selection_of_speakers_is_paid(provider: Script, way: str, calls: int, sent: int) -> None:
    """A group chat asks a model for each speaker: those calls are charged and refused, too."""
    provider.says(*["writer", "ok", "critic", "ok"] * 5)
    manager = group(provider, Budget(f"{calls} calls"))
    if calls == sent:  # six are wanted
        with pytest.raises(BudgetExceeded):
            chat(way, proxy(), manager, 1)
    else:
        chat(way, proxy(), manager, 1)
    assert provider.sent == sent
    assert manager.session.calls == min(calls, sent)
    if calls > sent:
        assert set(manager.report()["agents"]) == {"writer", "critic", "chat_manager"}
    provider.assert_exact(manager)


def group(provider: Script, budget: Budget) -> Any:
    """Three rounds after the first message."""
    third = AssistantAgent("editor", llm_config=provider.config())
    agents = [AssistantAgent(name, llm_config=provider.config()) for name in ("writer", "critic")]
    talk = GroupChat([*agents, third], messages=[], max_round=4)
    return budgeted(GroupChatManager(talk, llm_config=provider.config()), budget)


@pytest.mark.needs("selection of speakers")
def test_budgeted_manager_pays_for_selections_only(provider: Script) -> None:
    """`BudgetedGroupChatManager`: agents without a budget are nobody's, the selection is its own."""
    provider.says(*["writer", "ok", "critic", "ok"] * 5)
    agents = [AssistantAgent(name, llm_config=provider.config()) for name in ("writer", "critic", "editor")]
    manager = BudgetedGroupChatManager(
        groupchat=GroupChat(agents, messages=[], max_round=4), llm_config=provider.config(), budget="$1"
    )
    chat("sync", proxy(), manager, 1)
    assert (provider.sent, manager.session.calls) == (6, 3)


def test_round_robin_needs_no_selection(provider: Script) -> None:
    """On every version: a budgeted group chat whose speakers take turns."""
    agents = [AssistantAgent(name, llm_config=provider.config()) for name in ("writer", "critic")]
    talk = GroupChat(agents, messages=[], max_round=4, speaker_selection_method="round_robin")
    manager = budgeted(GroupChatManager(talk, llm_config=provider.config()), Budget("2 calls"))
    with pytest.raises(BudgetExceeded):
        chat("sync", proxy(), manager, 1)
    assert provider.sent == 2
    provider.assert_exact(manager)


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize(("limit", "runs"), [("$0.05", 0), ("$0.15", 1), ("$1", 2)])
def test_functions_are_priced(provider: Script, way: str, limit: str, runs: int) -> None:
    """At 10 cents a run; one that does not fit is not run, and the model is told."""
    ran = []

    def search(query: str) -> str:
        ran.append(query)
        return f"found {query}"

    session = Budget(limit).session()
    assistant = BudgetedAssistantAgent("assistant", budget=session, llm_config=provider.config())
    user = BudgetedUserProxyAgent(
        "user",
        budget=session,
        tool_prices={"search": "$0.10"},
        human_input_mode="NEVER",
        code_execution_config=False,
        default_auto_reply="go on",
    )
    assistant.register_for_llm(name="search", description="Look something up.")(search)
    user.register_for_execution(name="search")(search)
    provider.calls(("search", {"query": "a"}))
    provider.calls(("search", {"query": "b"}))
    chat(way, user, assistant, 3)
    assert len(ran) == runs
    assert provider.sent == session.calls == 3
    assert session.spent == Decimal("0.10") * runs + provider.provider.bill
    told = str(user.chat_messages[assistant])
    assert ("budget does not allow" in told) is (runs < 2)


def test_next_config_is_another_call(provider: Script) -> None:
    """The first config is rejected and free; the second is charged at its model's price."""
    provider.provider.script(_rejected())
    config = provider.config()
    config["config_list"] = [*config["config_list"], {**config["config_list"][0], "tags": ["second"]}]
    assistant = BudgetedAssistantAgent("assistant", budget="$1", llm_config=config)
    chat("sync", proxy(), assistant, 1)
    assert provider.sent == 2
    provider.assert_exact(assistant)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_hit_of_the_cache_is_free(provider: Script, way: str, tmp_path: Path) -> None:
    """The same chat again, out of autogen's cache: one request, one charge, also where nothing is left."""
    assistant = BudgetedAssistantAgent(
        "assistant", budget=Budget("1 call"), llm_config={**provider.config(), "cache_seed": 7}
    )
    with Cache.disk(cache_seed=7, cache_path_root=str(tmp_path)) as cache:
        for _ in range(2):
            chat(way, proxy(), assistant, 1, cache=cache)
    assert provider.sent == assistant.session.calls == 1
    provider.assert_exact(assistant)


def test_bug_before_a_call_prevents_it(provider: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong where money is reserved sends nothing."""
    monkeypatch.setattr("bursar_autogen.classic._client.PaidClient._request", lambda *_: 1 / 0)
    assistant = BudgetedAssistantAgent("assistant", budget="$1", llm_config=provider.config())
    with pytest.raises(BursarError, match="so that the call was not made"):
        chat("sync", proxy(), assistant, 1)
    assert (provider.sent, assistant.reserved) == (0, 0)


def test_bug_after_a_call_breaks_nothing(provider: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong where an answer is booked leaves the chat its answer."""
    monkeypatch.setattr("bursar_autogen._spender.Spender._take", lambda *_: 1 / 0)
    assistant = BudgetedAssistantAgent("assistant", budget="$1", llm_config=provider.config())
    chat("sync", proxy(), assistant, 2)
    assert provider.sent == 2


def test_agent_that_is_there_is_budgeted_in_place(provider: Script) -> None:
    """`budgeted` keeps its class, and holds for the client that a new tool makes."""
    assistant = AssistantAgent("assistant", llm_config=provider.config())
    paid = budgeted(assistant, Budget("1 calls"))
    assert paid is assistant and isinstance(paid, AssistantAgent)

    def search(query: str) -> str:
        return query

    paid.register_for_llm(name="search", description="Look.")(search)
    with pytest.raises(BudgetExceeded):
        chat("sync", proxy(), paid, 5)
    assert provider.sent == 1
    provider.assert_exact(paid)


def test_text_twice_is_two_budgets_and_a_session_is_one(provider: Script) -> None:
    """``budget="$5"`` on two agents is $10 in all; with a shared session it is $5."""
    config = provider.config()
    apart = [BudgetedAssistantAgent(name, budget="$5", llm_config=config) for name in "ab"]
    assert sum(one.remaining for one in apart) == 10
    session = Budget("$5").session()
    together = [BudgetedAssistantAgent(name, budget=session, llm_config=config) for name in "ab"]
    chat("sync", *together, 2)
    assert {one.remaining for one in together} == {5 - provider.provider.bill}


def test_names_of_the_seed_are_here_and_a_missing_model_is_said() -> None:
    """`bursar_autogen` gives the classic family where AgentChat is missing; both forms are named."""
    assert bursar_autogen.BudgetedAssistantAgent is classic.BudgetedAssistantAgent
    with pytest.raises(TypeError, match=r"llm_config=.*model_client="):
        BudgetedAssistantAgent(name="assistant", budget="$5.00")
    with pytest.raises(ImportError, match="autogen-agentchat"):
        _ = bursar_autogen.BudgetTermination


def _rejected() -> Any:
    from bursar.testing import Reply

    return Reply(status=400)
