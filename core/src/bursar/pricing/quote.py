"""Prices the worst case of a call before it is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

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


class Quote(NamedTuple):
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
            return self._replace(want=want, floor=floor)
        return self._replace(want=want, minimum=want, floor=want, smallest=self.call.max_output_tokens)


def quote(request: CallRequest, id: str, prices: PriceBook, policy: Policy) -> Quote:
    """Price what was asked for.

    Raises:
        UnknownModel: the model has no price.
        UnpriceableCall: its worst case has no bound.
    """
    if request.alternatives:
        return _alternatives(request, id, prices, policy)
    nanos = request.cost_nanos
    if request.model is None:
        return _tool_quote(
            request, id, policy.tool_prices.get(request.tool or "", 0) if nanos is None else nanos
        )
    subject = prices.subject(request.model, request.provider, request.tool)
    model = subject.models[0]
    tier = policy.tier or request.tier
    if nanos is not None:
        sent, cap = request.input_tokens or 0, request.max_output_tokens or 0
        amounts = Amounts(nanos, sent + request.n * cap, 1)
        call = Call(id, "model", model, request.provider, request.tool, sent, cap, request.n, tier)
        return Quote(call, subject, None, None, amounts, amounts, amounts, smallest=cap)

    if model_has_no_bound(model) and not prices.given(model, request.provider):
        raise UnpriceableCall(
            f"nothing bounds beforehand how much {model!r} searches and reasons in one call; reserve with an"
            " explicit cost= that covers it, or give the model a price of your own by prices=",
            endpoint=model,
        )
    rates = prices.rates(model, request.provider, tier)
    if request.sent and tier != request.tier:
        tier, rates = max(
            ((tier, rates), (request.tier, prices.rates(model, request.provider, request.tier))),
            key=_dearness,
        )
    sent, worst, hour_cache = _input(request, model, subject.models, rates)
    own = rates.max_output_tokens or (rates.context_window if rates.output else None)
    given = request.max_output_tokens is not None
    cap = _output(request, model, own, free=not rates.output)
    fees = _fees(request, model, rates) if request.requests else 0
    n, nanos_of = request.n, worst.nanos
    want = minimum = floor = _most(nanos_of(sent, n * cap) + fees, sent + n * cap)
    if want.usd > MAX_NANOS:
        raise UnpriceableCall(
            f"the worst case of this call to {model!r} is above {show_usd(MAX_NANOS)}; pass a smaller n= or"
            " max_output_tokens=",
            endpoint=model,
        )
    smallest = cap
    if request.clamp and policy.smallest_cap and (policy.clamps_formats or not request.formatted):
        smallest = min(cap, max(policy.smallest_cap, request.clamp))
    if smallest < cap:
        minimum = _most(nanos_of(sent, n * smallest) + fees, sent + n * smallest)
        useful = max(smallest, request.floor or policy.floor_cap)
        if useful < cap:
            floor = _most(nanos_of(sent, n * useful) + fees, sent + n * useful)
    call = new_call(id, "model", model, request.provider, request.tool, sent, cap, n, tier)
    # A maximum that the user told is known to nobody else; a context window nobody can pass.
    told = rates.max_output_tokens is not None and not rates.published
    enforced = own is not None and not told and cap >= own
    facts = (
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
        request.cap_name,
        hour_cache,
        request.sent,
        None,
        (),
    )
    return new_tuple(Quote, facts)


def _alternatives(request: CallRequest, id: str, prices: PriceBook, policy: Policy) -> Quote:
    """Asks for the first, waits for its worst case, and takes the last where no more is to be had."""
    others = []
    for one in request.alternatives:
        terms = {name: value for name, value in one.items() if name != "runs"}
        bounded = replace(request, alternatives=(), **terms)
        others.append(quote(bounded, id, prices, policy)._replace(runs=one["runs"]))
    first, last = others[0], others[-1]
    return first._replace(minimum=last.minimum, others=tuple(others))


def _dearness(priced: tuple[str | None, Rates]) -> tuple[int, int]:
    """Orders the tiers of one model."""
    return priced[1].output or 0, priced[1].input or 0


def _tool_quote(request: CallRequest, id: str, nanos: int) -> Quote:
    amounts = Amounts(nanos, 0, 1)
    call = Call(id, "tool", provider=request.provider, tool=request.tool)
    subject = Subject("tool", (), request.provider, request.tool)
    return Quote(call, subject, None, None, amounts, amounts, amounts)


def _most(nanos: int, tokens: int) -> Amounts:
    return new_tuple(Amounts, (nanos, tokens, 1))


def _input(request: CallRequest, model: str, names: tuple[str, ...], rates: Rates) -> tuple[int, Worst, bool]:
    """The most input tokens, what they can be billed as, and whether they may be cached for an hour."""
    if request.input_tokens is not None:
        if request.tools is not None:  # the number bounds the input, but not a tool that runs elsewhere
            input_bound(names, (), request.tools)
        return request.input_tokens, rates.worst_case(audio=rates.audio_input is not None), False
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


def _output(request: CallRequest, model: str, own: int | None, *, free: bool) -> int:
    """The most output tokens of one choice: as many as the caller asks for, else the model's own.

    What is known of the model may be older than the model, so a cap of the caller's stands above it.
    """
    cap = own if request.max_output_tokens is None else request.max_output_tokens
    if cap is None and free:
        return 0  # an embedding, or free without a known bound
    if cap is None:
        raise UnpriceableCall(
            f"the output of {model!r} has no known bound; pass max_output_tokens=, or register the model"
            " with max_output_tokens=",
            endpoint=model,
        )
    return cap


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
