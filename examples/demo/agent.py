"""A LangChain agent that is stuck: it remembers its question and its last search only, and searches on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from bursar import Budget, BudgetExceeded, Session
from bursar_langchain import BudgetCallback

QUESTION = "Which supplier ships fastest to Oslo? Search until you are certain."
MAX_TOKENS = 300


@dataclass(frozen=True)
class Call:
    """One paid call, as the ledger noted it; money in USD."""

    number: int
    model: str
    input_tokens: int
    output_tokens: int
    cost: Decimal
    spent: Decimal
    remaining: Decimal


class Watch(BaseCallbackHandler):
    """Tells of every call once it is charged. It comes after the budget's own callback."""

    def __init__(self, session: Session, tell: Callable[[Call], None]) -> None:
        self.session = session
        self.tell = tell

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        charge = self.session.report()["events"][-1]
        balance = self.session.balance()
        self.tell(
            Call(
                number=balance.calls,
                model=charge["model"],
                input_tokens=charge["input_tokens"],
                output_tokens=charge["output_tokens"],
                cost=Decimal(str(charge["cost"])),
                spent=balance.spent,
                remaining=balance.remaining or Decimal(0),
            )
        )


@tool
def search_suppliers(query: str) -> str:
    """Search suppliers."""
    return f"{query}: no shipping times here."


@wrap_model_call  # type: ignore[arg-type]
def short_memory(request: Any, model: Callable[[Any], Any]) -> Any:
    """The question and the last search are sent, so that inputs stay short, and nothing is learned."""
    question, *rest = request.messages
    return model(request.override(messages=[question, *rest[-2:]]))


def run(
    budget: Budget, model: str, tell: Callable[[Call], None], **provider: Any
) -> tuple[Session, BudgetExceeded | None]:
    """Let the agent run until it ends or is stopped.

    Args:
        budget: what it may spend.
        model: a model of OpenAI.
        tell: hears of every call.
        provider: where the model is: ``base_url`` and ``api_key`` of `ChatOpenAI`.

    Returns:
        Its session, and the refusal that stopped it; None when it ended by itself.
    """
    session = budget.session()
    chat = ChatOpenAI(model=model, max_tokens=MAX_TOKENS, max_retries=0, **provider)
    agent = create_agent(chat, [search_suppliers], middleware=[short_memory])
    callbacks = [BudgetCallback(session), Watch(session, tell)]
    try:
        agent.invoke(
            {"messages": [{"role": "user", "content": QUESTION}]},
            config={"callbacks": callbacks, "recursion_limit": 10_000},
        )
    except BudgetExceeded as refusal:
        return session, refusal
    return session, None
