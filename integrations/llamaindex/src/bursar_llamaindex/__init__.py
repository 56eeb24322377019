"""Hard dollar budgets for LlamaIndex: hang a `BudgetCallback` on it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._adapter import BudgetCallback
    from ._install import install, uninstall
    from ._objects import budget_embedding, budget_llm, budgeted
    from ._tools import budget_postprocessor, budget_tools

_HOMES = {
    "BudgetCallback": "_adapter",
    "budget_embedding": "_objects",
    "budget_llm": "_objects",
    "budget_postprocessor": "_tools",
    "budget_tools": "_tools",
    "budgeted": "_objects",
    "install": "_install",
    "uninstall": "_install",
}

__all__ = [
    "BudgetCallback",
    "budget_embedding",
    "budget_llm",
    "budget_postprocessor",
    "budget_tools",
    "budgeted",
    "install",
    "uninstall",
]


def __getattr__(name: str) -> object:
    """Import LlamaIndex only when one of the names is used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
