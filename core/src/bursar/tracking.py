"""Charges without a hold, for callers who cannot reserve; and questions that book nothing.

The money is spent already: it is always booked, and the refusal comes after.
"""

from __future__ import annotations

from collections.abc import Awaitable
from decimal import Decimal
from typing import Any, TypeVar

from .errors import BudgetExceeded, UsageMissing
from .handle import Handle
from .ledger.deduplication import forget, remember, was_charged
from .ledger.ledger import Ledger
from .ledger.reservation import probe
from .ledger.steps import Steps, awaitable, blocking
from .ledger.twice import warn_of_twice, was_just_charged
from .pricing.price import Rates, cost_nanos
from .pricing.request import CallRequest
from .pricing.response import read_answer
from .pricing.stated import bills_as_it_says
from .reports.events import Events
from .runtime.ids import new_id
from .store.entry import Path
from .values.call import Call, new_call
from .values.charge import Charge
from .values.money import Money, shown, to_nanos, to_usd
from .values.names import check_name
from .values.policy import Terms
from .values.usage import MAX_TOKENS, Usage, new_usage

T = TypeVar("T")


class Tracking(Handle):
    """The part of a session that is told what was spent, and asked what could be."""

    def __init__(self, ledger: Ledger, path: Path, events: Events) -> None:
        super().__init__(ledger, path)
        self._events = events

    def _terms(self) -> Terms:
        """What the budget has decided, at this place."""
        raise NotImplementedError

    @property
    def _covers(self) -> bool:
        """True where covered SDKs charge it by themselves."""
        raise NotImplementedError

    # -- after the fact -----------------------------------------------------------------------

    def _record(
        self,
        model: str,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        provider: str | None = None,
        *,
        tokens: int | None = None,
        usage: Usage | None = None,
        tier: str | None = None,
    ) -> Steps[Charge]:
        """Book a call that was made without a hold.

        Args:
            model: the model that answered.
            input_tokens: all input, cached included.
            output_tokens: all output.
            tokens: both together, where nobody knows the parts; priced at the dearer rate.
            provider: who bills it, where the name of the model does not say.
            usage: all token classes, instead of the numbers.
            tier: the service tier it was served at.

        Raises:
            BudgetExceeded: it is booked, and a limit is exceeded now.
            TypeError: there is nothing to book, or more than one thing; nothing was booked.
            UnknownModel: the model has no price; nothing was booked.
            ValueError: a count is not one; nothing was booked.
        """
        parts = input_tokens is not None or output_tokens is not None
        if parts + (tokens is not None) + (usage is not None) != 1:
            raise TypeError("record() needs input_tokens= and output_tokens=, or tokens=, or usage=")
        name = self._ledger.prices.canonical(check_name("model", model))
        rates = self._rates(name, provider, tier)
        if usage is None:
            if tokens is not None:
                usage = max(_either(_count("tokens", tokens)), key=lambda one: cost_nanos(rates, one))
            else:
                usage = new_usage(
                    _count("input_tokens", input_tokens), _count("output_tokens", output_tokens)
                )
        if usage.flaw:
            raise ValueError(f"the usage cannot be booked: {usage.flaw}")
        if self._covers and was_just_charged(name, usage, self._ledger.clock.now()):
            warn_of_twice(self._ledger)
        charge = yield from self._book(_call(name, provider, usage, tier), cost_nanos(rates, usage), usage)
        return charge

    record, arecord = blocking(_record), awaitable(_record)

    def _wrap(self, response: T, *, model: str | None = None, provider: str | None = None) -> Steps[T]:
        """Book an answer that came without a hold, by the usage it carries.

        An object that was charged already, by a hold or by a covered client, books nothing.

        Args:
            response: of OpenAI or Anthropic, an object or a dict.
            model: who answered, where the response does not say.
            provider: who bills it, where the name of the model does not say.

        Returns:
            The response.

        Raises:
            BudgetExceeded: it is booked, and a limit is exceeded now; `result` has the response.
            UsageMissing: it has no usable usage; call `record` with what you know.
            UnknownModel: the model has no price; nothing was booked.
        """
        answer = read_answer(response)
        if was_charged(response) or self._ledger.charged.get(answer) is not None:
            return response
        model = model or answer.model
        usage = self._ledger.hooks.read_usage(response) or answer.usage
        odd = usage is not None and bool((usage.output_tokens and not usage.input_tokens) or answer.seen)
        if usage is None or usage.flaw or model is None or odd:
            missing = "model" if model is None else "usable usage"
            name_it = "name it (model=), or " if model is None else ""
            raise UsageMissing(
                f"the answer has no {missing}, so that it cannot be booked; {name_it}call record(model,"
                " input_tokens, output_tokens) with what you know of it"
            )
        remember(response)  # before it is booked: nobody else is to book it meanwhile
        try:
            name = self._ledger.prices.canonical(check_name("model", model))
            stated = answer.cost_nanos if usage is answer.usage else None
            if stated is None or not bills_as_it_says(provider, name):
                stated = max(cost_nanos(self._rates(name, provider, answer.tier), usage), stated or 0)
            yield from self._book(_call(name, provider, usage, answer.tier), stated, usage)
        except BudgetExceeded as refusal:
            refusal.result = response
            raise
        except Exception:  # no price, no store: it is still to be booked
            forget(response)
            raise
        return response

    wrap = blocking(_wrap)

    async def wrap_async(self, response: Awaitable[T], **known: Any) -> T:
        """`wrap` the result of an awaitable."""
        return await self._ledger.arun(self._wrap(await response, **known))

    def _track(self, result: T, cost: Money, tool_name: str | None = None) -> Steps[T]:
        """Book the run of a tool, or anything else that has a price.

        Args:
            result: handed back.
            cost: USD.
            tool_name: the tool.

        Raises:
            BudgetExceeded: it is booked, and a limit is exceeded now; `result` has the result.
            InvalidAmount: `cost` is not an amount; nothing was booked.
        """
        nanos = to_nanos(cost)
        if tool_name is not None:
            check_name("tool", tool_name)
        if self._covers and self._was_charged(result):
            warn_of_twice(self._ledger)
        try:
            yield from self._book(new_call(new_id(), "tool", None, None, tool_name), nanos, None)
        except BudgetExceeded as refusal:
            refusal.result = result
            raise
        return result

    track, atrack = blocking(_track), awaitable(_track)

    def _was_charged(self, result: object) -> bool:
        """True for an answer that a covered SDK, or a hold, has charged."""
        if was_charged(result):
            return True
        try:
            return self._ledger.charged.get(read_answer(result)) is not None
        except Exception:  # of a tool's own object
            return False

    def _rates(self, model: str, provider: str | None, tier: str | None) -> Rates:
        return self._ledger.prices.rates(model, provider, self._ledger.policy.tier or tier)

    def _book(self, call: Call, nanos: int, usage: Usage | None) -> Steps[Charge]:
        charge: Charge = yield from self._ledger.charge(self._path, call, nanos, usage, self._events)
        return charge

    # -- questions ------------------------------------------------------------------------------

    def _check(
        self, model: str, input_tokens: int, output_tokens: int, provider: str | None = None
    ) -> Steps[None]:
        """Ask whether such a call would be admitted here and now; nothing is booked or held.

        Args:
            model: the model.
            input_tokens: the most input.
            output_tokens: the most output.
            provider: who bills it, where the name of the model does not say.

        Raises:
            BudgetExceeded: it would be refused, with all that a reserve would say.
            UnknownModel: the model has no price.
        """
        request = CallRequest(
            model=model,
            provider=provider,
            input_tokens=input_tokens,
            max_output_tokens=output_tokens,
            clamp=False,
        )
        yield from probe(self._ledger, self._path, request, self._terms())

    check, acheck = blocking(_check), awaitable(_check)

    def _would_exceed(self, cost: Money) -> Steps[bool]:
        """True when a call that may cost so many USD would be refused here and now.

        Raises:
            InvalidAmount: `cost` is not an amount.
        """
        try:
            yield from probe(self._ledger, self._path, CallRequest(cost=cost), self._terms())
        except BudgetExceeded:
            return True
        return False

    def _can_spend(self, cost: Money) -> Steps[bool]:
        """True when a call that may cost so many USD would be admitted here and now.

        Raises:
            InvalidAmount: `cost` is not an amount.
        """
        exceeds = yield from self._would_exceed(cost)
        return not exceeds

    would_exceed, awould_exceed = blocking(_would_exceed), awaitable(_would_exceed)
    can_spend, acan_spend = blocking(_can_spend), awaitable(_can_spend)

    def estimate(
        self, model: str, input_tokens: int, output_tokens: int, *, provider: str | None = None
    ) -> Decimal:
        """What such a call costs, in USD; asks no store.

        Raises:
            UnknownModel: the model has no price.
            ValueError: a count is not one.
        """
        usage = Usage(_count("input_tokens", input_tokens), _count("output_tokens", output_tokens))
        rates = self._ledger.prices.rates(
            self._ledger.prices.canonical(model), provider, self._ledger.policy.tier
        )
        return to_usd(cost_nanos(rates, usage))


def _count(setting: str, count: object) -> int:
    if count is None:
        return 0
    if type(count) is not int or not 0 <= count <= MAX_TOKENS:
        raise ValueError(f"{setting}={shown(count)} is not a whole number from 0 to {MAX_TOKENS:,}")
    return count


def _call(model: str, provider: str | None, usage: Usage, tier: str | None) -> Call:
    return new_call(
        new_id(), "model", model, provider, None, usage.input_tokens, usage.output_tokens, 1, tier
    )


def _either(tokens: int) -> tuple[Usage, Usage]:
    """Tokens of unknown kind: all input, or all output."""
    return Usage(tokens, 0), Usage(0, tokens)
