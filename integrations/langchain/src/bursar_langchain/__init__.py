"""Hard dollar budgets for LangChain and LangGraph: hang a `BudgetCallback` on a run."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._adapter import BudgetCallback
    from ._install import install, uninstall
    from ._middleware import BudgetMiddleware
    from ._refusal import LangChainRefusal

_HOMES = {
    "BudgetCallback": "_adapter",
    "BudgetMiddleware": "_middleware",
    "LangChainRefusal": "_refusal",
    "install": "_install",
    "uninstall": "_install",
}

__all__ = ["BudgetCallback", "BudgetMiddleware", "LangChainRefusal", "install", "uninstall"]


def __getattr__(name: str) -> object:
    """Import LangChain only when one of the names is used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
