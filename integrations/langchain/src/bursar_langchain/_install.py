"""One handler for the whole process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bursar import Budget, BursarError, Session
from bursar.integration import Limits

from ._adapter import BudgetCallback
from ._coverage import everywhere
from ._payers import LimitLike, Money


def install(
    budget: LimitLike | Budget | Session | BudgetCallback,
    *,
    nodes: Limits | None = None,
    tool_prices: Mapping[str, Money] | None = None,
    tenant: str | None = None,
) -> BudgetCallback:
    """Hang a handler on every run of LangChain in this process, until `uninstall`.

    Runs with ``callbacks=[]`` and those of plain threads have it, too. A run that is given
    the same handler, or another one of its session, is charged once.

    Args:
        budget: as for `BudgetCallback`, or one that was made already.
        nodes: as for `BudgetCallback`, as are the others.

    Returns:
        The handler.

    Raises:
        BursarError: one is installed already.
        ValueError: a setting has a value that it cannot have; the message names it.
    """
    if not isinstance(budget, BudgetCallback):
        budget = BudgetCallback(budget, nodes=nodes, tool_prices=tool_prices, tenant=tenant)
    elif (nodes, tool_prices, tenant) != (None, None, None):
        raise ValueError("a BudgetCallback has its own nodes=, tool_prices= and tenant=")
    if not everywhere.put(budget):
        raise BursarError("a budget is installed already; call uninstall() first")
    return budget


def uninstall() -> dict[str, Any] | None:
    """End what `install` began; runs that have the handler keep it.

    Returns:
        The report of the handler; None where none was installed.
    """
    handler = everywhere.take()
    return handler.report() if isinstance(handler, BudgetCallback) else None
