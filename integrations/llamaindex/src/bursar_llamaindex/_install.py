"""One handler for the whole process."""

from __future__ import annotations

from typing import Any

from bursar import Budget, BursarError, Session
from bursar.integration import Limits

from . import _managers
from ._adapter import BudgetCallback


def install(
    budget: str | float | Budget | Session | BudgetCallback, *, agents: Limits | None = None
) -> BudgetCallback:
    """Let a handler pay for every model of this process that nobody else pays for, until `uninstall`.

    Args:
        budget: as for `BudgetCallback`, or one that was made already.
        agents: as for `BudgetCallback`.

    Returns:
        The handler.

    Raises:
        BursarError: one is installed already.
        ValueError: a setting has a value that it cannot have; the message names it.
    """
    if not isinstance(budget, BudgetCallback):
        budget = BudgetCallback(budget, agents=agents)
    elif agents is not None:
        raise ValueError("a BudgetCallback has its own agents=")
    if not _managers.install(budget):
        raise BursarError("a budget is installed already; call uninstall() first")
    return budget


def uninstall() -> dict[str, Any] | None:
    """End what `install` began.

    Returns:
        The report of the handler; None where none was installed.
    """
    handler = _managers.uninstall()
    return handler.report() if isinstance(handler, BudgetCallback) else None
