"""Agents with several middlewares: each budget has its say, and nothing that any of them asks is missed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent, middleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from bursar import Budget, BudgetExceeded, Limit
from bursar.testing import Reply
from bursar_langchain import BudgetCallback, BudgetMiddleware

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

HOW = pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream"])
LONG: Any = {"messages": [(who, f"{who} {n}") for n in range(6) for who in ("user", "ai")]}


def run(agent: Any, how: str, asked: Any = None, **config: Any) -> Any:
    """The last message of a run."""
    asked = asked or {"messages": [("user", "Search")]}
    if how == "invoke":
        state = agent.invoke(asked, config)
    elif how == "ainvoke":
        state = asyncio.run(agent.ainvoke(asked, config))
    else:
        *_, state = agent.stream(asked, config, stream_mode="values")
    return state["messages"][-1]


def summarises(model: Any) -> middleware.SummarizationMiddleware:
    """LangChain's own, in the words of the version that is installed."""
    kind: Callable[..., middleware.SummarizationMiddleware] = middleware.SummarizationMiddleware
    if "trigger" in inspect.signature(kind.__init__).parameters:
        return kind(model, trigger=("messages", 4), keep=("messages", 2))
    return kind(model, max_tokens_before_summary=1, messages_to_keep=2)


@HOW
@pytest.mark.parametrize(("others", "sent"), [("1 calls", 2), ("0 calls", 0)])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a handler"])
def test_summaries(beside: bool, others: str, sent: int, how: str, provider: Script) -> None:
    """What `SummarizationMiddleware` asks by itself is held and charged once by the budget of the agent alone."""
    session = Budget("$1", Limit(others, model="gpt-4o-mini")).session()
    budget = BudgetMiddleware(session)
    helper = summarises(provider.openai(model="gpt-4o-mini"))
    agent = create_agent(provider.openai(), [], middleware=[budget, helper])
    config: Any = {"callbacks": [BudgetCallback(session)]} if beside else {}
    if sent:
        assert run(agent, how, LONG, **config).content == "ok"
        assert [body["model"] for body in provider.bodies] == ["gpt-4o-mini", "gpt-4o"]
    else:
        try:
            run(agent, how, LONG, **config)
        except BudgetExceeded as refused:
            assert refused.model == "gpt-4o-mini"  # in langchain 1.0 it becomes the text of the summary
        assert "gpt-4o-mini" not in [body["model"] for body in provider.bodies]
        assert session.report()["refusals"] > 0
    assert session.calls == provider.sent
    provider.assert_exact(session)


@HOW
def test_the_state_of_an_agent_shows_nothing_of_it(how: str, provider: Script) -> None:
    """Neither the schemas nor the state nor a checkpoint of the agent has an entry that its author did not make."""
    plain = create_agent(provider.openai(), [], checkpointer=InMemorySaver())
    agent = create_agent(
        provider.openai(), [], middleware=[BudgetMiddleware("$1")], checkpointer=InMemorySaver()
    )
    assert agent.get_input_jsonschema() == plain.get_input_jsonschema()
    assert agent.get_output_jsonschema() == plain.get_output_jsonschema()
    assert {*agent.get_graph().nodes} - {*plain.get_graph().nodes} <= {"tools"}
    config: Any = {"configurable": {"thread_id": "t"}}
    run(agent, how, **config)
    assert set(agent.get_state(config).values) == {"messages"}


def test_other_graphs_are_not_covered(provider: Script) -> None:
    """A budget holds for the agents that have it, and for no other graph of the process."""
    budget = BudgetMiddleware("$1")
    summary = summarises(provider.openai(model="gpt-4o-mini"))
    run(create_agent(provider.openai(), [], middleware=[summary]), "invoke", LONG)
    assert provider.sent == 2
    assert budget.spent == 0


@HOW
@pytest.mark.parametrize(
    ("first", "second", "sent"),
    [
        ("$1", "$1", 2),
        ("1 calls", "$1", 1),
        ("$1", "1 calls", 1),
        ("$0.00001", "$1", 0),
        ("$1", "$0.00001", 0),
    ],
)
@pytest.mark.parametrize("behavior", ["end", "error"])
def test_two_budgets_in_one_agent(
    behavior: Any, first: str, second: str, sent: int, how: str, provider: Script
) -> None:
    """Each is charged once for each call; where one refuses nothing is sent, and it decides how the run ends."""
    provider.calls(("web_search", {"query": "sky"}))

    @tool
    def web_search(query: str) -> str:
        """Search the web."""
        return "found"

    user, team = (BudgetMiddleware(limit, exit_behavior=behavior) for limit in (first, second))
    agent = create_agent(provider.openai(), [web_search], middleware=[user, team])
    if sent == 2:
        assert run(agent, how).content == "ok"
    elif behavior == "end":
        with user.session, team.session:  # dealt with by the one whose it was
            assert "its budget is used up" in str(run(agent, how).content)
    else:
        with pytest.raises(BudgetExceeded), user.session, team.session:
            run(agent, how)
    assert provider.sent == user.session.calls == team.session.calls == sent
    provider.assert_exact(user)
    provider.assert_exact(team)


@pytest.mark.parametrize(("first", "second"), [("$0.05", "$1"), ("$1", "$0.05"), ("$0.05", "$0.04")])
def test_two_budgets_lower_one_cap(first: str, second: str, provider: Script) -> None:
    """The cap that is sent is affordable for both; no budget counts a refusal for it."""
    provider.provider.always(Reply("ok", output_tokens=40))
    budgets = [BudgetMiddleware(first), BudgetMiddleware(second)]
    run(create_agent(provider.openai(max_tokens=None), [], middleware=budgets), "invoke")
    (body,) = provider.bodies
    assert 256 <= body["max_completion_tokens"] < 16_384
    for budget in budgets:
        provider.assert_exact(budget)
        assert budget.report()["refusals"] == 0


@HOW
@pytest.mark.parametrize(("inner_limit", "sent"), [("$1", 3), ("0 calls", 2)])
def test_an_agent_inside_a_tool(inner_limit: str, sent: int, how: str, provider: Script) -> None:
    """An agent with a budget of its own, inside a tool of another: its calls count in both."""
    provider.calls(("delegate", {"task": "sky"}))
    inner_budget = BudgetMiddleware(inner_limit)
    inner = create_agent(provider.openai(model="gpt-4o-mini"), [], middleware=[inner_budget])

    @tool
    def delegate(task: str) -> str:
        """Delegate."""
        return str(inner.invoke({"messages": [("user", task)]})["messages"][-1].content)

    outer_budget = BudgetMiddleware("$1")
    outer = create_agent(provider.openai(), [delegate], middleware=[outer_budget])
    with outer_budget.session, inner_budget.session:
        assert run(outer, how).content == "ok"
    assert provider.sent == outer_budget.session.calls == sent
    assert inner_budget.session.calls == sent - 2
    provider.assert_exact(outer_budget)


@HOW
@pytest.mark.parametrize("limit", ["$1", "1 calls"])
def test_the_outer_budget_of_an_agent_inside_a_tool(limit: str, how: str, provider: Script) -> None:
    """When the outer money ends inside the inner agent, the outer agent deals with it; the inner one does not."""
    provider.calls(("delegate", {"task": "sky"}))
    inner = create_agent(provider.openai(model="gpt-4o-mini"), [], middleware=[BudgetMiddleware("$1")])

    @tool
    def delegate(task: str) -> str:
        """Delegate."""
        return str(inner.invoke({"messages": [("user", task)]})["messages"][-1].content)

    budget = BudgetMiddleware(limit, on_tool_denied="tell")
    outer = create_agent(provider.openai(), [delegate], middleware=[budget])
    with budget.session:
        message = run(outer, how)
    if limit == "$1":
        assert message.content == "ok"
        assert provider.sent == 3
    else:
        assert "used up" in str(message.content)
        assert provider.sent == 1
    provider.assert_exact(budget)


class Swallows(middleware.AgentMiddleware[Any, Any]):
    """A middleware that makes a message of every error of a tool or a model."""

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        from langchain_core.messages import AIMessage

        try:
            return handler(request)
        except Exception as error:
            return AIMessage(f"never mind: {type(error).__name__}")


@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.00001", 0)])
@pytest.mark.parametrize("where", ["callback", "middleware", "inside"])
def test_a_middleware_that_swallows(where: str, limit: str, sent: int, provider: Script) -> None:
    """It lets no call through, and what it hid is raised at the end of the session, whoever of ours is there."""
    session = Budget(limit).session()
    own = BudgetMiddleware(session, exit_behavior="error")
    several: list[Any] = {
        "callback": [Swallows()],
        "middleware": [Swallows(), own],
        "inside": [own, Swallows()],
    }[where]
    agent = create_agent(provider.openai(), [], middleware=several)
    config: Any = {"callbacks": [BudgetCallback(session)]} if where == "callback" else {}

    def go() -> None:
        with session:
            message = run(agent, "invoke", **config)
            assert message.content == ("ok" if sent else "never mind: BudgetExceeded")

    if sent:
        go()
    else:
        with pytest.raises(BudgetExceeded):
            go()
    assert provider.sent == sent
    provider.assert_exact(session)
