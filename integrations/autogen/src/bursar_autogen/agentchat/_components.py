"""Budgets in dumped components: the same session again, or a new one of the same limits."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from pydantic import BaseModel

from bursar import Budget, BursarError, Session

from .._spender import Spender

_spenders: WeakValueDictionary[str, Spender] = WeakValueDictionary()


class BudgetConfig(BaseModel):
    """What a dumped component keeps of its budget: settings, and never what was spent.

    Attributes:
        session: the id of the session.
        limit: what the budget was written as; None where it was a Budget or a Session.
        agents: limits by the name of an agent.
        tool_prices: USD for a run, by tool.
        on_budget: what a refusal does.
    """

    session: str
    limit: str | float | None = None
    agents: dict[str, Any] | None = None
    tool_prices: dict[str, str] | None = None
    on_budget: str = "raise"


def dumped(spender: Spender) -> BudgetConfig:
    """What is kept of it. Raises: `BursarError`: it asks a function, which cannot be written down."""
    if not isinstance(spender.on_budget, str):
        raise BursarError(
            "on_budget= is a function, which a component cannot keep; dump the agents without it"
        )
    _spenders[spender.session.id] = spender
    written = None if isinstance(spender.budget, Budget | Session) else str(spender.budget)
    agents = {
        name: [str(limit) for limit in limits] if isinstance(limits, list | tuple) else str(limits)
        for name, limits in (spender.agents or {}).items()
    }
    return BudgetConfig(
        session=spender.session.id,
        limit=written,
        agents=agents or None,
        tool_prices={name: str(price) for name, price in spender.tool_prices.items()} or None,
        on_budget=spender.on_budget,
    )


def loaded(config: BudgetConfig, session: Session | None) -> Spender:
    """What pays for a loaded component.

    The session that it was dumped with, as long as this process has it; else `session`, if it has that id;
    else a new one, of the limit that the component was written with.

    Args:
        config: from the component.
        session: the current one.

    Raises:
        BursarError: nothing says who pays.
    """
    if (known := _spenders.get(config.session)) is not None:
        return known
    pays: Any = session if session is not None and session.id == config.session else config.limit
    if pays is None:
        raise BursarError(
            f"the session {config.session!r} of this component is not here: load it inside"
            f" `with budget.session(id={config.session!r}):`"
        )
    spender = Spender(
        pays,
        agents=config.agents,
        tool_prices=config.tool_prices,
        on_budget="stop" if config.on_budget == "stop" else "raise",
    )
    _spenders[config.session] = spender  # the other parts of the same component pay from it, too
    return spender
