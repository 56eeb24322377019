"""A graph whose nodes have budgets of their own; a thread that was refused goes on once there is more money.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import SecretStr

from bursar import BudgetExceeded
from bursar.testing import ScriptedProvider
from bursar_langchain import BudgetCallback


def newspaper(model: ChatOpenAI) -> Any:
    """A graph: the node `research` is a graph of its own."""

    def asks(question: str) -> Any:
        return lambda state: {"messages": [model.invoke(f"{question} ({len(state['messages'])})")]}

    research = StateGraph(MessagesState)
    research.add_node("search", asks("Search for news"))
    research.add_node("read", asks("Read them"))
    research.add_edge(START, "search")
    research.add_edge("search", "read")
    graph = StateGraph(MessagesState)
    graph.add_node("research", research.compile())
    graph.add_node("write", asks("Write an article"))
    graph.add_edge(START, "research")
    graph.add_edge("research", "write")
    graph.add_edge("write", END)
    return graph.compile(checkpointer=InMemorySaver())


def main() -> None:
    budget = BudgetCallback("$1", nodes={"research": "$0.10", "write": "$0.00001"})
    config: RunnableConfig = {"callbacks": [budget], "configurable": {"thread_id": "today"}}
    with ExitStack() as stack:
        if "OPENAI_API_KEY" in os.environ:
            model = ChatOpenAI(model="gpt-4o-mini", max_completion_tokens=200, max_retries=0)
        else:
            provider = stack.enter_context(ScriptedProvider())
            model = ChatOpenAI(
                model="gpt-4o-mini",
                max_completion_tokens=200,
                max_retries=0,
                base_url=provider.openai_url,
                api_key=SecretStr("none"),
            )
        graph = newspaper(model)
        try:
            graph.invoke({"messages": []}, config)
        except BudgetExceeded as refusal:
            print(f"stopped: {refusal}")
        budget.session.part("write").set_limit("$0.10")
        graph.invoke(None, config)  # from where it was stopped
    for node, cost in budget.report()["nodes"].items():
        print(f"{node:16} ${cost:.6f}")
    print(f"all of it        ${budget.spent}")


if __name__ == "__main__":
    main()
