"""Hard dollar budgets for CrewAI: run a crew, a flow or an agent within a `BudgetMiddleware`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._adapter import BudgetMiddleware, budgeted
    from ._refusal import CrewRefusal

_HOMES = {"BudgetMiddleware": "_adapter", "CrewRefusal": "_refusal", "budgeted": "_adapter"}

__all__ = ["BudgetMiddleware", "CrewRefusal", "budgeted"]


def __getattr__(name: str) -> object:
    """Import CrewAI only when one of the names is used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
