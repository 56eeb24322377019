"""Two lines put a program that knows nothing of budgets under one: it is stopped at a cent.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import count

import openai

import bursar
from bursar.testing import ScriptedProvider


def agent() -> None:
    """The program: it asks for ever."""
    client = openai.OpenAI()
    for number in count(1):
        question = f"Give me reason number {number} why the sky is blue."
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": question}], max_tokens=400
        )


def main() -> None:
    with ExitStack() as stack:
        provider = None
        if "OPENAI_API_KEY" not in os.environ:
            provider = stack.enter_context(ScriptedProvider())
            os.environ |= {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "none"}
        bursar.init("$0.01")
        try:
            agent()
        except bursar.BudgetExceeded as refusal:
            print(refusal)
        report = bursar.teardown()
        assert report is not None
        print(f"{report['breakdown']['llm']['calls']} calls, ${report['total_spent']} spent")
        if provider is not None:
            assert report["total_spent"] == float(provider.bill) <= 0.01


if __name__ == "__main__":
    main()
