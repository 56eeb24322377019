"""Names of other budget libraries, beside ours: for the errors about a name that nothing here has.

`docs/migrate.md` has the same table, held to this one by a test.
"""

from __future__ import annotations

from collections.abc import Iterable

# By library: the name as its users type it, and what they type here.
AGENTBUDGET = {
    "AgentBudget": 'Budget("$5")',
    "max_spend": 'Budget("$5")',
    "BudgetExhausted": "BudgetExceeded",
    "LangChainBudgetCallback": 'bursar_langchain.BudgetCallback("$5")',
    "CrewAIBudgetMiddleware": 'bursar_crewai.BudgetMiddleware("$3")',
}
AGENT_BUDGET_SCOPES = {
    "BudgetScope": 'Budget("50k tokens", "$5/24h")',
    "BudgetManager": 'Budget("$100/month").child("alice", "$2/24h")',
    "BudgetExceededError": "BudgetExceeded",
    "ModelRates": "prices={model: (1000 * input_per_1k, 1000 * output_per_1k)}",
    "rates": "prices={model: (input, output)}",
    "max_tokens_per_session": 'Budget("50k tokens")',
    "max_cost_per_session_usd": 'Budget("$1")',
    "max_tokens_per_day": 'Budget("200k tokens/24h")',
    "max_cost_per_day_usd": 'Budget("$5/24h")',
    "max_tokens_per_model": 'Budget(Limit("50k tokens", model="gpt-4o"))',
    "max_cost_per_model_usd": 'Budget(Limit("$1", model="gpt-4o"))',
    "alert_at_pct": "soft_limit=0.8",
    "register": 'budget.child("alice", "$2/24h")',
    "all_summaries": "budget.summary()",
    "reset_session": 'session.reset("a reason")',
    "cost_usd": "charge.cost",
}
AGENTLIMIT = {
    "UsageMeter": 'Budget("$100/month", name="my-agent", store="redis://localhost:6379")',
    "redis_url": 'store="redis://localhost:6379"',
    "agent_id": 'name="my-agent"',
    "monthly_budget_usd": 'Budget("$100/month")',
    "monthly_budget_tokens": 'Budget("500k tokens/month")',
    "alert_thresholds": "soft_limit=(0.8, 0.9, 1.0)",
    "AlertEvent": "Alert",
    "custom_pricing": "prices={model: (input, output)}",
    "estimated_cost_usd": 'session.can_spend("$0.05")',
    "tokens_used": 'session.record("gpt-4o", tokens=1700)',
    "get_usage": "budget.report()",
    "usd_spent": "budget.spent",
    "instrument_openai_client": "wrap_client(client, session)",
    "instrument_anthropic_client": "wrap_client(client, session)",
}
AGENT_BUDGET_RESERVATIONS = {
    "BudgetedSession": 'Budget("$5").session()',
    "budget_usd": 'Budget("$5")',
    "wrap_openai": "wrap_client(client, session)",
    "get_total_spent": "session.spent",
    "get_remaining_budget": "session.remaining",
    "get_summary": "session.report()",
}
PEERS = {
    "AgentBudget": AGENTBUDGET,
    "agent-budget with scopes": AGENT_BUDGET_SCOPES,
    "AgentLimit": AGENTLIMIT,
    "agent-budget with reservations": AGENT_BUDGET_RESERVATIONS,
}
OURS = {theirs: ours for table in PEERS.values() for theirs, ours in table.items()}

# What other words are used for, beside those of libraries; and what is planned.
_MEANT = {
    "max_tokens": "max_output_tokens=",
    "max_completion_tokens": "max_output_tokens=",
    "budget": 'Budget("$5")',
    "limit": 'Budget("$5")',
    "limits": 'Budget("$5", "$20/24h")',
    "timezone": 'tz="Europe/Oslo"',
}
_PLANNED = ("estimate", "fallback")


def unknown_setting(place: str, name: str, known: Iterable[str]) -> TypeError:
    """The error about an argument that a function does not have, with what its user may have meant.

    Args:
        place: the function, as it is called: ``"Budget()"``.
        name: the argument.
        known: those that it has.
    """
    if name in _PLANNED:
        return TypeError(f"{place} has no {name}= yet: it is planned, and not available")
    return TypeError(f"{place} has no {name}={_instead(name, known, '=')}")


def unknown_name(place: str, name: str, known: Iterable[str]) -> str:
    """The message about an attribute that a module or an object does not have."""
    return f"{place} has no {name!r}{_instead(name, known, '')}"


def _instead(name: str, known: Iterable[str], mark: str) -> str:
    if name in OURS or name in _MEANT:
        return f"; here that is {OURS.get(name) or _MEANT[name]}"
    if name.startswith("_"):
        return ""  # a protocol of Python's that somebody looks for
    from difflib import get_close_matches  # only an error needs it, an import of bursar does not

    near = get_close_matches(name, sorted(known), 1, 0.7)
    return "".join(f"; did you mean {word}{mark}?" for word in near)
