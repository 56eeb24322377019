"""Chats that end well: a last message that says so, the way back after a top-up, and a function that is asked."""

from __future__ import annotations

from typing import Any

import pytest
from autogen import AssistantAgent, GroupChat, GroupChatManager

from bursar import Budget, BudgetExceeded
from bursar_autogen.classic import (
    BudgetedAssistantAgent,
    BudgetedGroupChatManager,
    BudgetedUserProxyAgent,
    budgeted,
)

from .conftest import WAYS, Script, chat, proxy

pytestmark = pytest.mark.seam
SAYS = "The budget is used up"


@pytest.mark.parametrize("made", ["class", "budgeted"])
@pytest.mark.parametrize("way", WAYS)
def test_stopped_chat_goes_on_after_a_top_up(provider: Script, way: str, made: str) -> None:
    """Two calls, then a last message; with two more it makes two more, and none of the paid ones again."""
    budget = Budget("2 calls")
    if made == "class":
        assistant: Any = BudgetedAssistantAgent(
            "assistant", budget=budget, llm_config=provider.config(), on_budget="stop"
        )
    else:
        assistant = budgeted(
            AssistantAgent("assistant", llm_config=provider.config()), budget, on_budget="stop"
        )
    user = proxy()
    with assistant.session:
        chat(way, user, assistant, 10)
        assert provider.sent == 2
        assert user.last_message(assistant)["content"].startswith(SAYS)
        budget.set_limit("4 calls")
        chat(way, user, assistant, 10, message="on again", clear_history=False)
    assert provider.sent == assistant.session.calls == 4
    bodies = [str(request.body["messages"]) for request in provider.provider.served]
    assert len(set(bodies)) == 4
    provider.assert_exact(assistant)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_stopped_chat_without_a_limit_of_turns_ends(provider: Script, way: str) -> None:
    """Both would talk for ever: the message ends it on either side."""
    session = Budget("3 calls").session()
    one, two = (
        BudgetedAssistantAgent(name, budget=session, llm_config=provider.config(), on_budget="stop")
        for name in ("one", "two")
    )
    chat(way, one, two, None)
    assert provider.sent == 3
    provider.assert_exact(session)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_stopped_speaker_ends_its_group_chat(provider: Script, way: str) -> None:
    """Speakers take turns: the third is refused and says so, and the chat goes on after a top-up."""
    agents = [AssistantAgent(name, llm_config=provider.config()) for name in ("writer", "critic")]
    talk = GroupChat(agents, messages=[], max_round=20, speaker_selection_method="round_robin")
    budget = Budget("2 calls")
    manager = budgeted(GroupChatManager(talk, llm_config=provider.config()), budget, on_budget="stop")
    user = proxy()
    with manager.session:
        chat(way, user, manager, 1)
        assert provider.sent == 2
        assert any(SAYS in str(one.chat_messages[manager]) for one in agents)
        budget.set_limit("4 calls")
        chat(way, user, manager, 1, message="on again", clear_history=False)
    assert provider.sent == 4
    provider.assert_exact(manager)


@pytest.mark.needs("selection of speakers")
@pytest.mark.parametrize("way", ["sync", "async"])
def test_refused_selection_ends_its_group_chat(provider: Script, way: str) -> None:
    """The manager's own call is refused: the user reads why."""
    agents = [AssistantAgent(name, llm_config=provider.config()) for name in ("a", "b", "c")]
    talk = GroupChat(agents, messages=[], max_round=20)
    manager = BudgetedGroupChatManager(
        groupchat=talk, llm_config=provider.config(), budget=Budget("0 calls"), on_budget="stop"
    )
    user = proxy()
    chat(way, user, manager, 1)
    assert provider.sent == 0
    assert user.last_message(manager)["content"].startswith(SAYS)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_function_is_asked_whether_to_try_again(provider: Script, way: str, again: bool) -> None:
    """It may raise the limit and say yes; the call is tried once more. No: the refusal is raised."""
    budget = Budget("1 calls")
    asked: list[BudgetExceeded] = []

    def ask(refusal: BudgetExceeded) -> bool:
        asked.append(refusal)
        budget.set_limit("2 calls")
        return again

    assistant = BudgetedAssistantAgent(
        "assistant", budget=budget, llm_config=provider.config(), on_budget=ask
    )
    if again:
        with assistant.session:
            chat(way, proxy(), assistant, 2)
    else:
        with pytest.raises(BudgetExceeded):
            chat(way, proxy(), assistant, 2)
    assert len(asked) == 1
    assert provider.sent == 1 + again
    provider.assert_exact(assistant)


def test_function_that_raised_no_limit_is_asked_once(provider: Script) -> None:
    """It says yes and did nothing: the second refusal is raised."""
    asked = []
    assistant = BudgetedAssistantAgent(
        "assistant",
        budget=Budget("0 calls"),
        llm_config=provider.config(),
        on_budget=lambda refusal: asked.append(refusal) is None,
    )
    with pytest.raises(BudgetExceeded):
        chat("sync", proxy(), assistant, 2)
    assert (len(asked), provider.sent) == (1, 0)


def test_wrong_setting_is_said_at_once(provider: Script) -> None:
    """These chats ask where they cannot wait: an async function is a TypeError; another word a ValueError."""

    async def ask(refusal: BudgetExceeded) -> bool:
        return True

    with pytest.raises(TypeError, match="async"):
        BudgetedUserProxyAgent("user", budget="$1", on_budget=ask)
    with pytest.raises(TypeError, match="async"):
        budgeted(proxy(), "$1", on_budget=ask)
    wrong: Any = "explode"
    with pytest.raises(ValueError, match="on_budget='explode'"):
        BudgetedAssistantAgent("a", budget="$1", llm_config=provider.config(), on_budget=wrong)
