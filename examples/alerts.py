"""Alerts: a team is told when half, nine tenths and all of its day is spent, before anybody asks.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import count
from typing import Any

import openai

from bursar import Alert, AlertKind, Budget, BudgetExceeded, wrap_client
from bursar.testing import ScriptedProvider


def main() -> None:
    told: list[Alert] = []

    def stopped(report: Mapping[str, Any]) -> None:
        """Where the people who can raise the limit are called."""
        print(f"stopped at ${report['total_spent']} of ${report['budget']}: {report['refusals']} refused")

    budget = Budget("$0.01/day", name="team", soft_limit=(0.5, 0.9), on_hard_limit=stopped, alerts="inline")

    @budget.on_alert
    def tell(alert: Alert) -> None:
        """Where a message goes to the team."""
        told.append(alert)
        print(f"{alert.level.value}: {alert.message}")

    with ExitStack() as stack:
        provider = None
        if "OPENAI_API_KEY" not in os.environ:
            provider = stack.enter_context(ScriptedProvider())
            os.environ |= {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "none"}
        client = wrap_client(openai.OpenAI(), budget)
        try:
            for number in count(1):  # an agent that never stops
                question = f"Give me reason number {number} why the sky is blue."
                client.chat.completions.create(
                    model="gpt-4o-mini", messages=[{"role": "user", "content": question}], max_tokens=400
                )
        except BudgetExceeded:
            pass
        if provider is not None:
            assert budget.spent == provider.bill <= 0.01
    assert [(alert.kind, alert.threshold) for alert in told] == [
        (AlertKind.SOFT_LIMIT, 0.5),
        (AlertKind.SOFT_LIMIT, 0.9),
        (AlertKind.HARD_LIMIT, None),
    ]


if __name__ == "__main__":
    main()
