"""Teams that end well: a stop reason, a final answer from the reserve, and the way back after a top-up."""

from __future__ import annotations

from typing import Any

import pytest
from autogen_agentchat.base import TerminatedException
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import StopMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import UserMessage

from bursar import Budget, BudgetExceeded
from bursar.testing import Reply, Request
from bursar_autogen.agentchat import (
    BudgetedAssistantAgent,
    BudgetedChatCompletionClient,
    BudgetTermination,
    budgeted,
)

from .conftest import LEDGER, Script, agent, nested, team_of

QUESTION = [UserMessage(content="Why?", source="user")]


@pytest.mark.parametrize("kind", ["round robin", nested, "swarm"])
def test_stopped_team_goes_on_after_a_top_up(provider: Script, kind: str) -> None:
    """Three calls, then a stop reason; with three more it makes three more, and none of the paid ones again."""
    budget = Budget("3 calls")
    team = budgeted(team_of(kind, provider.openai()), budget, on_budget="stop")
    with team.session:

        async def talk() -> tuple[Any, Any]:
            first = await team.run(task="go")
            budget.set_limit("6 calls")
            return first, await team.run(task="go on")

        ((first, second),) = provider.run(talk())
    for result in (first, second):
        assert result.stop_reason.startswith("Stopped by the budget")
    assert provider.sent == team.session.calls == 6
    bodies = [str(body["messages"]) for body in provider.bodies]
    assert len(set(bodies)) == 6
    provider.assert_exact(team)


def test_stopped_team_without_a_top_up_spends_nothing(provider: Script) -> None:
    """Run again, it says the same at once."""
    team = budgeted(team_of("round robin", provider.openai()), Budget("1 calls"), on_budget="stop")
    results = provider.run(team.run(task="go"), team.run(task="go on"))
    assert all(result.stop_reason.startswith("Stopped by the budget") for result in results)
    assert provider.sent == 1


@pytest.mark.seam
@pytest.mark.parametrize("calls", range(5))
@pytest.mark.parametrize("kind", ["selector", "magentic one"])
def test_team_with_a_manager_goes_on_after_a_top_up(provider: Script, kind: str, calls: int) -> None:
    """Whichever call is refused, the manager's own too, three more are made then, and no paid one again."""
    provider.provider.always(_managed)
    budget = Budget(f"{calls} calls")
    team = budgeted(team_of(kind, provider.openai()), budget, on_budget="stop")
    sent = []

    async def talk() -> list[Any]:
        results = [await team.run(task="go")]
        sent.append(provider.sent)
        budget.set_limit(f"{calls + 3} calls")
        return [*results, await team.run(task="go on")]

    with team.session:
        (results,) = provider.run(talk())
    assert all(result.stop_reason.startswith("Stopped by the budget") for result in results)
    assert [*sent, provider.sent] == [calls, calls + 3]
    bodies = [str(body["messages"]) for body in provider.bodies]
    assert len(set(bodies)) == calls + 3
    provider.assert_exact(team)


def test_last_answer_is_paid_from_the_reserve_once(provider: Script) -> None:
    """A refused agent gives its final answer without tools; the next refusal has no reserve left."""
    budget = Budget("$0.01", finalization_reserve=0.5, clamp=False)
    team = budgeted(
        team_of("round robin", provider.openai(max_tokens=150)), session := budget.session(), on_budget="stop"
    )
    provider.provider.always(_long())
    (first,) = provider.run(team.run(task="go"))
    final = first.messages[-1]
    assert isinstance(final, StopMessage)
    assert final.content == "long"
    assert "final answer" in str(provider.bodies[-1]["messages"][-1])
    assert session.remaining >= 0
    provider.assert_exact(session)


@pytest.mark.parametrize("agents", [1, 2])
def test_agents_of_one_session_have_one_last_answer(provider: Script, agents: int) -> None:
    """Each has an adapter of its own: the first that is refused is asked, and after a restart none is."""
    session = Budget("$0.01", finalization_reserve=0.5, clamp=False).session()
    provider.provider.always(_long())
    team = RoundRobinGroupChat(
        [
            BudgetedAssistantAgent(
                f"agent_{number}", provider.openai(max_tokens=150), budget=session, on_budget="stop"
            )
            for number in range(agents)
        ],
        termination_condition=BudgetTermination(session),
    )
    results = provider.run(*(team.run(task=task) for task in ("go", "go on", "go on, please")))
    assert all("Stopped by the budget" in result.stop_reason for result in results)
    assert sum(map(_is_last, provider.provider.served)) == 1
    provider.assert_exact(session)


@pytest.mark.parametrize("reserve", [0, 0.3])
@pytest.mark.parametrize("by", ["session", "client"])
def test_termination_pays_a_closing_call_from_the_reserve_once(
    provider: Script, by: str, reserve: float
) -> None:
    """At half of the money the client is asked for a final answer, without a reserve it is not; never twice."""
    session = Budget("$0.01", finalization_reserve=reserve, clamp=False).session()
    client = BudgetedChatCompletionClient(provider.openai(max_tokens=150), session)
    ends = BudgetTermination(client if by == "client" else session, at=0.5)
    provider.provider.always(_long())
    team = RoundRobinGroupChat([agent("writer", client)], termination_condition=ends)
    first, second = provider.run(team.run(task="go"), team.run(task="go on"))
    assert first.stop_reason.startswith("Stopped by the budget")
    assert first.stop_reason.endswith("Final answer: long") is bool(reserve)
    assert "Final answer" not in second.stop_reason
    last = [request.body for request in provider.provider.served if _is_last(request)]
    assert len(last) == bool(reserve)
    assert all("go" in str(body["messages"][0]) and "tools" not in body for body in last)
    provider.assert_exact(session)


@pytest.mark.parametrize(("limit", "reserve"), [("$0.0005", 0), ("$0.01", 0.95)])
def test_refused_selector_leaves_the_last_answer_to_its_team(
    provider: Script, limit: str, reserve: float
) -> None:
    """The selection is refused, not an agent: the last message is the answer from the reserve, if there is one."""
    budget = Budget(limit, finalization_reserve=reserve, clamp=False)
    team = budgeted(team_of("selector", provider.openai(max_tokens=150)), budget, on_budget="stop")
    provider.provider.always(_long())
    (result,) = provider.run(team.run(task="go"))
    assert result.stop_reason.startswith("Stopped by the budget")
    assert [_is_last(request) for request in provider.provider.served] == [True] * bool(reserve)
    assert [message.content for message in result.messages] == ["long"] * bool(reserve)
    provider.assert_exact(team)


def test_last_answer_that_fails_breaks_nothing(provider: Script) -> None:
    """The provider rejects the request for it: the team ends with the refusal's text all the same."""
    budget = Budget("$0.01", finalization_reserve=0.5, clamp=False)
    team = budgeted(team_of("round robin", provider.openai(max_tokens=150)), budget, on_budget="stop")
    provider.provider.script(*[_long()] * 3)  # what the half that is no reserve affords
    provider.provider.always(Reply(status=400))
    (result,) = provider.run(team.run(task="go"))
    assert result.messages[-1].content.startswith("The budget is used up")
    assert "final answer" in str(provider.bodies[-1]["messages"][-1])
    provider.assert_exact(team)


def test_without_a_reserve_there_is_no_last_answer(provider: Script) -> None:
    """The last message is the refusal's text, and no request is sent for it."""
    team = budgeted(team_of("round robin", provider.openai()), Budget("2 calls"), on_budget="stop")
    (result,) = provider.run(team.run(task="go"))
    assert result.messages[-1].content.startswith("The budget is used up")
    assert provider.sent == 2


def test_agent_that_nobody_stops_raises_at_its_second_refusal(provider: Script) -> None:
    """Agents in a team of one's own without a condition would say so for ever."""
    session = Budget("1 calls").session()
    agents = [
        BudgetedAssistantAgent(name, provider.openai(), budget=session, on_budget="stop")
        for name in ("writer", "critic")
    ]
    with pytest.raises(RuntimeError, match="BudgetExceeded"):
        provider.run(RoundRobinGroupChat(agents).run(task="go"))
    assert provider.sent == 1


@pytest.mark.parametrize("joined", ["alone", "or", "and"])
def test_termination_composes(provider: Script, joined: str) -> None:
    """The condition by itself, with ``|``, and with ``&``: the team ends, and a new run begins afresh."""
    session = Budget("2 calls").session()
    ends = BudgetTermination(session)
    condition: Any = {
        "alone": ends,
        "or": MaxMessageTermination(50) | ends,
        "and": MaxMessageTermination(2) & ends,
    }[joined]
    agents = [
        BudgetedAssistantAgent(name, provider.openai(), budget=session, on_budget="stop")
        for name in ("writer", "critic")
    ]
    team = RoundRobinGroupChat(agents, termination_condition=condition)
    results = provider.run(team.run(task="go"), team.run(task="again"))
    assert all("Stopped by the budget" in result.stop_reason for result in results)
    assert provider.sent == 2


def test_termination_before_the_end_of_the_money(provider: Script) -> None:
    """at=0.5 ends the team with half of the limit; at=1 lets it go on to its refusal."""
    sent = []
    for at in (0.5, 1.0):
        session = Budget("$0.005", clamp=False).session()
        client = BudgetedChatCompletionClient(provider.openai(), session)
        team = RoundRobinGroupChat(
            [agent("writer", client)], termination_condition=BudgetTermination(session, at=at)
        )
        provider.provider.always(_long())
        before = provider.sent
        if at == 1.0:
            with pytest.raises(RuntimeError, match="BudgetExceeded"):
                provider.run(team.run(task="go"))
        else:
            (result,) = provider.run(team.run(task="go"))
            assert "Stopped by the budget" in result.stop_reason
            assert session.spent >= session.remaining
        sent.append(provider.sent - before)
    assert 0 < sent[0] < sent[1]


def test_termination_is_a_latch(provider: Script) -> None:
    """Asked again after its end it raises, as AutoGen wants it; reset lets it go on."""
    session = Budget("0 calls").session()
    ends = BudgetTermination(BudgetedChatCompletionClient(provider.openai(), session))

    async def ask() -> None:
        assert await ends([]) is None
        assert await ends([StopMessage(content="", source="a", metadata={"bursar": "stopped"})])
        assert ends.terminated
        with pytest.raises(TerminatedException):
            await ends([])
        await ends.reset()
        assert not ends.terminated

    provider.run(ask())


@pytest.mark.parametrize("at", [0, -1, 1.5])
def test_termination_at_nonsense_is_an_error(at: float) -> None:
    """A part of the limit is above 0 and at most 1."""
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        BudgetTermination("$1", at=at)


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_function_is_asked_whether_to_try_again(
    provider: Script, awaited: bool, again: bool, stream: bool
) -> None:
    """It may raise the limit and say yes; the call is tried once more. No: the refusal is raised."""
    budget = Budget("1 calls")
    session = budget.session()
    asked: list[BudgetExceeded] = []

    def ask(refusal: BudgetExceeded) -> bool:
        asked.append(refusal)
        budget.set_limit("2 calls")
        return again

    async def aask(refusal: BudgetExceeded) -> bool:
        return ask(refusal)

    one = BudgetedAssistantAgent(
        "one",
        provider.openai(),
        budget=session,
        on_budget=aask if awaited else ask,
        model_client_stream=stream,
    )
    runs = (one.run(task="go"), one.run(task="go on"))
    if again:
        provider.run(*runs)
    else:
        with pytest.raises(BudgetExceeded):
            provider.run(*runs)
    assert len(asked) == 1
    assert provider.sent == 1 + again
    provider.assert_exact(session)


def test_function_that_raised_no_limit_is_asked_once(provider: Script) -> None:
    """It says yes and did nothing: the second refusal is raised."""
    asked = []

    def ask(refusal: BudgetExceeded) -> bool:
        asked.append(refusal)
        return True

    client = BudgetedChatCompletionClient(provider.openai(), Budget("0 calls"), on_budget=ask)
    with pytest.raises(BudgetExceeded):
        provider.run(client.create(QUESTION))
    assert len(asked) == 1
    assert provider.sent == 0


def test_refusal_that_a_team_swallowed_comes_at_the_end_of_the_session(provider: Script) -> None:
    """An agent that is a tool is refused, and the outer agent's answer needs no further call."""
    from autogen_agentchat.tools import AgentTool

    provider.calls(("helper", {"task": "help"}))
    tool = AgentTool(agent("helper", provider.openai()))
    team = RoundRobinGroupChat([agent("outer", provider.openai(), tools=[tool])], max_turns=1)
    session = Budget("1 calls").session()
    paid = budgeted(team, session)
    with pytest.raises(BudgetExceeded), session:
        provider.run(paid.run(task="go"))
    assert provider.sent == 1


def _long() -> Any:
    return Reply("long", output_tokens=100)


def _managed(request: Request) -> Reply:
    """What a selector, an orchestrator or an agent is asked for."""
    asked = str(request.body["messages"][-1]["content"])
    if "next_speaker" in asked:
        return Reply(LEDGER, output_tokens=5)
    return Reply("writer" if "Read the following conversation" in asked else "ok", output_tokens=5)


def _is_last(request: Request) -> bool:
    return "final answer" in str(request.body["messages"][-1])
