"""Budgets that spent at a provider, with what each day and each account should have cost counted beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

from bursar import Budget, BudgetExceeded, Session
from bursar.store.sqlite import open_sqlite
from bursar.testing import ManualClock, Rate, ScriptedProvider

from ..files import file_url

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202egnp.exe\u2066", "w" * 180,
    "</title><style>*{display:none}</style>", "https://example.com/?a=1&amp;b=2 `x` $x^2$", "مرحبا שלום 你好 🧪 e\u0301\u0301\u0301",
)  # fmt: skip
ZONE, DAYS = "Asia/Kathmandu", 30  # its days begin at 18:15 UTC
MODELS = ("gpt-4o", "gpt-4o-mini", HOSTILE[0])
RATES = {"gpt-4o": Rate("2.5", "10"), "gpt-4o-mini": Rate("0.15", "0.6"), HOSTILE[0]: Rate("7", "31")}
TOOL_NANOS = 19_900_000


@dataclass
class Ledger:
    """A store, and what should be in it, in nano-dollars: the bill of the provider and the runs of a tool.

    Attributes:
        url: of the store.
        days: by date in the time zone of the budget.
        tenants: by name, those below them included; tools of none.
        agents: by name, in the sessions right below the budget.
        models: by name.
        tools: by name.
        refused: calls.
    """

    url: str
    days: Counter[str] = field(default_factory=Counter)
    tenants: Counter[str] = field(default_factory=Counter)
    agents: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.days.values())


def ask(provider: ScriptedProvider, session: Session, model: str, words: str) -> None:
    """One call over HTTP, without an SDK."""
    messages = [{"role": "user", "content": words}]
    with session.reserve(model, messages=messages, max_output_tokens=400) as hold:
        body = {"model": model, "messages": messages, "max_tokens": hold.max_output_tokens}
        headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
        request = Request(f"{provider.openai_url}/chat/completions", json.dumps(body).encode(), headers)
        with urlopen(request, timeout=30) as response:
            answer: Mapping[str, Any] = json.load(response)
        hold.settle(answer)


def thirty_days() -> Ledger:
    """Three levels of accounts with hostile names; some days refuse at their limit."""
    ledger, now = Ledger(file_url()), datetime.now(ZoneInfo(ZONE))
    begin = now - timedelta(days=DAYS - 1)
    clock = ManualClock(begin.timestamp())
    prices = {HOSTILE[0]: (7, 31)}
    budget = Budget(
        "$0.02/day",
        "$90/total",
        tz=ZONE,
        name=HOSTILE[4],
        store=open_sqlite(ledger.url, clock),
        prices=prices,
    )
    budget._ledger.clock = clock
    with ScriptedProvider(rates=RATES, output_tokens="most") as provider:
        for number in range(DAYS):
            date = datetime.fromtimestamp(clock.now(), ZoneInfo(ZONE)).date().isoformat()
            tenant, team, agent = HOSTILE[number % 3], HOSTILE[3 + number % 2], HOSTILE[5 + number % 2]
            session = budget.child(tenant).child(team).session(id=f"{HOSTILE[1]} {number}")
            top = budget.session(id=f"{HOSTILE[2]} {number % 4}")
            if number % 5 == 0:  # hardly anything is left for calls to models
                top.track(None, "$0.0199", HOSTILE[1])
                ledger.days[date] += TOOL_NANOS
                ledger.tools[HOSTILE[1]] += TOOL_NANOS
            for turn in range(1 + number % 4):
                model, before = MODELS[(number + turn) % 3], provider.bill_nanos
                part = (session if turn % 2 else top).part(agent)
                try:
                    ask(provider, part, model, f"{number} {turn}")
                except BudgetExceeded:
                    ledger.refused += 1
                    continue
                cost = provider.bill_nanos - before
                ledger.models[model] += cost
                ledger.days[date] += cost
                (ledger.tenants if turn % 2 else ledger.agents)[tenant if turn % 2 else agent] += cost
            if number < DAYS - 1:
                clock.advance(86_400)
    return ledger
