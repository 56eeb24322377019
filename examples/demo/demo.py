"""An agent that never stops is stopped at its budget.

By default it talks to a provider on this machine that counts, bills and answers by
itself; ``--live`` talks to OpenAI and costs up to the budget.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from decimal import Decimal

from agent import run
from views import Result, view

from bursar import Budget, BursarError
from bursar.testing import Reply, Request, ScriptedProvider, ToolCall

OUTPUT_TOKENS = 280
PAUSE_S = 0.12  # so that people can watch


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 when the agent was stopped, and the bill is what the ledger says."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--budget", default="$0.05", metavar="USD", help="what the agent may spend (default: $0.05)"
    )
    parser.add_argument("--model", default="gpt-4o", help="a model of OpenAI (default: gpt-4o)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--live", action="store_true", help="talk to OpenAI with the key in OPENAI_API_KEY")
    options = parser.parse_args(arguments)
    if options.live and not os.environ.get("OPENAI_API_KEY"):
        print("demo: --live needs an API key in OPENAI_API_KEY", file=sys.stderr)
        return 2
    try:
        budget = Budget(options.budget)
        budget.session().reserve(options.model, input_tokens=1, max_output_tokens=1).release()
    except BursarError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    limit = budget.session().remaining
    if limit is None:
        print("demo: --budget takes dollars, like $0.05", file=sys.stderr)
        return 2
    if options.live:
        return show(budget, limit, options, None)
    with ScriptedProvider() as provider:
        provider.always(stuck)
        return show(budget, limit, options, provider)


def show(
    budget: Budget, limit: Decimal, options: argparse.Namespace, provider: ScriptedProvider | None
) -> int:
    """Run the agent and show what happens."""
    place = {} if provider is None else {"base_url": provider.openai_url, "api_key": "none"}
    with view(limit, as_json=options.json) as screen:
        session, refusal = run(budget, options.model, screen.call, **place)
    result = Result(
        limit=limit,
        ledger=session.spent,
        billed=provider.bill if provider else None,
        calls=session.calls,
        served=provider.hits if provider else None,
        refusal=str(refusal) if refusal else None,
    )
    screen.result(result)
    return 0 if result.holds else 1


def stuck(request: Request) -> Reply:
    """The model's answer, always: search on, one page further."""
    pause = PAUSE_S if sys.stdout.isatty() else 0
    found = re.search(r"page (\d+)", str(request.body["messages"][-1]["content"]))
    page = 1 + int(found[1]) if found else 1
    return Reply(
        tool_calls=[ToolCall("search_suppliers", {"query": f"Oslo, page {page}"})],
        output_tokens=OUTPUT_TOKENS,
        delay=pause,
    )


if __name__ == "__main__":
    sys.exit(main())
