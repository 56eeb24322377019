"""Prices that users give: in code for the whole process, and in a JSON file."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import TypeAlias

from ..runtime.fork import first_in_child
from ..values.money import Money
from ..values.names import check_name
from .model_names import spelled
from .price import Price, Rates, rates_of

PriceLike: TypeAlias = "Price | tuple[Money, Money]"

_lock = threading.Lock()
_registered: Mapping[str, Rates] = {}  # replaced as a whole, never changed: its identity is its version


def _renew() -> None:
    """In a forked child nobody is left to open a lock that another thread of the parent held."""
    global _lock  # noqa: PLW0603 - of the process
    _lock = threading.Lock()


first_in_child(_renew)


def registered() -> Mapping[str, Rates]:
    """What was registered so far, by name."""
    return _registered


def register_model(
    name: str,
    input_price_per_million: Money,
    output_price_per_million: Money,
    *,
    cached_input_price_per_million: Money | None = None,
    cache_write_price_per_million: Money | None = None,
    cache_write_1h_price_per_million: Money | None = None,
    context_window: int | None = None,
    max_output_tokens: int | None = None,
) -> None:
    """Give a model a price, in the whole process. Budgets made earlier see it too.

    It replaces the bundled price, and holds for dated variants of the name, for every
    provider and for every service tier. ``"provider/name"`` narrows it to a provider.

    Args:
        name: the model, as it is asked for.
        input_price_per_million: USD per million input tokens, and so on for the others.
        context_window: the most input tokens that the model takes.
        max_output_tokens: the most output tokens that it gives.

    Raises:
        InvalidAmount: not a price.
        ValueError: not a name, or not a size.
    """
    price = Price(
        input_price_per_million,
        output_price_per_million,
        cached_input_price_per_million,
        cache_write_price_per_million,
        cache_write_1h_price_per_million,
        context_window=context_window,
        max_output_tokens=max_output_tokens,
    )
    register_models({name: price})


def register_models(models: Mapping[str, PriceLike]) -> None:
    """Give several models a price at once: ``{name: (input, output) | Price}``, USD per million tokens.

    All or none: nothing is registered when one of them is not a price.

    Raises:
        InvalidAmount: not a price.
        ValueError: not a name, or not a pair of prices.
    """
    global _registered  # noqa: PLW0603 - the registry of the process
    rates = as_rates("register_models()", models)
    with _lock:
        _registered = {**_registered, **rates}


def as_rates(setting: str, models: object) -> dict[str, Rates]:
    """Rates by name as `spelled`, from what users write.

    Raises:
        InvalidAmount: not a price.
        ValueError: not a mapping of names to prices; the message names the setting.
    """
    if not isinstance(models, Mapping):
        raise ValueError(f"{setting} takes a mapping of model names to prices, not a {type(models).__name__}")
    return {
        spelled(check_name("model", name)): rates_of(as_price(setting, price))
        for name, price in models.items()
    }


def as_price(setting: str, value: object) -> Price:
    """A price as it is, or from a pair of input and output.

    Raises:
        InvalidAmount: not a price.
        ValueError: neither; the message names the setting.
    """
    if isinstance(value, Price):
        return value
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return Price(value[0], value[1])
    raise ValueError(
        f"{setting}: {value!r:.60} is neither a Price nor a pair (input, output) in USD per million"
    )


def read_prices(setting: str, path: str | os.PathLike[str]) -> dict[str, Rates]:
    """Prices from a JSON file: ``{model: {"input": .., "output": .., ...} | [input, output]}``.

    The fields are those of `Price`, USD per million tokens.

    Raises:
        InvalidAmount: not a price.
        ValueError: the file cannot be read as that; the message names the setting.
    """
    from pathlib import Path  # most programs have no such file

    try:
        loaded = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{setting}: no prices can be read from {os.fspath(path)!r:.200} ({error})"
        ) from None
    if not isinstance(loaded, dict):
        raise ValueError(f"{setting}: {os.fspath(path)!r:.200} holds no JSON object of prices by model")
    models = {}
    for name, value in loaded.items():
        models[name] = value
        if isinstance(value, dict):
            try:
                models[name] = Price(**value)
            except TypeError:
                raise ValueError(
                    f"{setting}: the price of {name!r:.60} needs 'input' and 'output', and knows only the"
                    f" fields {', '.join(Price.__dataclass_fields__)}"
                ) from None
    return as_rates(setting, models)
