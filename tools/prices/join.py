"""Both sources in one table: where they disagree, the dearer price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from .from_genai import GENAI_PROVIDERS, genai_names, genai_row
from .from_litellm import litellm_rows
from .names import family, spelled, undated
from .rows import CLASSES, Row, dearer, like_cached, only_classes, usd

CAREFUL = ("openai", "anthropic", "google", "vertex", "azure", "bedrock", "mistral", "cohere")


def join(
    litellm: dict[str, Any], corrections: dict[str, Any], today: date
) -> tuple[dict[str, dict[str, Row]], list[str]]:
    from genai_prices.data import providers

    ours: dict[str, dict[str, list[Row]]] = {}
    for provider, name, row in litellm_rows(litellm):
        ours.setdefault(provider, {}).setdefault(name, []).append(row)
    theirs: dict[str, list[Any]] = {}
    vendors: dict[str, list[Any]] = {}  # whose prices a host takes over for what it does not list itself
    models_of = {source.id: source.models for source in providers}
    for source in providers:
        if source.id in GENAI_PROVIDERS:
            theirs[GENAI_PROVIDERS[source.id]] = list(source.models)
            vendors[GENAI_PROVIDERS[source.id]] = [
                model for vendor in source.fallback_model_providers or () for model in models_of[vendor]
            ]
    theirs["vertex"], vendors["vertex"] = theirs["google"], vendors["google"]
    theirs["google"] = [model for model in theirs["google"] if "claude" not in model.id]

    unlike: list[str] = []
    table: dict[str, dict[str, Row]] = {}
    for provider in sorted({*ours, *theirs}):
        models = [(model, genai_row(model, today)) for model in theirs.get(provider, [])]
        of_vendors = [(model, genai_row(model, today)) for model in vendors.get(provider, [])]
        listed = [name for model, _ in models for name in [model.id, *genai_names(model.match)]]
        listed += [*ours.get(provider, {}), *corrections["also_try"].get(provider, [])]
        names: dict[str, set[str]] = {}  # a matcher wants the name as its source spells it
        for name in [*listed, *map(undated, listed)]:
            names.setdefault(spelled(name), set()).update((name, spelled(name)))
        for name in sorted(names):
            rows = list(ours.get(provider, {}).get(name, []))
            listed_here, found = first(models, names[name])
            if rows and not listed_here:
                _, vendor = first(of_vendors, names[name])
                found = vendor and only_classes(vendor, dearer(rows))
            if found is None and provider == "bedrock" and not rows:
                continue
            if found is not None and rows:
                found = like_cached(found, rows)
                unlike += disagreements(f"{provider}/{name}", found, dearer(rows))
            if found is not None:
                rows.append(found)
            if rows and re.fullmatch(r"[^ ]*[a-z0-9]", name):
                table.setdefault(provider, {})[name] = dearer(rows)
    for named in table.values():
        for name in [name for name in named if name.endswith("-latest")]:
            bare = undated(name)
            latest, plain = named[name], named.get(bare, named[name])
            named[bare] = dearer([like_cached(latest, [plain]), like_cached(plain, [latest])])
    fill_sizes(table)
    return table, unlike


def first(models: list[tuple[Any, Row | None]], names: set[str]) -> tuple[bool, Row | None]:
    """Whether one of the models answers to one of the names, and the row of the first that does."""
    return next(((True, row) for model, row in models if any(map(model.is_match, names))), (False, None))


def fill_sizes(table: dict[str, dict[str, Row]]) -> None:
    """A context window and a largest output that one host states hold for the same model elsewhere."""
    sizes: dict[str, Row] = {}
    for letter in "xm":
        for hosts in (CAREFUL, table):  # some hosts state the context window as the largest output
            known: dict[str, int] = {}
            for provider in hosts:
                for name, row in table[provider].items():
                    if letter in row:
                        known[family(name)] = max(row[letter], known.get(family(name), 0))
            for kind, size in known.items():
                sizes.setdefault(kind, {}).setdefault(letter, size)
    for models in table.values():
        for name, row in models.items():
            for letter, size in sizes.get(family(name), {}).items():
                row.setdefault(letter, size)
            if "x" in row and row["x"] < row.get("m", 0):
                row["x"] = row["m"]  # speech models: what they give is longer than what they take


def disagreements(name: str, genai: Row, litellm: Row) -> Iterator[str]:
    for letter in CLASSES:
        one, other = genai.get(letter), litellm.get(letter)
        if one is not None and other is not None and abs(one - other) * 100 > min(one, other):
            yield f"{name} {letter}: genai-prices {usd(one)}, litellm {usd(other)} -> {usd(max(one, other))}"
