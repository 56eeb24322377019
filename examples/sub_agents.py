"""An orchestrator with three sub-agents in threads: each has a cap of its own, and all share one budget.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal

import openai

from bursar import Budget, BudgetExceeded, Session
from bursar.testing import ScriptedProvider

CAPS = {"researcher": "$0.002", "writer": "$0.001", "critic": "$0.0005"}


def ask(question: str) -> str:
    answer = openai.OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": question}], max_tokens=200
    )
    return answer.choices[0].message.content or ""


def work(name: str, part: Session) -> int:
    """A sub-agent that never ends: its cap ends it."""
    with part:
        for number in range(1_000):
            try:
                ask(f"You are the {name}. Step {number}:")
            except BudgetExceeded:
                return number
    raise AssertionError("it was never stopped")


def main() -> None:
    with ExitStack() as stack:
        provider = None
        if "OPENAI_API_KEY" not in os.environ:
            provider = stack.enter_context(ScriptedProvider())
            os.environ |= {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "none"}
        with Budget("$0.01").session() as session, ThreadPoolExecutor(3) as pool:
            parts = {name: session.part(name, cap) for name, cap in CAPS.items()}
            calls = dict(zip(parts, pool.map(work, parts, parts.values()), strict=True))
            ask("Sum up what they have found.")  # the orchestrator still has money
            for name, part in parts.items():
                print(f"{name:12} {calls[name]} calls, ${part.spent} of {CAPS[name]}")
                assert part.spent <= Decimal(CAPS[name].removeprefix("$"))
        print(f"{'all':12} ${session.spent} of $0.01")
        if provider is not None:
            assert session.spent == provider.bill and session.reserved == 0


if __name__ == "__main__":
    main()
