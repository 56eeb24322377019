"""Tools and postprocessors that cost money: a run is reserved before, and charged after."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.tools import AsyncBaseTool, BaseTool, FunctionTool

from bursar import Budget, Session

from ._adapter import BudgetCallback
from ._classes import swap_class

P = TypeVar("P", bound=BaseNodePostprocessor)


def budget_tools(
    tools: Iterable[BaseTool | Callable[..., Any]],
    budget: str | float | Budget | Session | BudgetCallback,
    *,
    prices: Mapping[str, str | float | Decimal] | None = None,
) -> list[BaseTool]:
    """Copies of the tools, each run of which is paid for.

    A run that does not fit is refused. The agents of LlamaIndex tell the refusal to the model, as they do
    with any error of a tool.

    Args:
        tools: tools, or functions to make tools of.
        budget: as for `BudgetCallback`, or one that was made already.
        prices: USD for a run, by the name of the tool; beside `tool_prices` of the budget.

    Raises:
        InvalidAmount: a price is not one.
    """
    Budget(tool_prices=prices)  # says what is wrong with them
    handler = budget if isinstance(budget, BudgetCallback) else BudgetCallback(budget)
    made = [tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool) for tool in tools]
    return [_priced(tool, handler, (prices or {}).get(tool.metadata.get_name())) for tool in made]


def budget_postprocessor(
    postprocessor: P,
    budget: str | float | Budget | Session | BudgetCallback,
    *,
    price: str | float | Decimal | None = None,
) -> P:
    """The same postprocessor, such as a reranker that is billed by the run; each run is paid for.

    Args:
        postprocessor: of nodes.
        budget: as for `BudgetCallback`, or one that was made already.
        price: USD for a run; by default that of `tool_prices`, by the name of its class.

    Raises:
        InvalidAmount: the price is not one.
    """
    kind = type(postprocessor)
    Budget(tool_prices=None if price is None else {kind.__name__: price})
    handler = budget if isinstance(budget, BudgetCallback) else BudgetCallback(budget)
    names = [name for name in ("_postprocess_nodes", "_apostprocess_nodes") if name in vars(kind)]
    _swap(postprocessor, handler, kind.__name__, price, names or ["_postprocess_nodes"])
    return postprocessor


def _priced(tool: BaseTool, handler: BudgetCallback, price: str | float | Decimal | None) -> BaseTool:
    made = copy.copy(tool)
    methods = ("call", "acall") if isinstance(tool, AsyncBaseTool) else ("__call__",)
    _swap(made, handler, tool.metadata.get_name(), price, methods)
    return made


def _swap(
    made: Any,
    handler: BudgetCallback,
    name: str,
    price: str | float | Decimal | None,
    methods: Iterable[str],
) -> None:
    """Let the methods of an object be paid for; by name and for `isinstance` its class stays the same."""
    kind = type(made)
    paid = {method: _charged_for(getattr(kind, method), handler, name, price) for method in methods}
    swap_class(made, kind, paid)


def _charged_for(
    method: Any, handler: BudgetCallback, name: str, price: str | float | Decimal | None
) -> Callable[..., Any]:
    if iscoroutinefunction(method):

        @wraps(method)
        async def arun(self: Any, *args: Any, **kwargs: Any) -> Any:
            with handler.tool(name, [args, kwargs], price):
                return await method(self, *args, **kwargs)

        return arun

    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with handler.tool(name, [args, kwargs], price):
            return method(self, *args, **kwargs)

    return run
