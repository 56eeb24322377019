"""`models` and `estimate`: what models cost, and where that is known from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from ..budget import Budget
from ..errors import UnknownModel
from ..pricing.book import known_models, prices_date
from ..pricing.bundled import bundled
from ..pricing.overrides import read_prices
from ..pricing.price import Rates
from ..values.money import show_usd, to_nanos
from .mistake import Mistake
from .options import JsonOption
from .screen import Screen

PICO_PER_NANO = 1_000
_PER_MILLION = (
    "input",
    "output",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "audio_output",
)


def models(
    pattern: Annotated[str, typer.Argument(help="Part of a name, or a pattern like 'gpt-4o*'.")] = "",
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only models that this provider bills.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List models with their prices.

    In USD per million tokens; and their sizes, in tokens.

    \b
    bursar models gpt-4o
    bursar models 'claude-*-4-5' --provider anthropic --json
    """
    screen, wanted = Screen(), pattern.lower()
    known = list(_known())
    rows = [
        (source, host, name, rates)
        for source, host, name, rates in known
        if provider in (None, host)
        and (fnmatchcase(name, wanted) if set("*?[") & set(wanted) else wanted in name)
    ]
    if not rows:
        raise Mistake(_no_model(pattern, provider, known))
    if as_json:
        screen.json({"prices_of": prices_date(), "models": [_document(*row) for row in rows]})
        return
    screen.table(
        ("model", "billed by", ">input", ">output", ">cached", ">context", ">output cap"),
        [
            (
                name,
                host,
                _price(r.input),
                _price(r.output),
                _price(r.cached_input),
                _size(r.context_window),
                _size(r.max_output_tokens),
            )
            for _, host, name, r in rows
        ],
    )
    screen.line(f"USD per million tokens; the table of {prices_date()}, made from genai-prices and litellm")


def _known() -> Iterator[tuple[str, str, str, Rates]]:
    """Each model once: where its price is from, who bills it, its name, its rates."""
    path = os.environ.get("BURSAR_PRICES")
    try:
        for name, rates in (read_prices("BURSAR_PRICES", path) if path else {}).items():
            yield "BURSAR_PRICES", "any", name, rates
    except ValueError as error:
        raise Mistake(str(error)) from None
    for host, name in known_models():
        standard = bundled(host, name, None)
        if standard is not None:  # pragma: no branch - every model of the table has a standard price
            yield "bundled", host, name, standard


def _no_model(pattern: str, provider: str | None, known: list[tuple[str, str, str, Rates]]) -> str:
    hosts = sorted({host for _, host, _, _ in known})
    if provider is not None and provider not in hosts:
        return f"there is no provider {provider!r}; there are {', '.join(hosts)}"
    near = get_close_matches(pattern.lower(), sorted({name for _, _, name, _ in known}), 5)
    hint = f"; close to it: {', '.join(near)}" if near else ""
    return f"no model has {pattern!r} in its name{hint}"


def _document(source: str, host: str, name: str, rates: Rates) -> dict[str, Any]:
    prices = {
        f"{field}_usd_per_million": None if (pico := getattr(rates, field)) is None else pico / 10**6
        for field in _PER_MILLION
    }
    return {
        "model": name,
        "provider": host,
        **prices,
        "context_window": rates.context_window,
        "max_output_tokens": rates.max_output_tokens,
        "source": source,
    }


def _price(pico: int | None) -> str:
    return "" if pico is None else show_usd(pico * 10**6 // PICO_PER_NANO)


def _size(tokens: int | None) -> str:
    return "" if tokens is None else f"{tokens:,}"


def estimate(
    model: Annotated[str, typer.Option(metavar="NAME", help="As a program asks for it.")],
    input_tokens: Annotated[int, typer.Option("--input", min=0, metavar="N", help="Tokens of input.")],
    output_tokens: Annotated[int, typer.Option("--output", min=0, metavar="N", help="Tokens of output.")],
    calls: Annotated[int, typer.Option(min=1, metavar="N", help="How many such calls.")] = 1,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who bills, where the name does not say.")
    ] = None,
    tier: Annotated[str | None, typer.Option(metavar="NAME", help="batch, flex or priority.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a call costs.

    Nothing is called, and no store is asked.

    \b
    bursar estimate --model gpt-4o --input 2000 --output 500
    bursar estimate --model claude-haiku-4-5 --input 800 --output 200 --calls 1000
    """
    try:
        one = Budget(tier=tier).session().estimate(model, input_tokens, output_tokens, provider=provider)
    except UnknownModel as error:
        raise Mistake(
            f"no price is known for the model {model!r}; close to it: {', '.join(error.near)}"
            if error.near
            else str(error)
        ) from None
    except ValueError as error:
        raise Mistake(str(error)) from None
    screen, total = Screen(), one * calls
    if as_json:
        screen.json({
            "model": model, "input_tokens": input_tokens, "output_tokens": output_tokens, "calls": calls,
            "usd": float(total), "usd_per_call": float(one),
        })  # fmt: skip
        return
    each = f" ({show_usd(to_nanos(one))} each)" if calls > 1 else ""
    screen.line(
        f"{show_usd(int(total * 10**9))}{each}: {calls:,} {'call' if calls == 1 else 'calls'} of {model},"
        f" {input_tokens:,} tokens in and {output_tokens:,} out"
    )
