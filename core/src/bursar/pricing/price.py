"""Prices of tokens, and the exact arithmetic with them.

Inside, a price is an int of pico-dollars (1e-12 USD) per token, which holds nearly
every published price exactly; the rest was rounded up. A call is summed in
pico-dollars over all its token classes and rounded up once, to nano-dollars.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal
from types import MappingProxyType

from ..errors import InvalidAmount, UnknownModel
from ..values.money import MAX_USD, Dollars, Money
from ..values.usage import MAX_TOKENS, Usage

_PICO_PER_NANO = 1_000
_PICO_PER_TOKEN = 10**6  # of one dollar per million tokens
_UPWARDS = Context(prec=60, rounding=ROUND_CEILING)
_TEXT = re.compile(r"\$?((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})(?:\.[0-9]{1,30})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in USD per million tokens: text, int, float or Decimal.

    Rounded up to whole pico-dollars a token; all fields read back as ``Decimal``.

    Attributes:
        input: input that is neither cached nor audio.
        output: output, reasoning included.
        cached_input: input read from a cache; the price of `input` where None.
        cache_write: input written to a cache for minutes.
        cache_write_1h: input written to a cache for an hour or longer.
        audio_input: audio in the input.
        audio_output: audio in the output.
        context_window: the most input tokens that the model takes.
        max_output_tokens: the most output tokens that it gives.

    A token class that is None has no price: usage of it is never charged as $0.

    Raises:
        InvalidAmount: a price is negative, not finite, no number, or above $4,500,000.
        ValueError: a size is not a whole number of tokens.
    """

    input: Money
    output: Money
    cached_input: Money | None = None
    cache_write: Money | None = None
    cache_write_1h: Money | None = None
    audio_input: Money | None = None
    audio_output: Money | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            object.__setattr__(self, name, _usd(name, getattr(self, name)))
        for name in ("cached_input", "cache_write", "cache_write_1h", "audio_input", "audio_output"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _usd(name, getattr(self, name)))
        for name in ("context_window", "max_output_tokens"):
            size = getattr(self, name)
            if size is not None and (type(size) is not int or not 1 <= size <= MAX_TOKENS):
                raise ValueError(
                    f"{name}={size!r:.40} is not a whole number of tokens from 1 to {MAX_TOKENS:,}"
                )


@dataclass(frozen=True, slots=True)
class Rates:
    """A price as it is computed with: pico-dollars a token, None where none is published.

    Attributes:
        cached_audio_input: audio read from a cache; the price of `audio_input` where None.
        tiers: (above how many input tokens, the rates of such a whole request), ascending.
        requests: nano-dollars for one run of a hosted tool, by name.
        call_fee: nano-dollars for each call, whatever its tokens.
        published: True for a row of the bundled table: the provider itself enforces the sizes.
    """

    input: int | None
    output: int | None
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    cached_audio_input: int | None = None
    tiers: tuple[tuple[int, Rates], ...] = ()
    requests: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    call_fee: int = 0
    context_window: int | None = None
    max_output_tokens: int | None = None
    published: bool = False
    _worst: dict[tuple[bool, bool], Worst] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def worst_case(self, *, cache_writes: bool = True, audio: bool = False) -> Worst:
        """The most that a call can cost; made once, because every reserve asks for it.

        Args:
            cache_writes: input may be written to a cache.
            audio: input or output may be audio.
        """
        worst = self._worst.get((cache_writes, audio))
        if worst is None:
            worst = self._worst[cache_writes, audio] = Worst(self, cache_writes, audio)
        return worst


class _NoFees(dict[str, int]):
    """Every hosted tool runs for nothing."""

    def __missing__(self, tool: str) -> int:
        return 0


FREE = Rates(0, 0, 0, 0, 0, 0, 0, 0, requests=_NoFees())


def rates_of(price: Price) -> Rates:
    """A price in pico-dollars a token."""

    def pico(usd: Money | None) -> int | None:
        return None if usd is None else int(Decimal(usd) * _PICO_PER_TOKEN)  # type: ignore[arg-type]

    return Rates(
        pico(price.input),
        pico(price.output),
        pico(price.cached_input),
        pico(price.cache_write),
        pico(price.cache_write_1h),
        pico(price.audio_input),
        pico(price.audio_output),
        context_window=price.context_window,
        max_output_tokens=price.max_output_tokens,
    )


def cost_nanos(rates: Rates, usage: Usage) -> int:
    """What a call cost, in nano-dollars, rounded up once.

    Of audio that was also cached or written to a cache providers tell no count. So the
    classes are taken as disjoint; where their sum exceeds the input, the rest was both:
    cached audio where there is a price for it, else whichever is dearer.

    Args:
        usage: without a `flaw`.

    Raises:
        UnknownModel: a class of tokens was used that has no price.
    """
    at = rates
    for above, higher in rates.tiers:
        if usage.input_tokens > above:
            at = higher
    pico, sent, made = rates.call_fee * _PICO_PER_NANO, usage.input_tokens, usage.output_tokens
    if usage.plain:
        if at.input is not None and at.output is not None:  # as of most calls
            return -(-(pico + sent * at.input + made * at.output) // _PICO_PER_NANO)
    else:
        parts, sent, made = _parts(at, usage)
        pico += parts + _runs(rates, usage)
    pico += _pico(sent, at.input, "input") + _pico(made, at.output, "output")
    return -(-pico // _PICO_PER_NANO)


def _parts(at: Rates, usage: Usage) -> tuple[int, int, int]:
    """Pico-dollars of what is neither plain input nor plain output; and how much these are."""
    sent, audio, spoken = usage.input_tokens, usage.audio_input_tokens, usage.audio_output_tokens
    cached, short, long = usage.cached_input_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    both = max(cached + short + long + audio - sent, 0)
    heard = min(both, cached)
    written_short = min(both - heard, short)
    written_long = both - heard - written_short
    read_price = at.input if at.cached_input is None else at.cached_input
    heard_price = at.audio_input if at.cached_audio_input is None else at.cached_audio_input
    pico = (
        _pico(cached - heard, read_price, "cached input")
        + _pico(heard, heard_price, "cached audio input")
        + _pico(short - written_short, at.cache_write, "cache writes")
        + _pico(written_short, _dearer(at.cache_write, at.audio_input), "cache writes of audio")
        + _pico(long - written_long, at.cache_write_1h, "cache writes for an hour")
        + _pico(written_long, _dearer(at.cache_write_1h, at.audio_input), "cache writes of audio")
        + _pico(audio - both, at.audio_input, "audio input")
        + _pico(spoken, at.audio_output, "audio output")
    )
    return pico, sent - (cached + short + long + audio - both), usage.output_tokens - spoken


def _runs(rates: Rates, usage: Usage) -> int:
    """Pico-dollars of the hosted tools that ran."""
    pico = 0
    for tool, count in usage.requests.items():
        if count:
            try:
                pico += count * rates.requests[tool] * _PICO_PER_NANO
            except KeyError:
                raise UnknownModel(f"the hosted tool {tool!r:.80} has no price with this model") from None
    return pico


class Worst:
    """The most that a call can cost: every token priced as the dearest that it can turn out to be.

    Args:
        rates: what the model costs.
        cache_writes: input may be written to a cache.
        audio: input or output may be audio.
    """

    __slots__ = ("_fee", "_only", "_steps")

    def __init__(self, rates: Rates, cache_writes: bool, audio: bool) -> None:
        self._fee = rates.call_fee
        self._steps = [
            (above, _dearest_input(at, cache_writes, audio), _dearest_output(at, audio))
            for above, at in ((-1, rates), *rates.tiers)
        ]
        self._only = None if rates.tiers else self._steps[0][1:]

    def nanos(self, input_tokens: int, output_tokens: int) -> int:
        """The most that at most so many tokens can cost, in nano-dollars, rounded up.

        In the dearest size tier that can be reached; grows with both counts. Runs of
        hosted tools are not in it.

        Args:
            input_tokens: the most input.
            output_tokens: the most output, of all choices together.

        Raises:
            UnknownModel: such tokens have no price.
        """
        if self._only is not None:  # as of most models
            sent, made = self._only
            return self._fee - (-(input_tokens * sent + output_tokens * made) // _PICO_PER_NANO)
        pico = 0
        for above, sent, made in self._steps:
            if input_tokens > above:
                pico = max(pico, input_tokens * sent + output_tokens * made)
        return self._fee - (-pico // _PICO_PER_NANO)

    def output_cap(self, input_tokens: int, n: int, nanos: int) -> int:
        """The largest output of each of `n` choices whose worst case fits `nanos`.

        Returns:
            Tokens; 10**10 where output costs nothing, -1 where not even the input fits.

        Raises:
            UnknownModel: such tokens have no price.
        """
        cap = MAX_TOKENS
        for above, sent, made in self._steps:
            if input_tokens > above:
                left = (nanos - self._fee) * _PICO_PER_NANO - input_tokens * sent
                if left < 0:
                    return -1
                if made:
                    cap = min(cap, left // (n * made))
        return cap


class _NoPrice(int):
    """In the place of a missing price: no tokens cost $0 at it, and any more are unknown."""

    kind: str

    def __new__(cls, kind: str) -> _NoPrice:
        self = super().__new__(cls, 1)
        self.kind = kind
        return self

    def __rmul__(self, tokens: int) -> int:
        if tokens:
            raise UnknownModel(f"the model has no price for {self.kind}")
        return 0


def _dearest_input(at: Rates, cache_writes: bool, audio: bool) -> int:
    if at.input is None:
        return _NoPrice("text by the token")
    if audio and at.audio_input is None:
        return _NoPrice("audio input")
    prices = [at.input, at.cached_input]
    if cache_writes:
        prices += [at.cache_write, at.cache_write_1h]
    if audio:
        prices += [at.audio_input, at.cached_audio_input]
    return max(price for price in prices if price is not None)


def _dearest_output(at: Rates, audio: bool) -> int:
    if at.output is None:
        return _NoPrice("text by the token")
    return max(at.output, at.audio_output or 0) if audio else at.output


def _pico(tokens: int, price: int | None, kind: str) -> int:
    if not tokens:
        return 0
    if price is None:
        raise UnknownModel(f"{tokens:,} tokens of {kind} were used, for which the model has no price")
    return tokens * price


def _dearer(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _usd(name: str, value: object) -> Dollars:
    """USD per million tokens, rounded up to a whole pico-dollar a token."""
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip(" "))
        if match is None:
            raise InvalidAmount(f"{name}={value!r:.60} is not a price in USD per million tokens, like '2.50'")
        number = Decimal(match[1].replace(",", ""))
    elif isinstance(value, float):
        # The 16th and 17th digit of a double are dust: 3 * 0.06 means 0.18, not a pico-dollar more.
        number = Decimal(format(value, ".15g"))
    elif isinstance(value, Decimal) or type(value) is int:
        number = Decimal(value)
    else:
        raise InvalidAmount(
            f"{name}={value!r:.60} is not a price in USD per million tokens, like 2.5 or '2.50'"
        )
    if not number.is_finite() or not 0 <= number <= MAX_USD:
        raise InvalidAmount(f"{name}={value!r:.60} is not a price from $0 to ${MAX_USD:,} per million tokens")
    pico = int(_UPWARDS.multiply(number, _PICO_PER_TOKEN).to_integral_value(ROUND_CEILING))
    return Dollars(Decimal(pico).scaleb(-6).normalize())
