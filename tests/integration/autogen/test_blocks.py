"""A call that may not fit is not sent, and its refusal reaches the caller as it is."""

from __future__ import annotations

from typing import Any

import pytest
from autogen_core.models import SystemMessage, UserMessage

from bursar import Budget, BudgetExceeded, UnknownModel
from bursar.testing import Reply
from bursar_autogen.agentchat import BudgetedAssistantAgent, BudgetedChatCompletionClient, budgeted

from .conftest import TEAMS, Script, play, team_of

# The requests of four messages; a graph ends with its ten agents. A selector is not asked about one candidate.
SENT = {
    "round robin": 4,
    "nested": 4,
    "selector": 5,
    "swarm": 4,
    "magentic one": 12,
    "graph flow": 10,
}
QUESTION = [SystemMessage(content="Be brief."), UserMessage(content="Why?", source="user")]


@pytest.mark.parametrize("brand", ["openai", "anthropic"])
def test_client_serves_as_many_calls_as_the_budget_has(provider: Script, brand: str) -> None:
    """With a limit of three calls three requests are sent, and the fourth raises before it is."""
    client = BudgetedChatCompletionClient(provider.client(brand), Budget("3 calls"))

    with pytest.raises(BudgetExceeded):
        provider.run(*(client.create(QUESTION) for _ in range(4)))
    assert provider.sent == 3
    provider.assert_exact(client)


def test_client_sends_nothing_where_nothing_is_affordable(provider: Script) -> None:
    """The budget is smaller than the input alone: no request; with a dollar there is one."""
    poor = BudgetedChatCompletionClient(provider.openai(), "$0.00001")
    with pytest.raises(BudgetExceeded):
        provider.run(poor.create(QUESTION))
    assert provider.sent == 0
    rich = BudgetedChatCompletionClient(provider.openai(), "$1")
    provider.run(rich.create(QUESTION))
    assert provider.sent == 1


def test_output_cap_is_lowered_to_what_is_left(provider: Script) -> None:
    """The covered SDK sends the cap that the budget can pay, and the provider's bill stays below it."""
    provider.provider.always(Reply("long", output_tokens="most"))
    client = BudgetedChatCompletionClient(provider.openai(max_tokens=4_000), "$0.005")
    provider.run(client.create(QUESTION))
    (body,) = provider.bodies
    assert 16 <= body["max_tokens"] < 4_000
    provider.assert_exact(client)
    assert client.remaining >= 0


@pytest.mark.parametrize("stream", [False, True])
def test_single_agent_raises_the_refusal(provider: Script, stream: bool) -> None:
    """A budget of one call, and an agent that is run twice: one request, and the type is kept."""
    one = BudgetedAssistantAgent(
        "writer", provider.openai(), budget=Budget("1 calls"), model_client_stream=stream
    )
    with pytest.raises(BudgetExceeded):
        provider.run(one.run(task="go"), one.run(task="go on"))
    assert provider.sent == 1
    provider.assert_exact(one)


@pytest.mark.seam
@pytest.mark.parametrize("calls", [0, 1, 3])
@pytest.mark.parametrize("kind", TEAMS)
def test_team_raises_the_refusal_with_its_type(provider: Script, kind: str, calls: int) -> None:
    """Whatever call of a team is refused, the caller gets a BudgetExceeded, and k calls are served."""
    play(provider, kind)
    team = budgeted(team_of(kind, provider.openai()), Budget(f"{calls} calls"))
    with pytest.raises(BudgetExceeded) as caught:
        provider.run(team.run(task="go"))
    assert not isinstance(caught.value, RuntimeError)
    assert provider.sent == calls
    provider.assert_exact(team)


@pytest.mark.parametrize("kind", TEAMS)
@pytest.mark.parametrize("stream", [False, True])
def test_team_runs_where_the_money_suffices(provider: Script, kind: str, stream: bool) -> None:
    """The same teams with a dollar make all of their calls, and each is charged exactly."""
    play(provider, kind)
    team = budgeted(team_of(kind, provider.openai(), 4, model_client_stream=stream), "$1")
    provider.run(team.run(task="go"))
    assert provider.sent == team.session.calls == SENT[kind]
    provider.assert_exact(team)


def test_unwrapped_team_raises_a_runtime_error(provider: Script) -> None:
    """Why `budgeted` exists: budgeted agents in a plain team are held, but the team hides the type."""
    session = Budget("1 calls").session()
    team = team_of("round robin", BudgetedChatCompletionClient(provider.openai(), session))
    with pytest.raises(RuntimeError, match="BudgetExceeded"):
        provider.run(team.run(task="go"))
    assert provider.sent == 1


def test_an_error_that_is_no_refusal_stays_as_it_is(provider: Script) -> None:
    """A provider that fails makes the team raise its own error, also after a refusal of an earlier run."""
    provider.fails(400)
    team = budgeted(team_of("round robin", provider.openai()), "$1")
    with pytest.raises(RuntimeError, match="BadRequestError"):
        provider.run(team.run(task="go"))
    provider.assert_exact(team)


def test_a_model_without_a_price_is_refused(provider: Script) -> None:
    """Nothing is sent to a model whose price nobody knows."""
    client = BudgetedChatCompletionClient(provider.openai(model="nobody-knows-it"), "$1")
    with pytest.raises(UnknownModel):
        provider.run(client.create(QUESTION))
    assert provider.sent == 0


@pytest.mark.parametrize("where", ["read_client", "asked"])
def test_a_bug_before_a_call_prevents_it(
    provider: Script, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What goes wrong in the wrapper before the call fails closed."""

    def broken(*args: Any) -> Any:
        raise ZeroDivisionError(where)

    monkeypatch.setattr(f"bursar_autogen.agentchat._client.{where}", broken)
    client = BudgetedChatCompletionClient(provider.openai(), "$1")
    with pytest.raises(Exception, match="so that the call was not made"):
        provider.run(client.create(QUESTION))
    assert provider.sent == 0
    assert client.reserved == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_bug_after_a_call_breaks_no_team(
    provider: Script, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """What goes wrong where an answer is booked is logged; the team has its answers."""
    monkeypatch.setattr("bursar_autogen._spender.Spender._take", lambda *_: 1 / 0)
    team = budgeted(team_of("round robin", provider.openai(), 2, model_client_stream=stream), "$1")
    (result,) = provider.run(team.run(task="go"))
    assert [message.content for message in result.messages] == ["go", "ok", "ok"]
    assert provider.sent == 2


def test_per_agent_limits_are_parts_of_the_budget(provider: Script) -> None:
    """The critic may make one call: it is refused at its second turn; the report has the cost of each."""
    team = budgeted(team_of("round robin", provider.openai()), "$1", agents={"critic": "1 calls"})
    with pytest.raises(BudgetExceeded, match="1 call/"):
        provider.run(team.run(task="go"))
    assert provider.sent == 3
    agents = team.report()["agents"]
    assert set(agents) == {"writer", "critic"}
    assert agents["writer"] > agents["critic"] > 0
    assert sum(agents.values()) == pytest.approx(float(team.spent))


def test_a_text_twice_is_two_budgets_and_a_session_is_one(provider: Script) -> None:
    """``budget="$5"`` on two agents is $10 in all; with a shared session it is $5."""
    client = provider.openai()
    apart = [BudgetedAssistantAgent(name, client, budget="$5.00") for name in ("a", "b")]
    assert sum(one.remaining for one in apart) == 10
    session = Budget("$5.00").session()
    together = [BudgetedAssistantAgent(name, client, budget=session) for name in ("a", "b")]
    assert {one.session for one in together} == {session}
    provider.run(*(one.run(task="go") for one in (*apart, *together)))
    assert {one.remaining for one in together} == {5 - session.spent}
    assert session.calls == 2
    assert provider.sent == 4


def test_team_that_has_run_is_not_taken(provider: Script) -> None:
    """Its manager keeps the client that it began with: budgeted() says so instead of missing calls."""
    team = team_of("selector", provider.openai(), 1)
    provider.says("writer")
    provider.run(team.run(task="go"))
    with pytest.raises(ValueError, match="before its first run"):
        budgeted(team, "$1")


@pytest.mark.parametrize("brand", ["openai", "anthropic"])
def test_two_budgets_are_charged_alike_for_a_stream(provider: Script, brand: str) -> None:
    """Three budgets around one client, and a stream: each is charged what the provider bills."""
    sessions = [Budget("$1").session() for _ in range(3)]
    client: Any = provider.client(brand)
    for session in sessions:
        client = BudgetedChatCompletionClient(client, session)

    async def read() -> None:
        assert [chunk async for chunk in client.create_stream(QUESTION)]

    provider.run(read())
    assert provider.sent == 1
    for session in sessions:
        provider.assert_exact(session)


def test_two_budgets_around_one_client_both_pay(provider: Script) -> None:
    """An agent's own budget and that of its team: each call counts in both, and either may refuse."""
    own, whole = Budget("2 calls").session(), Budget("$1").session()
    inner = BudgetedChatCompletionClient(provider.openai(), own)
    outer = BudgetedChatCompletionClient(inner, whole)
    with pytest.raises(BudgetExceeded):
        provider.run(*(outer.create(QUESTION) for _ in range(3)))
    assert provider.sent == 2
    provider.assert_exact(own)
    provider.assert_exact(whole)


def test_one_budget_twice_around_a_client_pays_once(provider: Script) -> None:
    """A client that is wrapped twice with one session charges each call once."""
    session = Budget("$1").session()
    client = BudgetedChatCompletionClient(BudgetedChatCompletionClient(provider.openai(), session), session)
    provider.run(client.create(QUESTION))
    assert session.calls == provider.sent == 1
    provider.assert_exact(session)
