"""One budget does not touch another, and the rest of the program does not notice."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from autogen_core.models import UserMessage

import bursar
import bursar_autogen
from bursar import Budget
from bursar_autogen import agentchat
from bursar_autogen.agentchat import (
    BudgetedAssistantAgent,
    BudgetedChatCompletionClient,
    BudgetedUserProxyAgent,
    budgeted,
)

from .conftest import Script, agent, team_of

QUESTION = [UserMessage(content="Why?", source="user")]


def test_client_inside_is_as_it_was(provider: Script) -> None:
    """The client that was wrapped sends by itself on nobody's account."""
    inner = provider.openai()
    client = BudgetedChatCompletionClient(inner, "$1")
    provider.run(client.create(QUESTION), inner.create(QUESTION))
    assert provider.sent == 2
    assert client.session.calls == 1


def test_wrapper_passes_on_what_the_client_says(provider: Script) -> None:
    """Its model, its counts and its end are the client's."""
    inner = provider.openai()
    client = BudgetedChatCompletionClient(inner, "$1")
    assert client.model_info == inner.model_info
    assert client.capabilities == inner.capabilities
    provider.run(client.create(QUESTION), client.close())
    assert client.total_usage() == inner.total_usage()
    assert client.actual_usage() == inner.actual_usage()


def test_drop_in_and_wrapper_charge_once(provider: Script) -> None:
    """A process that is covered by `bursar.init`: the call is the wrapper's budget's, and nobody else's."""
    bursar.init("$1")
    try:
        client = BudgetedChatCompletionClient(provider.openai(), "$1")
        provider.run(client.create(QUESTION))
        assert bursar.spent() == 0
        provider.assert_exact(client)
    finally:
        bursar.teardown()


def test_names_without_a_model_say_what_is_missing() -> None:
    """The call of an old program, without any model: both ways to name one."""
    with pytest.raises(TypeError, match=r"model_client=.*llm_config="):
        BudgetedAssistantAgent(name="assistant", budget="$5.00")


@pytest.mark.parametrize(("setting", "value"), [("on_budget", "halt"), ("on_tool_denied", "stop")])
def test_unknown_setting_is_an_error(provider: Script, setting: str, value: Any) -> None:
    """The message names the setting."""
    with pytest.raises(ValueError, match=setting):
        BudgetedAssistantAgent("a", provider.openai(), budget="$1", **{setting: value})


def test_client_cannot_stop(provider: Script) -> None:
    """Only an agent can end well: a client that is told to says so."""
    stop: Any = "stop"
    with pytest.raises(ValueError, match="a client cannot stop"):
        BudgetedChatCompletionClient(provider.openai(), "$1", on_budget=stop)


def test_user_proxy_shows_the_budget_and_spends_nothing(provider: Script) -> None:
    """It carries the session of its team."""
    session = Budget("$5").session()
    proxy = BudgetedUserProxyAgent("user", budget=session, input_func=lambda prompt: "yes")
    (result,) = provider.run(proxy.run(task="ok?"))
    assert result.messages[-1].content == "yes"
    assert (proxy.remaining, provider.sent) == (5, 0)


def test_public_names_are_those_of_the_family_that_is_here() -> None:
    """`bursar_autogen` gives the names of AgentChat, where that is installed."""
    for name in bursar_autogen.__all__:
        assert getattr(bursar_autogen, name) is getattr(agentchat, name)
    assert set(bursar_autogen.__all__) <= set(agentchat.__all__)
    assert dir(bursar_autogen) == sorted(bursar_autogen.__all__)
    with pytest.raises(AttributeError):
        _ = bursar_autogen.nothing


def test_import_brings_no_framework_and_its_lack_is_said() -> None:
    """Importing the package imports no AutoGen; without any, using a name says what to install."""
    program = (
        "import sys, bursar_autogen\n"
        "assert not {'autogen', 'autogen_agentchat', 'autogen_core', 'ag2'} & set(sys.modules)\n"
        "import bursar_autogen as b\n"
        "b.find_spec = lambda name: None\n"
        "try:\n"
        "    b.budgeted\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "pip install autogen-agentchat" in said
    assert "autogen[openai]" in said


def test_agent_is_found_below_other_agents(provider: Script) -> None:
    """A society of mind and a filter: the team and the agent inside are budgeted, too."""
    from autogen_agentchat.agents import MessageFilterAgent, MessageFilterConfig, SocietyOfMindAgent
    from autogen_agentchat.teams import RoundRobinGroupChat

    inside = team_of("round robin", provider.openai(), 2)
    society = SocietyOfMindAgent("society", inside, provider.openai())
    hidden = agent("hidden", provider.openai())
    filtered = MessageFilterAgent("filtered", hidden, MessageFilterConfig(per_source=[]))
    team = budgeted(RoundRobinGroupChat([society, filtered], max_turns=2), "$1")
    provider.run(team.run(task="go"))
    assert provider.sent == team.session.calls == 4
    assert set(team.report()["agents"]) == {"writer", "critic", "society", "hidden"}
    provider.assert_exact(team)
