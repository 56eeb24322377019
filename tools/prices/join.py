"""Both sources in one table: where they disagree, the dearer price."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from .age import Age, age_of, outdated
from .from_genai import genai_names
from .names import family, spelled, undated
from .release import Models, Release
from .rows import CLASSES, Row, dearer, like_cached, only_classes, only_prices, uncached, usd

CAREFUL = ("openai", "anthropic", "google", "vertex", "azure", "bedrock", "mistral", "cohere")
BOTH = "the dearer of both sources"
# Such a name costs not what either source says of it: it moves to another model, or is one of a region, which
# genai-prices takes for the plain model.
_MOVES = re.compile(r"-latest$|^(?:us|eu|apac|global|jp|au|us-gov)\.")


def join(
    releases: Sequence[Release], corrections: dict[str, Any]
) -> tuple[dict[str, dict[str, Row]], list[str]]:
    """The newest release of both, and what they disagree on.

    Args:
        releases: newest first; the earlier ones only say how old a price is.
        corrections: of price_corrections.json.
    """
    now = releases[0]
    unlike: list[str] = []
    table: dict[str, dict[str, Row]] = {}
    for provider in sorted({*now.litellm, *now.genai}):
        ours, theirs = now.litellm.get(provider, {}), now.genai.get(provider, [])
        listed = [name for model, _ in theirs for name in [model.id, *genai_names(model.match)]]
        listed += [*ours, *corrections["also_try"].get(provider, [])]
        names: dict[str, set[str]] = {}  # a matcher wants the name as its source spells it
        for name in [*listed, *map(undated, listed)]:
            names.setdefault(spelled(name), set()).update((name, spelled(name)))
        for name in filter(re.compile(r"[^ ]*[a-z0-9]").fullmatch, sorted(names)):
            rows = list(ours.get(name, []))
            listed_here, found = first(theirs, names[name])
            if rows and not listed_here:
                _, vendor = first(now.vendors.get(provider, []), names[name])
                found = vendor and only_classes(vendor, dearer(rows))
            if found is None and provider == "bedrock" and not rows:
                continue
            if found is not None and rows:
                said = list(disagreements(f"{provider}/{name}", found, dearer(rows)))
                differing = list(disagreements(f"{provider}/{name}", like_cached(found, rows), dearer(rows)))
                unlike += differing
                if differing:
                    own = said and listed_here and not (provider == "vertex" or _MOVES.search(name))
                    ages = _ages(releases, provider, name, names[name]) if own else None
                    table.setdefault(provider, {})[name] = (
                        newer(rows, found, *ages) if ages else both(rows, found)
                    )
                    continue
                found = like_cached(found, rows)
            if found is not None:
                rows.append(found)
            if rows:
                table.setdefault(provider, {})[name] = dearer(rows)
    for named in table.values():
        for name in [name for name in named if name.endswith("-latest")]:
            bare = undated(name)
            latest, plain = named[name], named.get(bare, named[name])
            named[bare] = dearer([like_cached(latest, [plain]), like_cached(plain, [latest])])
            if "from" in latest or "from" in plain:
                named[bare]["from"] = BOTH
    fill_sizes(table)
    return table, unlike


def both(litellm: list[Row], genai: Row, said: str = BOTH) -> Row:
    """The dearer of both in each class; a model without a price for cached input in genai-prices has none."""
    return {**dearer([*litellm, like_cached(genai, litellm)]), "from": said}


def newer(litellm: list[Row], genai: Row, litellm_age: Age, genai_age: Age) -> Row:
    """The row of the source that is not outdated; of two that are not, the dearer of each class.

    Fees and sizes are the larger ones in any case, and so is what the other source alone has a price for.
    """
    if outdated(genai_age, litellm_age):
        winners, loser = litellm, genai
        if "c" not in genai:
            winners = [uncached(row) if "c" in row else row for row in litellm]
        said = f"litellm of {litellm_age.by}, more than 60 days newer than genai-prices of {genai_age.by}"
    elif outdated(litellm_age, genai_age):
        winners, loser = [like_cached(genai, litellm)], dearer(litellm)
        said = f"genai-prices of {genai_age.by}, more than 60 days newer than litellm of {litellm_age.by}"
    else:
        dates = f"genai-prices of {genai_age.by} and litellm of {litellm_age.by}"
        return both(litellm, genai, f"the dearer of {dates}")
    beside = only_classes(loser, loser, without=dearer(winners))
    larger = {key: value for key, value in both(litellm, genai).items() if key in ("fee", "q", "x", "m")}
    return {**dearer([*winners, beside]), **larger, "from": said}


def _ages(releases: Sequence[Release], provider: str, name: str, spellings: set[str]) -> tuple[Age, Age]:
    """How old what both say is: litellm's, then that of genai-prices."""
    ours, theirs = [], []
    for release in releases:
        rows = release.litellm.get(provider, {}).get(name)
        ours.append((release.day, only_prices(dearer(rows)) if rows else None))
        _, found = first(release.genai.get(provider, []), spellings)
        theirs.append((release.day, only_prices(found) if found else None))
    return age_of(ours), age_of(theirs)


def first(models: Models, names: set[str]) -> tuple[bool, Row | None]:
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
            yield f"{name} {letter}: genai-prices {usd(one)}, litellm {usd(other)}"
