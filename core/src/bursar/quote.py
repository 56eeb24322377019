"""The worst case of a call, priced before it is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .amounts import Amounts
from .ask import Ask
from .call import Call, Subject
from .errors import UnpriceableCall
from .estimate import InputBound, input_bound
from .money import MAX_NANOS, show_usd
from .policy import Policy
from .price import Rates, output_cap, worst_nanos
from .pricing import PriceBook


@dataclass(frozen=True, slots=True)
class Quote:
    """What a call asks of its accounts.

    Attributes:
        call: as it would be sent at its worst.
        subject: what the selectors of limits look at.
        rates: what it is priced by; None where the cost is given.
        bound: the most input that it can be billed for.
        own_cap: the most output of one choice that the model itself gives, where known.
        want: its worst case.
        minimum: its worst case at the smallest useful output cap.
        fees: the part of both that runs of the provider's own tools may cost, in nano-dollars.
    """

    call: Call
    subject: Subject
    rates: Rates | None
    bound: InputBound
    own_cap: int | None
    want: Amounts
    minimum: Amounts
    fees: int = 0

    def cap(self, granted: Amounts) -> int:
        """The largest output cap whose worst case fits what was granted."""
        call = self.call
        if self.rates is None or granted == self.want:
            return call.max_output_tokens
        by_usd = output_cap(
            self.rates,
            call.input_tokens,
            call.n,
            granted.usd - self.fees,
            cache_writes=self.bound.cache_writes,
            audio=self.bound.audio,
        )
        by_tokens = (granted.tokens - call.input_tokens) // call.n
        return min(by_usd, by_tokens, call.max_output_tokens)


def quote(ask: Ask, id: str, prices: PriceBook, policy: Policy) -> Quote:
    """Price what was asked for.

    Raises:
        UnknownModel: the model has no price.
        UnpriceableCall: its worst case has no bound.
    """
    nanos = ask.cost_nanos
    if ask.model is None:
        return _tool_quote(ask, id, policy.tool_prices.get(ask.tool or "", 0) if nanos is None else nanos)
    model = prices.canonical(ask.model)
    subject = Subject("model", prices.names(model), ask.provider, ask.tool)
    tier = policy.tier or ask.tier
    if nanos is not None:
        sent, cap = ask.input_tokens or 0, ask.max_output_tokens or 0
        amounts = Amounts(nanos, sent + ask.n * cap, 1)
        call = Call(id, "model", model, ask.provider, ask.tool, sent, cap, ask.n, tier)
        return Quote(call, subject, None, InputBound(sent), None, amounts, amounts)

    rates = prices.rates(model, ask.provider, tier)
    bound, sent = _input(ask, model, subject.models, rates)
    own_cap = _own_cap(rates)
    cap = _output(ask, model, rates, own_cap)
    fees = _fees(ask, model, rates)

    def worst(output_tokens: int) -> Amounts:
        usd = worst_nanos(rates, sent, output_tokens, cache_writes=bound.cache_writes, audio=bound.audio)
        return Amounts(usd + fees, sent + output_tokens, 1)

    want = minimum = worst(ask.n * cap)
    if want.usd > MAX_NANOS:
        raise UnpriceableCall(
            f"the worst case of this call to {model!r} is above {show_usd(MAX_NANOS)}; pass a smaller n= or"
            " max_output_tokens=",
            endpoint=model,
        )
    if ask.clamp and policy.smallest_cap is not None:
        minimum = worst(ask.n * min(cap, policy.smallest_cap))
    call = Call(id, "model", model, ask.provider, ask.tool, sent, cap, ask.n, tier)
    return Quote(call, subject, rates, bound, own_cap, want, minimum, fees)


def _tool_quote(ask: Ask, id: str, nanos: int) -> Quote:
    amounts = Amounts(nanos, 0, 1)
    call = Call(id, "tool", provider=ask.provider, tool=ask.tool)
    subject = Subject("tool", (), ask.provider, ask.tool)
    return Quote(call, subject, None, InputBound(0), None, amounts, amounts)


def _input(ask: Ask, model: str, names: tuple[str, ...], rates: Rates) -> tuple[InputBound, int]:
    if ask.input_tokens is not None:
        input_bound(names, (), ask.tools)  # the number bounds the input, but not a tool that runs elsewhere
        unseen = InputBound(ask.input_tokens, audio=rates.audio_input is not None)
        return unseen, ask.input_tokens
    bound = input_bound(names, ask.messages, ask.tools)
    if rates.audio_output is not None or (ask.messages is None and rates.audio_input is not None):
        bound = replace(bound, audio=True)  # whether it is asked for is not seen here
    window = rates.context_window
    sent = _least(bound.tokens, None if window is None else window * ask.windows)
    if sent is None:
        raise UnpriceableCall(
            f"the input of this call to {model!r} has no known bound, nor has the model's context window;"
            " pass input_tokens=, or register the model with context_window=",
            endpoint=model,
        )
    return bound, sent


def _own_cap(rates: Rates) -> int | None:
    return rates.max_output_tokens or (rates.context_window if rates.output else None)


def _output(ask: Ask, model: str, rates: Rates, own: int | None) -> int:
    """The most output tokens of one choice; a cap above the model's own cannot be reached."""
    cap = _least(ask.max_output_tokens, own)
    if cap is None and not rates.output:
        return 0  # an embedding, or free without a known bound
    if cap is None:
        raise UnpriceableCall(
            f"the output of {model!r} has no known bound; pass max_output_tokens=, or register the model"
            " with max_output_tokens=",
            endpoint=model,
        )
    return cap


def _fees(ask: Ask, model: str, rates: Rates) -> int:
    """What the provider's own tools may cost by the run, in nano-dollars."""
    try:
        return sum(runs * rates.requests[tool] for tool, runs in ask.requests.items())
    except KeyError as tool:
        raise UnpriceableCall(
            f"a run of the provider's tool {tool} has no price with {model!r}; reserve with an explicit cost="
            " that covers it",
            endpoint=str(tool.args[0]),
        ) from None


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
