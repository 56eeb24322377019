"""`PriceBook`: finds the price of a model by its name, provider and tier.

The first source that knows the name wins: the `prices=` of a budget, then what was
registered in the process, then the file that ``BURSAR_PRICES`` names, then the bundled
table. Within a source the names are tried in this order: as given; without ``models/``,
``azure/``, ``openrouter/`` and other known providers in front; without a date, ``-latest``
or a Vertex ``@version``. A fine-tuned ``ft:base:...`` has the price of a fine-tuned
``base`` or none, never that of ``base``. Nothing is matched by its beginning.

Who bills decides:

- Without a provider, by argument or in front of the name, it is the vendor of the model.
- A provider that has no price for the model leaves it unknown: a host may ask more than
  the vendor, so the vendor's price is no bound. The exceptions bill the vendor's price:
  Azure for OpenAI's models, Vertex AI for Gemini, OpenRouter for ``vendor/model``.
- A provider's name in front of the model never overrules the `provider` argument.
- Of Bedrock, on-demand prices in the US are known. The cross-region profiles ``us.`` and
  ``global.`` cost what is published for them, else 10 % more than the plain model.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from ..errors import UnknownModel
from ..values.call import Subject
from ..values.names import check_name
from .bundled import KnownModel, bundled, has_model, known_models, prices_date
from .model_names import PROVIDERS, shorter_names, spelled, split_provider, undated
from .overrides import PriceLike, as_price, as_rates, read_prices, register_model, register_models, registered
from .price import FREE, Price, Rates, rates_of

__all__ = [
    "KnownModel",
    "PriceBook",
    "check_tier",
    "known_models",
    "prices_date",
    "register_model",
    "register_models",
]

Prices: TypeAlias = "Mapping[str, PriceLike] | str | os.PathLike[str]"
UnknownModelPolicy: TypeAlias = "str | PriceLike"
# What was found so far, and the registered and own prices that it was found in.
_Found: TypeAlias = "dict[tuple[str | None, ...], Rates]"
_Hits: TypeAlias = "tuple[Mapping[str, Rates], Mapping[str, Rates], _Found]"

_TIERS = frozenset({"batch", "flex", "priority", "fast"})
_STANDARD = frozenset({None, "default", "standard", "standard_only", "auto", "scale", "on_demand"})
# Whose price a name without a provider has: the vendors, and Bedrock for its unmistakable ids.
_VENDORS = ("openai", "anthropic", "google", "mistral", "cohere", "deepseek", "xai", "perplexity", "moonshot",
            "zai", "minimax", "ai21", "voyage", "bedrock")  # fmt: skip
_VENDOR_PRICED = {"azure": "openai", "vertex": "google"}
_CACHE_SIZE = 4_096


def check_tier(tier: str | None) -> str | None:
    """The service tier that has prices of its own: ``"batch"``, ``"flex"``, ``"priority"``, ``"fast"``.

    Returns:
        None for the standard one (None, ``"default"``, ``"standard"``, ``"auto"`` ...).

    Raises:
        ValueError: no known tier.
    """
    word: object = tier  # it comes from the caller, or from an answer
    if word is None or (isinstance(word, str) and word in _STANDARD):
        return None
    if isinstance(word, str) and word in _TIERS:
        return word
    raise ValueError(f"tier={tier!r:.60} is not one of 'batch', 'flex', 'priority', 'fast', 'standard'")


class PriceBook:
    """The prices that one budget goes by.

    Args:
        prices: of this budget only, before all others: ``{model: Price | (input, output)}`` in USD
            per million tokens, or the path of a JSON file. They hold for every provider and tier.
        aliases: ``{name: known name}``, for deployments and gateways.
        unknown_model: ``"refuse"``, ``"free"``, or a price for every model that has none.
        ask: what a model without a price costs, by name, provider and tier; asked before `unknown_model`.

    Raises:
        InvalidAmount: not a price.
        ValueError: a setting, or the file in ``BURSAR_PRICES``, is not what it has to be.
    """

    def __init__(
        self,
        prices: Prices | None = None,
        aliases: Mapping[str, str] | None = None,
        unknown_model: UnknownModelPolicy = "refuse",
        ask: Callable[[str, str | None, str | None], Rates | None] = lambda *_: None,
    ) -> None:
        if isinstance(prices, (str, os.PathLike)):
            self._prices = read_prices("prices=", prices)
        else:
            self._prices = as_rates("prices=", {} if prices is None else prices)
        path = os.environ.get("BURSAR_PRICES")
        self._file = read_prices("BURSAR_PRICES", path) if path else {}
        self._aliases = _checked_aliases({} if aliases is None else aliases)
        self._unknown = _policy(unknown_model)
        self._ask = ask
        self._lock = threading.Lock()
        self._hits: _Hits = (registered(), self._prices, {})
        self._subjects: dict[tuple[str, str | None, str | None], Subject] = {}

    def rates(self, model: str, provider: str | None = None, tier: str | None = None) -> Rates:
        """What a model costs.

        Args:
            model: as it is asked for.
            provider: who bills, where known.
            tier: the service tier. ``"batch"`` and ``"flex"`` cost the standard price where they have
                no price of their own, ``"priority"`` and ``"fast"`` are unknown then.

        Raises:
            UnknownModel: it has no price; `near` has the closest names that have one.
            ValueError: not a name, or not a tier.
        """
        found = self._find(model, provider, tier) or self._asked(model, provider, tier)
        if found is None:
            found = self._unknown
        if found is None:
            raise self._unknown_model(model, provider, tier)
        return found

    def find(self, model: str, provider: str | None = None, tier: str | None = None) -> Rates | None:
        """What a model costs, or None: for names and tiers that come from an answer, not from the caller.

        `unknown_model` has no say here.
        """
        try:
            return self._find(model, provider, tier) or self._asked(model, provider, tier)
        except (ValueError, UnknownModel):
            return None

    def given(self, model: str | None, provider: str | None = None) -> bool:
        """True when the user gave the model a price, here, in the process or by file."""
        sources = self._prices, registered(), self._file
        if model is None or not any(sources):
            return False
        host, names = _names(self.canonical(model), provider)
        return any(f"{host}/{name}" in source or name in source for source in sources for name in names)

    def chosen(self, model: str, provider: str | None, rates: Rates | None) -> bool:
        """True when the user decided what the model costs: by a price, `unknown_model=` or a plugin.

        Args:
            rates: what the model was priced at.
        """
        return rates is not None and (
            rates is self._unknown or self.given(model, provider) or self._find(model, provider, None) is None
        )

    def of_answer(
        self,
        asked: Rates | None,
        requested: str | None,
        provider: str | None,
        model: str | None,
        tier: str | None,
    ) -> Rates | None:
        """What an answer costs: by who gave it, unless the user decided what the requested model costs.

        What only the tables of prices say is kept, until one of them changes.

        Args:
            asked: what the call was priced at before it was sent; holds where nothing else is known.
            requested: the model that was asked.
            provider: who bills, where known.
            model: the one that answered; None where it does not say.
            tier: the service tier that it was served at.
        """
        key, hits = (requested, provider, model, tier), self._hits_of_now()
        by_table = asked is not None and asked is not self._unknown
        found = _hit(hits, key) if by_table else None
        if found is not None:
            return found
        named = model is not None and self.given(model, provider)
        if requested is not None and not named and self.chosen(requested, provider, asked):
            model = None
        first = requested if model is None else model
        if first is not None:
            found = self.find(first, provider, tier)
        if found is None and requested is not None:
            found = self.find(requested, provider, tier)
        elif found is not None and by_table and found is _hit(hits, (first, provider, tier)):
            hits[key] = found
        return asked if found is None else found

    def _asked(self, model: str, provider: str | None, tier: str | None) -> Rates | None:
        return self._ask(self.canonical(model), provider, check_tier(tier))

    def canonical(self, model: str) -> str:
        """The name behind an alias; the name itself if it is none.

        Raises:
            ValueError: not a name.
        """
        check_name("model", model)
        if not self._aliases:
            return model
        target = self._aliases.get(model.lower())
        if target is not None:
            return target
        provider, rest = split_provider(model)
        target = self._aliases.get(rest.lower()) if provider else None
        if target is None:
            return model
        return target if split_provider(target)[0] else f"{provider}/{target}"

    def names(self, model: str) -> tuple[str, ...]:
        """What a limit on a model may call it: as asked for, then without provider, version and date."""
        known = self.canonical(model)
        return tuple(dict.fromkeys([model, known, *shorter_names(known)]))

    def subject(self, model: str, provider: str | None = None, tool: str | None = None) -> Subject:
        """What the selectors of limits see in a call; its first model is the one behind the alias.

        Kept, because each reserve asks for it; aliases never change.

        Raises:
            ValueError: not a name.
        """
        key = (model, provider, tool)
        found = self._subjects.get(key)
        if found is None:
            found = Subject("model", self.names(self.canonical(model)), provider, tool)
            if len(self._subjects) >= _CACHE_SIZE:
                self._subjects = {}
            self._subjects[key] = found
        return found

    def register(self, name: str, price: PriceLike) -> None:
        """Give a model a price in this book only.

        Raises:
            InvalidAmount: not a price.
            ValueError: not a name, or not a pair of prices.
        """
        rates = as_rates("register()", {name: price})
        with self._lock:
            self._prices = {**self._prices, **rates}

    def _find(self, model: str, provider: str | None, tier: str | None) -> Rates | None:
        key, hits = (model, provider, tier), self._hits_of_now()
        found = _hit(hits, key)
        if found is not None:
            return found
        served = check_tier(tier)
        if provider is not None:
            check_name("provider", provider)
        found = self._look_up(self.canonical(model), provider, served)
        if found is not None:
            hits[key] = found
        return found

    def _hits_of_now(self) -> _Found:
        """What was found in the prices of now; empty once one of them has changed.

        Without a lock: what another thread registers meanwhile makes these hits stale as a whole.
        """
        of_process, of_book, hits = self._hits
        current, prices = registered(), self._prices
        if of_process is not current or of_book is not prices or len(hits) >= _CACHE_SIZE:
            hits = {}
            self._hits = (current, prices, hits)
        return hits

    def _look_up(self, model: str, provider: str | None, tier: str | None) -> Rates | None:
        provider = PROVIDERS.get(provider.lower(), provider.lower()) if provider else None
        host, names = _names(model, provider)
        for source in (self._prices, registered(), self._file):
            for name in names:
                found = source.get(f"{host}/{name}") or source.get(name)
                if found is not None:
                    return found
        return next((rates for name in names for rates in _bundled(host, name, tier)), None)

    def _unknown_model(self, model: str, provider: str | None, tier: str | None) -> UnknownModel:
        host = PROVIDERS.get(provider.lower(), provider.lower()) if provider else None
        host, names = _names(self.canonical(model), host)
        served = check_tier(tier)
        if served is not None and self._look_up(self.canonical(model), provider, None) is not None:
            return UnknownModel(f"{model!r} has no published price for the tier {served!r}", model=model)
        near = self._near(host, names)
        at = f" at {provider!r}" if provider else ""
        hint = f"; close to it: {', '.join(near)}" if near else ""
        return UnknownModel(
            f"no price is known for the model {model!r}{at}{hint}. Give it one with register_model(), prices="
            " or aliases=, or choose unknown_model=",
            model=model,
            near=near,
        )

    def _near(self, host: str | None, names: list[str]) -> tuple[str, ...]:
        from difflib import get_close_matches  # only a refusal needs it, an import of bursar does not

        elsewhere, mine = [], {*self._prices, *registered(), *self._file}
        for provider, name in known_models():
            shown = name if provider in _VENDORS else f"{provider}/{name}"
            if name in names:
                elsewhere.append(f"{provider}/{name}")
            elif host is None or provider == host:
                mine.add(shown)
        return tuple([*elsewhere, *get_close_matches(names[-1], sorted(mine), n=5, cutoff=0.6)][:5])


def _hit(hits: _Found, key: tuple[str | None, ...]) -> Rates | None:
    try:
        return hits.get(key)
    except TypeError:  # not a name, as the checks of names will say
        return None


def _names(model: str, provider: str | None) -> tuple[str | None, list[str]]:
    """Who bills, and the names to try, in order."""
    name = spelled(model)
    names = [name]
    head, rest = split_provider(name)
    if head is not None and provider in (None, head):
        provider, name = head, spelled(rest)
        names.append(name)
    if name.startswith("ft:"):
        name = ":".join(name.split(":")[:2])
        names.append(name)
    names.append(undated(name))
    return provider, list(dict.fromkeys(names))


def _bundled(host: str | None, name: str, tier: str | None) -> Iterator[Rates]:
    """The bundled rates of a name: at the host, else where the host takes its prices from."""
    for provider in _VENDORS if host is None else (host,):
        if has_model(provider, name):
            rates = bundled(provider, name, tier)
            if rates is not None:
                yield rates
            return
    if host in (None, "bedrock") and name.startswith(("us.", "global.")):
        plain = name.partition(".")[2]
        same = bundled("bedrock", f"regional.{plain}", tier)
        cheaper = bundled("bedrock", plain, tier)
        if same is not None:
            yield same
        elif cheaper is not None:
            yield _a_tenth_more(cheaper)
    if host == "openrouter":
        vendor, rest = split_provider(name)
        if vendor is not None:
            yield from _bundled(vendor, rest, tier)
    elif host in _VENDOR_PRICED:
        yield from _bundled(_VENDOR_PRICED[host], name, tier)


def _a_tenth_more(rates: Rates) -> Rates:
    classes = {
        field: -(-price * 11 // 10)
        for field in ("input", "output", "cached_input", "cache_write", "cache_write_1h", "audio_input",
                      "audio_output", "cached_audio_input")
        if (price := getattr(rates, field)) is not None
    }  # fmt: skip
    tiers = tuple((above, _a_tenth_more(higher)) for above, higher in rates.tiers)
    return replace(rates, tiers=tiers, **classes)


def _checked_aliases(aliases: object) -> dict[str, str]:
    """Aliases by lower-case name, each leading to the end of its chain."""
    if not isinstance(aliases, Mapping):
        raise ValueError(f"aliases= takes a mapping of names to known names, not a {type(aliases).__name__}")
    steps = {
        check_name("alias", name).lower(): check_name("model", target) for name, target in aliases.items()
    }
    ends = {}
    for name, first in steps.items():
        passed, target = {name}, first
        while target.lower() in steps:
            if target.lower() in passed:
                raise ValueError(f"aliases= leads {name!r} in a circle")
            passed.add(target.lower())
            target = steps[target.lower()]
        ends[name] = target
    return ends


def _policy(unknown_model: object) -> Rates | None:
    if isinstance(unknown_model, str):
        if unknown_model == "refuse":
            return None
        if unknown_model == "free":
            return FREE
        raise ValueError(
            f"unknown_model={unknown_model!r:.60} is not 'refuse', 'free', a pair (input, output) or a Price"
        )
    price: Price = as_price("unknown_model=", unknown_model)
    return rates_of(price)
