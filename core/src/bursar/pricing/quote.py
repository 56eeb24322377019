"""Prices the worst case of a call before it is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from ..errors import InvalidAmount, UnpriceableCall
from ..runtime.fast_init import new_tuple
from ..values.amounts import Amounts
from ..values.call import Call, Subject, new_call
from ..values.money import MAX_NANOS, show_usd, to_nanos
from ..values.policy import Policy
from .book import PriceBook
from .input_bound import Estimate, input_bound
from .price import Rates, Worst
from .request import CallRequest
from .research import model_has_no_bound

_Key: TypeAlias = "tuple[str, str | None, str | None, str | None, str | None]"
_MOST_KEPT = 4_096


@dataclass(slots=True)  # not frozen: that would triple the time it takes to make one
class Quote:
    """What a call asks of its accounts.

    Attributes:
        call: as it would be sent at its worst.
        subject: what the selectors of limits look at.
        rates: what it is priced by; None where the cost is given.
        worst: the most that it can cost at these rates, likewise.
        want: its worst case, or a plugin's estimate.
        minimum: its worst case at the smallest useful output cap.
        floor: its worst case at the output cap that is worth waiting for.
        fees: the part of all that runs of the provider's own tools may cost, in nano-dollars.
        smallest: that cap, in tokens of one choice; the cap itself where it is not to be lowered.
        given: False where nobody set an output cap, so that it is the model's own.
        enforced: True where the provider itself lets no answer grow above the cap.
        cap_name: what the request calls its output cap; empty where it takes none.
        hour_cache: True where its input may be written to a cache for an hour.
        sent: True where a tier that the budget declares does not make it cheaper.
        runs: how often tools of the provider's may run, where the request is to be given that bound.
        others: the quotes of fewer and fewer runs, itself the first; `minimum` is that of the last.
    """

    call: Call
    subject: Subject
    rates: Rates | None
    worst: Worst | None
    want: Amounts
    minimum: Amounts
    floor: Amounts
    fees: int = 0
    smallest: int = 0
    given: bool = True
    enforced: bool = False
    cap_name: str = "max_tokens"
    hour_cache: bool = False
    sent: bool = False
    runs: int | None = None
    others: tuple[Quote, ...] = ()

    def granted(self, granted: Amounts) -> Quote:
        """The alternative that what was granted pays for: the first whose worst case fits."""
        fitting = (
            other
            for other in self.others
            if all(least <= held for least, held in zip(other.minimum, granted, strict=True))
        )
        return next(fitting, self.others[-1]) if self.others else self

    def cap(self, granted: Amounts) -> int:
        """The largest output cap whose worst case fits what was granted."""
        call = self.call
        if self.worst is None or granted == self.want:
            return call.max_output_tokens
        by_usd = self.worst.output_cap(call.input_tokens, call.n, granted.usd - self.fees)
        by_tokens = (granted.tokens - call.input_tokens) // call.n
        return min(by_usd, by_tokens, call.max_output_tokens)

    def at(self, estimate: Estimate) -> Quote:
        """The same call, held at an estimate instead of its worst case.

        It can be clamped where its worst case at the smallest cap is within the estimate.

        Raises:
            InvalidAmount: an estimate of nothing for a call that costs something.
        """
        want = Amounts(to_nanos(estimate.usd), estimate.tokens, self.want.calls)
        if (self.want.usd and not want.usd) or (self.want.tokens and not want.tokens):
            raise InvalidAmount("an estimate of nothing for a call that costs something")
        within = all(least <= held for least, held in zip(self.minimum, want, strict=True))
        if within:
            floor = want if self.floor == self.want else Amounts(*map(min, self.floor, want))
            return replace(self, want=want, floor=floor)
        return replace(self, want=want, minimum=want, floor=want, smallest=self.call.max_output_tokens)


def quote(request: CallRequest, id: str, prices: PriceBook, policy: Policy) -> Quote:
    """Price what was asked for.

    Raises:
        UnknownModel: the model has no price.
        UnpriceableCall: its worst case has no bound.
    """
    name, provider, input_tokens, _, tools, cap, cost = request[:7]
    clamp, formatted, cap_name, as_it_is, alternatives, n, tool, tier = request[7:15]
    _, floor_cap, _, _, requests = request[15:]
    if alternatives:
        return _alternatives(request, id, prices, policy)
    if name is None:
        return _tool_quote(request, id, policy)
    tier = policy.tier or tier
    if cost is not None:
        return _priced_by_the_caller(request, id, prices, tier)
    key = name, provider, tool, tier, request.tier if as_it_is else tier
    kept = prices.kept()
    rated = kept.get(key) or _rated(key, prices, kept)
    subject, model, tier, rates, worst, _, enforced_from = rated
    sent, hour_cache, given = input_tokens, False, cap is not None
    if sent is None:
        sent, worst, hour_cache = _input(request, model, subject.models, rates)
    elif tools is not None:  # the number bounds the input, but not a tool that runs elsewhere
        input_bound(subject.models, (), tools)
    if cap is None:
        cap = _own_cap(model, rated)
    fees = _fees(request, model, rates) if requests else 0
    most = worst.nanos(sent, n * cap) + fees
    if most > MAX_NANOS:
        raise UnpriceableCall(
            f"the worst case of this call to {model!r} is above {show_usd(MAX_NANOS)}; pass a smaller n= or"
            " max_output_tokens=",
            endpoint=model,
        )
    want = minimum = floor = new_tuple(Amounts, (most, sent + n * cap, 1))
    smallest = cap
    if clamp and policy.smallest_cap and (policy.clamps_formats or not formatted):
        smallest = min(cap, max(policy.smallest_cap, clamp))
    if smallest < cap:
        minimum = new_tuple(Amounts, (worst.nanos(sent, n * smallest) + fees, sent + n * smallest, 1))
        useful = max(smallest, floor_cap or policy.floor_cap)
        if useful < cap:
            floor = new_tuple(Amounts, (worst.nanos(sent, n * useful) + fees, sent + n * useful, 1))
    call = new_call(id, "model", model, provider, tool, sent, cap, n, tier)
    enforced = enforced_from is not None and cap >= enforced_from
    return Quote(
        call,
        subject,
        rates,
        worst,
        want,
        minimum,
        floor,
        fees,
        smallest,
        given,
        enforced,
        cap_name,
        hour_cache,
        as_it_is,
    )


class Rated(NamedTuple):
    """What calls of one model, provider, tool and tier have in common.

    Attributes:
        subject: what the selectors of limits look at.
        model: the one behind the alias.
        tier: the one that they are priced at.
        rates: what they are priced by.
        worst: the most that a call with a number of tokens can cost.
        most: the most output of the model; None where nothing is known.
        enforced_from: the output cap above which the provider lets no answer grow; None where nobody knows.
    """

    subject: Subject
    model: str
    tier: str | None
    rates: Rates
    worst: Worst
    most: int | None
    enforced_from: int | None


def _rated(key: _Key, prices: PriceBook, kept: dict[Any, Any]) -> Rated:
    """Work out a `Rated`, and keep it unless a plugin set the price: it may set another for the next call."""
    name, provider, tool, tier, sent_tier = key
    subject = prices.subject(name, provider, tool)
    model = subject.models[0]
    if model_has_no_bound(model) and not prices.given(model, provider):
        raise UnpriceableCall(
            f"nothing bounds beforehand how much {model!r} searches and reasons in one call; reserve with an"
            " explicit cost= that covers it, or give the model a price of your own by prices=",
            endpoint=model,
        )
    priced = [(one, prices.rates(model, provider, one)) for one in dict.fromkeys((tier, sent_tier))]
    tier, rates = max(priced, key=_dearness)
    most = rates.max_output_tokens or (rates.context_window if rates.output else None)
    # A maximum that the user told is known to nobody else; a context window nobody can pass.
    told = rates.max_output_tokens is not None and not rates.published
    worst = rates.worst_case(audio=rates.audio_input is not None)
    rated = Rated(subject, model, tier, rates, worst, most, None if told else most)
    if prices.is_listed(model, provider, tier, rates):
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[key] = rated
    return rated


def _alternatives(request: CallRequest, id: str, prices: PriceBook, policy: Policy) -> Quote:
    """Asks for the first, waits for its worst case, and takes the last where no more is to be had."""
    others = []
    for one in request.alternatives:
        terms = {name: value for name, value in one.items() if name != "runs"}
        bounded = CallRequest(**{**request._asdict(), **terms, "alternatives": ()})
        others.append(replace(quote(bounded, id, prices, policy), runs=one["runs"]))
    first, last = others[0], others[-1]
    return replace(first, minimum=last.minimum, others=tuple(others))


def _dearness(priced: tuple[str | None, Rates]) -> tuple[int, int]:
    """Orders the tiers of one model."""
    return priced[1].output or 0, priced[1].input or 0


def _priced_by_the_caller(request: CallRequest, id: str, prices: PriceBook, tier: str | None) -> Quote:
    subject = prices.subject(request.model or "", request.provider, request.tool)
    sent, cap = request.input_tokens or 0, request.max_output_tokens or 0
    amounts = Amounts(request.cost_nanos or 0, sent + request.n * cap, 1)
    model = subject.models[0]
    call = Call(id, "model", model, request.provider, request.tool, sent, cap, request.n, tier)
    return Quote(call, subject, None, None, amounts, amounts, amounts, smallest=cap)


def _tool_quote(request: CallRequest, id: str, policy: Policy) -> Quote:
    nanos = request.cost_nanos
    amounts = Amounts(policy.tool_prices.get(request.tool or "", 0) if nanos is None else nanos, 0, 1)
    call = Call(id, "tool", provider=request.provider, tool=request.tool)
    subject = Subject("tool", (), request.provider, request.tool)
    return Quote(call, subject, None, None, amounts, amounts, amounts)


def _input(request: CallRequest, model: str, names: tuple[str, ...], rates: Rates) -> tuple[int, Worst, bool]:
    """The most tokens of messages, what they can be billed as, and whether they may be cached for an hour."""
    bound = input_bound(names, request.messages, request.tools)
    unseen = rates.audio_output is not None or (request.messages is None and rates.audio_input is not None)
    sent = bound.tokens + request.stored_tokens
    if not bound.complete:
        if rates.context_window is None:
            raise UnpriceableCall(
                f"the input of this call to {model!r} has no known bound, nor has the model's context window;"
                " pass input_tokens=, or register the model with context_window=",
                endpoint=model,
            )
        sent = max(sent, rates.context_window * request.windows)
    cache_writes = bound.cache_writes or request.stored_tokens > 0  # nobody sees here how it is cached
    worst = rates.worst_case(cache_writes=cache_writes, audio=bound.audio or unseen)
    return sent, worst, bound.hour_cache


def _own_cap(model: str, rated: Rated) -> int:
    """The most output tokens of one choice where the caller asks for no cap: what the model can write."""
    if rated.most is not None:
        return rated.most
    if not rated.rates.output:
        return 0  # an embedding, or free without a known bound
    raise UnpriceableCall(
        f"the output of {model!r} has no known bound; pass max_output_tokens=, or register the model"
        " with max_output_tokens=",
        endpoint=model,
    )


def _fees(request: CallRequest, model: str, rates: Rates) -> int:
    """What the provider's own tools may cost by the run, in nano-dollars."""
    try:
        return sum(runs * rates.requests[tool] for tool, runs in request.requests.items())
    except KeyError as tool:
        raise UnpriceableCall(
            f"a run of the provider's tool {tool} has no price with {model!r}; reserve with an explicit cost="
            " that covers it",
            endpoint=str(tool.args[0]),
        ) from None
