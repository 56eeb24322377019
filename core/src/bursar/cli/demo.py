"""`demo`: an agent that never stops, against a provider on this machine, is stopped at its budget."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import count
from typing import Annotated, Any
from urllib.request import Request, urlopen

import typer

from ..budget import Budget
from ..errors import BudgetExceeded
from ..session import Session
from ..testing import ScriptedProvider
from ..values.money import show_usd, to_nanos
from .mistake import Mistake
from .options import JsonOption
from .screen import Screen

MODEL = "gpt-4o"
SHOWN = 5  # calls at the beginning that are shown one by one


def demo(
    budget: Annotated[str, typer.Option(metavar="USD", help="What the agent may spend.")] = "$0.05",
    as_json: JsonOption = False,
) -> None:
    """Stop an agent that never stops.

    It talks plain HTTP, without an SDK, to a provider on this machine that counts and bills by
    itself. Nothing is sent elsewhere, and nothing costs money.

    \b
    bursar demo
    bursar demo --budget '$0.20' --json
    """
    screen = Screen()
    session = Budget(budget).session()
    limit = session.remaining
    if limit is None:
        raise Mistake("--budget takes dollars, like $0.05")
    with ScriptedProvider(output_tokens=120) as provider:
        refusal = _search(session, provider, screen, quiet=as_json)
        billed, served = Decimal(provider.bill).normalize(), provider.hits
    if as_json:
        screen.json({
            "budget": float(limit), "billed": float(billed), "requests": served,
            "spent": float(session.spent), "calls": session.calls, "refusal": str(refusal),
        })  # fmt: skip
        return
    screen.line("refused:", str(refusal))
    screen.line(
        f"The provider billed {show_usd(to_nanos(billed))} for {served} requests, and bursar counted"
        f" {show_usd(to_nanos(session.spent))} in {session.calls} calls: the agent was stopped at its"
        f" budget of {show_usd(to_nanos(limit))}."
    )


def _search(session: Session, provider: ScriptedProvider, screen: Screen, *, quiet: bool) -> BudgetExceeded:
    """Search on, a page further each time, until a call is refused."""
    for page in count(1):
        messages = [
            {"role": "user", "content": f"No shipping times on page {page} of the suppliers: search on."}
        ]
        try:
            with session.reserve(MODEL, messages=messages, max_output_tokens=300) as hold:
                body = {"model": MODEL, "messages": messages, "max_tokens": hold.max_output_tokens}
                hold.settle(_sent(f"{provider.openai_url}/chat/completions", body))
        except BudgetExceeded as refusal:
            return refusal
        if not quiet and page <= SHOWN:
            screen.line(f"call {page}: {show_usd(to_nanos(session.spent))} spent")
        elif not quiet and page == SHOWN + 1:
            screen.line("...")
    raise AssertionError  # pragma: no cover - `count` does not end


def _sent(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
    request = Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - of this machine
    with urlopen(request, timeout=30) as response:  # noqa: S310 - as above
        answer: dict[str, Any] = json.load(response)
    return answer
