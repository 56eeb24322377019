"""Write the price table that ships with bursar, from two public data sets.

    python tools/make_prices.py --litellm model_prices_and_context_window_backup.json
        [--litellm-version 1.2.3] [--date 2026-01-31] [--check]

Needs Python >= 3.11 with `genai-prices` installed, and the model JSON of the litellm
wheel. Prints where the two sources disagree by more than 1 %, how the new table
differs from the present one, and writes it. `--check` only prints.

A budget must hold whatever the vendor bills, so every doubt goes upwards: of two
prices the dearer one, of several times of day the dearest, an announced increase at
once, and what cannot be counted in tokens not at all. `price_corrections.json` has
the exceptions, each with a source and a date.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timezone
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# The module alone, by its path: the package is not installed beside the sources.
_spec = importlib.util.spec_from_file_location(
    "model_names", ROOT / "core" / "src" / "bursar" / "model_names.py"
)
assert _spec is not None and _spec.loader is not None
_names = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_names)
spelled, undated, shorter_names = _names.spelled, _names.undated, _names.shorter_names

TABLE = ROOT / "core" / "src" / "bursar" / "prices.json"
CORRECTIONS = Path(__file__).with_name("price_corrections.json")

LITELLM_PROVIDERS = {
    "ai21": "ai21", "anthropic": "anthropic", "azure": "azure", "azure_ai": "azure", "bedrock": "bedrock",
    "bedrock_converse": "bedrock", "cerebras": "cerebras", "codestral": "mistral", "cohere": "cohere",
    "cohere_chat": "cohere", "deepseek": "deepseek", "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks", "gemini": "google", "groq": "groq", "minimax": "minimax",
    "mistral": "mistral", "moonshot": "moonshot", "openai": "openai", "openrouter": "openrouter",
    "perplexity": "perplexity", "text-completion-openai": "openai",
    "together_ai": "together", "voyage": "voyage", "xai": "xai", "zai": "zai",
}  # fmt: skip
GENAI_PROVIDERS = {
    "anthropic": "anthropic", "aws": "bedrock", "azure": "azure", "cerebras": "cerebras", "cohere": "cohere",
    "deepseek": "deepseek", "fireworks": "fireworks", "google": "google", "groq": "groq",
    "minimax": "minimax", "mistral": "mistral", "moonshotai": "moonshot", "openai": "openai",
    "openrouter": "openrouter", "perplexity": "perplexity", "together": "together", "voyageai": "voyage",
    "x-ai": "xai", "zai": "zai",
}  # fmt: skip
TOKEN_MODES = {
    None,
    "chat",
    "completion",
    "responses",
    "embedding",
    "realtime",
    "audio_transcription",
    "audio_speech",
}

# Our classes, in pico-dollars per token: i input, o output, c cached, w / h cache write for minutes / for
# longer, a / b audio in / out, d cached audio. In nano-dollars: `fee` of each call, `q` of a hosted tool.
CLASSES = "iocwhabd"
LITELLM_CLASSES = {
    "input_cost_per_token": "i",
    "output_cost_per_token": "o",
    "cache_read_input_token_cost": "c",
    "input_cost_per_token_cache_hit": "c",
    "cache_creation_input_token_cost": "w",
    "cache_creation_input_token_cost_above_1hr": "h",
    "cache_creation_input_token_cost_above_12hr": "h",
    "input_cost_per_audio_token": "a",
    "output_cost_per_audio_token": "b",
    "cache_read_input_audio_token_cost": "d",
}
# Usage does not count these apart, so the class that they are part of is never cheaper than them.
LITELLM_RAISES = {
    "input_cost_per_image_token": "i",
    "input_cost_per_video_token": "i",
    "output_cost_per_reasoning_token": "o",
    "output_cost_per_image_token": "o",
    "output_cost_per_video_token": "o",
    "citation_cost_per_token": "o",
    "cache_read_input_image_token_cost": "c",
}
LITELLM_TIERS = {"batches": "batch", "flex": "flex", "priority": "priority", "ultrafast": "fast"}
GENAI_CLASSES = {
    "input_mtok": "i",
    "output_mtok": "o",
    "cache_read_mtok": "c",
    "cache_write_mtok": "w",
    "cache_write_1h_mtok": "h",
    "input_audio_mtok": "a",
    "output_audio_mtok": "b",
    "cache_audio_read_mtok": "d",
}
GENAI_RAISES = {
    "input_image_mtok": "i",
    "input_video_mtok": "i",
    "output_image_mtok": "o",
    "output_video_mtok": "o",
    "output_reasoning_mtok": "o",
    "output_citation_mtok": "o",
    "cache_image_read_mtok": "c",
}
GENAI_FEES = {"web_searches_kcount": "web_search", "storage_searches_kcount": "file_search"}
GENAI_TIERS = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}
CAREFUL = ("openai", "anthropic", "google", "vertex", "azure", "bedrock", "mistral", "cohere")
SERVICE_TIERS = ("batch", "flex", "priority", "fast")
CORRECTION_FIELDS = {
    "input": "i", "output": "o", "cached_input": "c", "cache_write": "w", "cache_write_1h": "h",
    "audio_input": "a", "audio_output": "b", "context_window": "x", "max_output_tokens": "m",
}  # fmt: skip

Row = dict[str, Any]  # classes, "fee", "q", "x" context window, "m" max output, "t" size tiers, service tiers


def ceil(value: Decimal) -> int:
    """Up to the next whole unit, without the dust in the 17th digit of a source that computes in doubles."""
    return int(Decimal(format(value, ".15g")).to_integral_value(ROUND_CEILING))


# -- litellm ------------------------------------------------------------------------------------------


def litellm_rows(models: dict[str, Any]) -> Iterator[tuple[str, str, Row]]:
    """(provider, name, row) of every model that is billed by the token."""
    for key, facts in models.items():
        owner = facts.get("litellm_provider") or ""
        provider = "vertex" if owner.startswith("vertex_ai") else LITELLM_PROVIDERS.get(owner)
        if provider is None or facts.get("mode") not in TOKEN_MODES or "tiered_pricing" in facts:
            continue
        name = key.removeprefix(f"{owner}/")
        for prefix in (
            "vertex_ai/",
            "bedrock/",
            "bedrock_converse/",
            "azure/",
            "azure_ai/",
            "gemini/",
            "codestral/",
        ):
            name = name.removeprefix(prefix)
        if provider == "bedrock" and "/" in name:
            continue  # a region, a commitment: not a model id
        row = litellm_row(key, facts, provider)
        if row:
            yield provider, spelled(name), row


def litellm_row(key: str, facts: dict[str, Any], provider: str) -> Row | None:
    prices: dict[tuple[str, int], dict[str, int]] = {}  # (service tier, above) -> classes
    raises: list[tuple[str, int, str, int]] = []
    other = False
    for field, value in facts.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or "cost" not in field:
            continue
        parsed = re.fullmatch(
            r"(?P<base>.+?)(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority|ultrafast))?",
            field,
        )
        assert parsed is not None
        base, above = parsed["base"], int(parsed["above"] or 0) * 1000
        tier = LITELLM_TIERS[parsed["tier"]] if parsed["tier"] else ""
        pico = ceil(Decimal(repr(value)) * 10**12)
        if base in LITELLM_CLASSES and not value and LITELLM_CLASSES[base] not in "io":
            continue  # a class of its own at $0 is a missing price, not a gift
        if base in LITELLM_CLASSES:
            found = prices.setdefault((tier, above), {})
            letter = LITELLM_CLASSES[base]
            found[letter] = max(pico, found.get(letter, 0))
        elif base in LITELLM_RAISES:
            raises.append((tier, above, LITELLM_RAISES[base], pico))
        elif re.search(r"per_(second|character|image|pixel|query|page|video|audio_per|request)", base):
            other = other or value > 0
    for tier, above, letter, pico in raises:
        found = prices.get((tier, above), {})
        if letter in found:
            found[letter] = max(found[letter], pico)
    standard = prices.pop(("", 0), {})
    if not priced(standard, facts.get("mode") == "embedding"):
        return None
    if other and not standard["i"]:
        return None
    row: Row = {**standard}
    assemble(row, prices)
    if facts.get("mode") == "realtime" and "a" not in row:
        return None
    if provider in ("google", "vertex") and facts.get("supports_audio_input") and "a" not in row:
        row["a"] = row["i"]  # Google lists one price for text, image and audio unless it lists audio apart
        for _, tier_row in row.get("t", ()):
            tier_row.setdefault("a", tier_row.get("i", row["i"]))
    for letter, field in (("x", "max_input_tokens"), ("m", "max_output_tokens")):
        if isinstance(facts.get(field), int) and facts[field] > 0:
            row[letter] = facts[field]
    search = facts.get("search_context_cost_per_query")
    if isinstance(search, dict) and search:
        dearest = ceil(max(Decimal(repr(cost)) for cost in search.values()) * 10**9)
        always = provider == "perplexity" or "search-preview" in key or "search-api" in key
        row.update({"fee": dearest} if always else {"q": {"web_search": dearest}})
    if isinstance(facts.get("input_cost_per_request"), float):
        row["fee"] = max(row.get("fee", 0), ceil(Decimal(repr(facts["input_cost_per_request"])) * 10**9))
    return row


# -- genai-prices -------------------------------------------------------------------------------------


def genai_row(model: Any, today: date) -> Row | None:
    """What a model costs now: dearest over the day and over what is announced."""
    conditional = model.prices if isinstance(model.prices, list) else None
    if conditional is None:
        chosen = [model.prices]
    else:
        dated = [c for c in conditional if c.constraint is None or hasattr(c.constraint, "start_date")]
        past = [c for c in dated if c.constraint is None or c.constraint.start_date <= today]
        chosen = [c.prices for c in conditional if c not in dated or c not in past] + [past[-1].prices]
    prices: dict[tuple[str, int], dict[str, int]] = {}
    extra: Row = {}
    for price in chosen:
        genai_classes(price, "", prices, extra)
    for variant in model.price_variants or ():
        tier = GENAI_TIERS.get(tuple(*variant.when.items())) if len(variant.when) == 1 else None
        if tier is not None and (variant.constraint is None or variant.constraint.start_date <= today):
            genai_classes(variant.prices, tier, prices, {})
    standard = prices.pop(("", 0), {})
    if not priced(standard, "embed" in model.id or "voyage" in model.id):
        return None
    row: Row = {**standard, **extra}
    assemble(row, prices)
    if model.context_window:
        row["x"] = model.context_window
    return row


def genai_classes(price: Any, tier: str, prices: dict[tuple[str, int], dict[str, int]], extra: Row) -> None:
    raises = []
    for key, value in vars(price).items():
        if value is None:
            continue
        base = getattr(value, "base", value)
        steps = [(0, base)] + [(step.start, step.price) for step in getattr(value, "tiers", ())]
        if key in GENAI_CLASSES and not base and GENAI_CLASSES[key] not in "io":
            continue  # a class of its own at $0 is a missing price, not a gift
        if key in GENAI_CLASSES or key in GENAI_RAISES:
            for above, usd in steps:
                entry = (GENAI_CLASSES.get(key) or GENAI_RAISES[key], above, ceil(usd * 10**6))
                if key in GENAI_RAISES:
                    raises.append(entry)
                    continue
                found = prices.setdefault((tier, above), {})
                found[entry[0]] = max(entry[2], found.get(entry[0], 0))
        elif key in GENAI_FEES:
            extra.setdefault("q", {})[GENAI_FEES[key]] = ceil(max(usd for _, usd in steps) * 10**6)
        elif key == "requests_kcount":
            extra["fee"] = ceil(base * 10**6)
    for letter, above, pico in raises:
        found = prices.get((tier, above), {})
        if letter in found:
            found[letter] = max(found[letter], pico)


# -- both ---------------------------------------------------------------------------------------------


def priced(classes: dict[str, int], embedding: bool) -> bool:
    """True for a model that tokens pay for. Makes the output of an embedding free, and nothing else."""
    if embedding and classes.get("i"):
        classes["o"] = 0
        return True
    return bool(classes.get("i")) and bool(classes.get("o"))


def assemble(row: Row, prices: dict[tuple[str, int], dict[str, int]]) -> None:
    """Hang size tiers and service tiers under a row."""
    tiers = [
        [above, classes] for (service, above), classes in sorted(prices.items()) if not service and above
    ]
    if tiers:
        row["t"] = tiers
    for service in SERVICE_TIERS:
        base = prices.get((service, 0))
        if base and any(base.values()):
            row[service] = dict(base)
            steps = [
                [above, classes]
                for (name, above), classes in sorted(prices.items())
                if name == service and above
            ]
            if steps:
                row[service]["t"] = steps


def step(row: Row, above: int) -> dict[str, int]:
    """The classes that apply above a threshold, each from the last step that lists it."""
    classes = {letter: row[letter] for letter in CLASSES if row.get(letter) is not None}
    for start, listed in row.get("t", ()):
        if start <= above:
            classes.update({letter: listed[letter] for letter in CLASSES if listed.get(letter) is not None})
    return classes


def dearer(rows: Iterable[Row]) -> Row:
    """The upper envelope of rows for one model."""
    rows = list(rows)
    merged: Row = {}
    thresholds = sorted({start for row in rows for start, _ in row.get("t", ())})
    for row in rows:
        for letter, value in row.items():
            if value is not None and (letter in CLASSES or letter in ("x", "m", "fee")):
                merged[letter] = max(value, merged.get(letter, value))
            elif letter == "q":
                fees = merged.setdefault("q", {})
                for tool, nanos in value.items():
                    fees[tool] = max(nanos, fees.get(tool, 0))
    if thresholds:
        merged["t"] = [[above, envelope(step(row, above) for row in rows)] for above in thresholds]
    for service in SERVICE_TIERS:
        listed = [row[service] for row in rows if service in row]
        if listed:
            merged[service] = service_row(dearer(listed), merged, dear=service in ("priority", "fast"))
    return merged


def service_row(listed: Row, standard: Row, dear: bool) -> Row:
    """A service tier with a step at every threshold of the standard prices, never by omission cheaper.

    What a cheaper tier does not list costs what it costs by standard. What a dearer
    tier does not list has no price (None), unless it is billed like plain input anyway.
    """
    thresholds = sorted({start for start, _ in [*listed.get("t", ()), *standard.get("t", ())]})
    published = dict(listed.get("t", ()))
    steps: list[tuple[int, dict[str, Any]]] = []
    for above in [0, *thresholds]:
        usual = step(standard, above)
        here: dict[str, Any] = dict(steps[0][1]) if above else step({**listed, "t": []}, 0)
        if above and above not in published:
            here = envelope([{k: v for k, v in here.items() if v is not None}, usual])
        here.update(published.get(above, {}))
        for letter, pico in usual.items():
            if not dear:
                here.setdefault(letter, pico)
            elif letter in "aw" and pico == usual["i"]:
                here[letter] = max(here["i"], here.get(letter) or 0)
            elif here.get(letter) is not None:
                here[letter] = max(here[letter], pico)
            else:
                here.setdefault(letter, None)
        steps.append((above, here))
    return {**steps[0][1], **({"t": [list(entry) for entry in steps[1:]]} if thresholds else {})}


def envelope(steps: Iterable[dict[str, int]]) -> dict[str, int]:
    highest: dict[str, int] = {}
    for classes in steps:
        for letter, pico in classes.items():
            highest[letter] = max(pico, highest.get(letter, 0))
    return highest


def slim(row: Row) -> Row:
    """Without what the reader of the table can infer."""
    order = [*CLASSES, "fee", "q", "x", "m", "t", *SERVICE_TIERS]
    slimmed = {key: row[key] for key in order if key in row}

    def steps_of(parent: Row, row: Row) -> list[list[Any]]:
        base = {**{k: parent[k] for k in CLASSES if k in parent}, **row}
        found = []
        for above, classes in row["t"]:
            found.append(
                [above, {k: classes[k] for k in CLASSES if k in classes and classes[k] != base.get(k)}]
            )
        return [entry for index, entry in enumerate(found) if entry[1] or index]

    if "t" in slimmed:
        slimmed["t"] = steps_of({}, slimmed)
    for service in SERVICE_TIERS:
        if service in slimmed:
            mine = {k: v for k, v in slimmed[service].items() if k == "t" or v != row.get(k)}
            if "t" in mine:
                mine["t"] = steps_of(row, mine)
            slimmed[service] = mine
    if "fast" in slimmed and slimmed["fast"] == slimmed.get("priority"):
        slimmed["fast"] = "priority"
    return slimmed


def genai_names(match: Any) -> Iterator[str]:
    """The names that a matcher spells out in full."""
    for part in [*getattr(match, "or_", ()), *getattr(match, "and_", ())]:
        yield from genai_names(part)
    if hasattr(match, "equals"):
        yield match.equals


def join(
    litellm: dict[str, Any], corrections: dict[str, Any], today: date
) -> tuple[dict[str, dict[str, Row]], list[str]]:
    from genai_prices.data import providers

    ours: dict[str, dict[str, list[Row]]] = {}
    for provider, name, row in litellm_rows(litellm):
        ours.setdefault(provider, {}).setdefault(name, []).append(row)
    theirs: dict[str, list[Any]] = {}
    for source in providers:
        if source.id in GENAI_PROVIDERS:
            theirs[GENAI_PROVIDERS[source.id]] = list(source.models)
    theirs["vertex"] = theirs["google"]
    theirs["google"] = [model for model in theirs["google"] if "claude" not in model.id]

    unlike: list[str] = []
    table: dict[str, dict[str, Row]] = {}
    for provider in sorted({*ours, *theirs}):
        models = [(model, genai_row(model, today)) for model in theirs.get(provider, [])]
        listed = [name for model, _ in models for name in [model.id, *genai_names(model.match)]]
        listed += [*ours.get(provider, {}), *corrections["also_try"].get(provider, [])]
        names: dict[str, set[str]] = {}  # a matcher wants the name as its source spells it
        for name in [*listed, *map(undated, listed)]:
            names.setdefault(spelled(name), set()).update((name, spelled(name)))
        for name in sorted(names):
            rows = list(ours.get(provider, {}).get(name, []))
            found = next((row for model, row in models if any(map(model.is_match, names[name]))), None)
            if found is None and provider == "bedrock" and not rows:
                continue
            if found is not None and rows:
                unlike += disagreements(f"{provider}/{name}", found, dearer(rows))
            if found is not None:
                rows.append(found)
            if rows and re.fullmatch(r"[^ ]*[a-z0-9]", name):
                table.setdefault(provider, {})[name] = dearer(rows)
    for named in table.values():
        for name in [name for name in named if name.endswith("-latest")]:
            bare = undated(name)
            named[bare] = dearer([named[name], named.get(bare, named[name])])
    fill_sizes(table)
    return table, unlike


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


def family(name: str) -> str:
    """The model behind a name, whoever serves it."""
    short: str = [name, *shorter_names(name)][-1].rpartition("/")[2]
    return re.sub(r"(?<=[0-9])\.(?=[0-9])", "-", short)


def disagreements(name: str, genai: Row, litellm: Row) -> Iterator[str]:
    for letter in CLASSES:
        one, other = genai.get(letter), litellm.get(letter)
        if one is not None and other is not None and abs(one - other) * 100 > min(one, other):
            yield f"{name} {letter}: genai-prices {usd(one)}, litellm {usd(other)} -> {usd(max(one, other))}"


def correct(table: dict[str, dict[str, Row]], corrections: dict[str, Any]) -> None:
    """Apply the reviewed exceptions: `set` replaces, `fill` only completes, `drop` removes."""
    for entry in corrections["corrections"]:
        models = table.setdefault(entry["provider"], {})
        date.fromisoformat(entry["date"])
        assert entry["source"], entry
        named = {*entry["names"]}
        for name in sorted(named | {name for name in models if undated(name) in named}):
            if entry.get("drop"):
                del models[name]
                continue
            row = models.setdefault(name, {}) if "set" in entry else models[name]
            for kind in ("set", "fill"):
                for field, value in entry.get(kind, {}).items():
                    letter = CORRECTION_FIELDS[field]
                    number = value if letter in "xm" else ceil(Decimal(value) * 10**6)
                    if kind == "set" or letter not in row:
                        row[letter] = number
            if entry.get("audio_as_input"):
                row["a"] = row["i"]
                for _, classes in row.get("t", ()):
                    classes["a"] = classes["i"]
            if "fees" in entry:
                row.setdefault("q", {}).update(
                    {tool: ceil(Decimal(cost) * 10**9) for tool, cost in entry["fees"].items()}
                )
            if "call_fee" in entry:
                row["fee"] = ceil(Decimal(entry["call_fee"]) * 10**9)


def prune(models: dict[str, Row]) -> dict[str, Row]:
    """Without dated names that cost what the undated one costs: the resolver finds that by itself."""
    kept = {}
    for name, row in models.items():
        base = undated(name)
        if base == name or models.get(base) != row:
            kept[name] = row
    return kept


def usd(pico: int) -> str:
    return f"${Decimal(pico).scaleb(-6).normalize():f}"


def dumped(head: dict[str, str], table: dict[str, dict[str, Row]]) -> str:
    """One price to a line, under the names that share it, so that a diff can be read."""
    lines = ["{", f'"head":{json.dumps(head)},', '"models":{']
    for provider in sorted(table):
        shared: dict[str, list[str]] = {}
        for name, row in sorted(prune(table[provider]).items()):
            shared.setdefault(json.dumps(slim(row), separators=(",", ":")), []).append(name)
        rows = sorted((names, row) for row, names in shared.items())
        body = ",\n".join(f"[{json.dumps(names, separators=(',', ':'))},{row}]" for names, row in rows)
        lines += [f'"{provider}":[', body, "]" + ("," if provider != max(table) else "")]
    return "\n".join([*lines, "}}", ""])


def difference(old: str, new: str) -> Iterator[str]:
    def flat(text: str) -> dict[str, str]:
        models = json.loads(text)["models"]
        return {
            f"{provider}/{name}": json.dumps(row)
            for provider, rows in models.items()
            for names, row in rows
            for name in names
        }

    before, after = flat(old), flat(new)
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name}\n  - {before.get(name, 'absent')}\n  + {after.get(name, 'absent')}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the price table that ships with bursar.")
    parser.add_argument("--litellm", type=Path, required=True, help="the model prices JSON of litellm")
    parser.add_argument("--litellm-version", default="unknown")
    parser.add_argument("--date", type=date.fromisoformat, default=datetime.now(timezone.utc).date())
    parser.add_argument("--check", action="store_true", help="print the difference, write nothing")
    asked = parser.parse_args()
    corrections = json.loads(CORRECTIONS.read_text("utf-8"))
    table, unlike = join(json.loads(asked.litellm.read_text("utf-8")), corrections, asked.date)
    correct(table, corrections)
    head = {
        "date": asked.date.isoformat(),
        "genai-prices": version("genai-prices"),
        "litellm": asked.litellm_version,
        "unit": "pico-dollars per token; fee and q: nano-dollars each",
    }
    text = dumped(head, table)
    print(f"{len(unlike)} disagreements of more than 1 %, resolved upwards:", *unlike, sep="\n  ")
    old = TABLE.read_text("utf-8") if TABLE.exists() else '{"models":{}}'
    changed = list(difference(old, text))
    print(f"{len(changed)} names differ from the present table:", *changed, sep="\n  ")
    sizes = ", ".join(f"{provider} {len(rows)}" for provider, rows in table.items())
    print(f"{len(text):,} bytes; models: {sizes}")
    if not asked.check:
        TABLE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
