"""Both sources as they were on a day."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from .from_genai import GENAI_PROVIDERS, genai_row
from .from_litellm import litellm_rows
from .rows import Row

Models = list[tuple[Any, Row | None]]  # of genai-prices: a model that knows its names, and its row


@dataclass
class Release:
    """What both sources said.

    Attributes:
        day: on which these were their newest releases.
        versions: by the name of the source.
        litellm: by provider and name; several keys of theirs may be one name of ours.
        genai: by provider.
        vendors: whose prices a host takes over for what it does not list itself, by provider.
    """

    day: date
    versions: dict[str, str]
    litellm: dict[str, dict[str, list[Row]]]
    genai: dict[str, Models]
    vendors: dict[str, Models]


def read(folder: Path) -> Release:
    """Read a release of both.

    Args:
        folder: named by its day, as YYYY-MM-DD, with both packages installed into it.
    """
    day = date.fromisoformat(folder.name)
    versions = {found.metadata["Name"]: found.version for found in distributions(path=[str(folder)])}
    listed = folder / "litellm" / "model_prices_and_context_window_backup.json"
    ours: dict[str, dict[str, list[Row]]] = {}
    for provider, name, row in litellm_rows(json.loads(listed.read_text("utf-8"))):
        ours.setdefault(provider, {}).setdefault(name, []).append(row)
    theirs: dict[str, Models] = {}
    vendors: dict[str, Models] = {}
    sources = _providers(folder)
    rows = {source.id: [(model, genai_row(model, day)) for model in source.models] for source in sources}
    for source in sources:
        if source.id in GENAI_PROVIDERS:
            provider = GENAI_PROVIDERS[source.id]
            theirs[provider] = rows[source.id]
            vendors[provider] = [
                pair
                for vendor in getattr(source, "fallback_model_providers", None) or ()
                for pair in rows[vendor]
            ]
    theirs["vertex"], vendors["vertex"] = theirs["google"], vendors["google"]
    theirs["google"] = [pair for pair in theirs["google"] if "claude" not in pair[0].id]
    return Release(day, versions, ours, theirs, vendors)


def _providers(folder: Path) -> Sequence[Any]:
    """What this very release of genai-prices lists: it is imported, and those before it are forgotten."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "genai_prices"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        providers: Sequence[Any] = importlib.import_module("genai_prices.data").providers
    finally:
        sys.path.remove(str(folder))
    return providers
