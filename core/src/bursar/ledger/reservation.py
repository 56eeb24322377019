"""Reserves the worst case of a call, or refuses it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from types import TracebackType
from typing import Any

from ..errors import BudgetExceeded, CallVetoed
from ..pricing.price import cost_nanos
from ..pricing.quote import quote
from ..pricing.request import CallRequest
from ..reports.events import Event, Events
from ..runtime.fast_init import new_tuple
from ..runtime.ids import new_id
from ..runtime.log import logger
from ..store.entry import NO_TALLY, Entry, Path
from ..store.results import Granted, Refused, StalePeriod
from ..values.amounts import NOTHING
from ..values.call import Call
from ..values.charge import Charge
from ..values.policy import Policy, Terms
from ..values.usage import Usage
from . import verbs
from .fingerprint import fingerprint
from .hold import Hold
from .ledger import Ledger
from .refusals import Refusal, refusal
from .steps import Steps
from .waiting import admit


def reserve(
    ledger: Ledger,
    path: Path,
    request: CallRequest,
    events: Events,
    terms: Terms,
    session: object,
    check: Callable[[], object] = lambda: None,
) -> Steps[Hold]:
    """Set the worst case of a call aside.

    Args:
        ledger: where it is set aside.
        path: the accounts it is charged to, from the root.
        request: what the call is.
        events: where the outcomes of the hold are noted.
        terms: of the budget, perhaps with its finalization reserve.
        session: whose call it is, for the plugins.
        check: raises what ends the wait for calls in flight.

    Raises:
        BudgetExceeded: it does not fit, or a plugin refuses it; nothing was changed.
        UnknownModel: the model has no price.
        UnpriceableCall: the worst case has no bound.
    """
    id = new_id() if request.key is None else f"{path[-1].key}:{request.key}"
    asked = quote(request, id, ledger.prices, ledger.policy)
    if request.sent and asked.call.tier != ledger.policy.tier is not None:
        ledger.warn_of_tier(asked.call)
    try:
        ledger.hooks.before_reserve(asked, session, path)
    except CallVetoed as error:
        _refuse(ledger, asked.call, error, events)
        raise
    asked = ledger.hooks.estimated(asked)
    repeats = None if request.messages is None else _fingerprint(request, asked.call, ledger.policy)
    entry = new_tuple(Entry, (id, path, asked.subject, asked.want, NO_TALLY, ledger.calendars, repeats))
    queue = ledger.queue(path)
    answer, waited_s, why_not = yield from admit(ledger, queue, entry, asked, terms, check)
    if isinstance(answer, Refused):
        if answer.first:
            yield from ledger.announce(answer, path, asked.call)
        refused = refusal(answer, asked, _loop_s(ledger.policy), waited_s, why_not)
        _refuse(ledger, asked.call, refused, events)
        raise refused
    call, (amounts, _, repeated, _, ignored) = asked.call, answer
    if amounts != asked.want or asked.others:
        asked = asked.granted(amounts)
        cap = asked.cap(amounts)
        call = (
            asked.call if cap == asked.call.max_output_tokens else replace(asked.call, max_output_tokens=cap)
        )
    hold = Hold(ledger, path, call, asked, answer, events, session, queue)
    if hold.clamped and not repeated:
        wanted = hold.wanted_output_tokens
        events.append(Event("clamp", call, wanted))
        lowered = wanted, call.max_output_tokens
        logger.info("call %s to %r: output cap lowered from %s to %s", id, call.model, *lowered)
    try:
        if not repeated:
            ledger.hooks.reserved(hold)
        if ignored is not None and answer.news:
            yield from ledger.announce(answer, path, call)
    except BaseException:  # an interrupt: the call will not be made
        yield from hold._release()
        raise
    return hold


def probe(ledger: Ledger, path: Path, request: CallRequest, terms: Terms) -> Steps[None]:
    """What `reserve` would say; nothing is changed.

    Raises:
        BudgetExceeded: it would be refused.
        UnknownModel: the model has no price.
        UnpriceableCall: the worst case has no bound.
    """
    asked = ledger.hooks.estimated(quote(request, new_id(), ledger.prices, ledger.policy))
    entry = Entry(asked.call.id, path, asked.subject, asked.want, {}, ledger.calendars)
    stated = yield from verbs.probe(entry, asked.minimum, terms, asked.floor)
    answer: Granted | Refused = (
        (yield from ledger.again(stated, verbs.probe, entry, asked.minimum, terms, asked.floor))
        if isinstance(stated, StalePeriod)
        else stated
    )
    if isinstance(answer, Refused) and (terms.enforce or answer.cause == "tripped"):
        raise refusal(answer, asked, _loop_s(ledger.policy))


def book_unreserved(
    ledger: Ledger,
    path: Path,
    request: CallRequest,
    usage: Usage | None,
    model: str | None,
    tier: str | None,
    events: Events,
) -> Steps[Charge]:
    """Book an answer that nobody reserved for: by its usage, else at the worst case of its request.

    Raises:
        BudgetExceeded: it is booked, and a limit is exceeded now.
        UnknownModel: the model has no price; nothing was booked.
        UnpriceableCall: there is no usage, and the worst case has no bound; nothing was booked.
    """
    asked = quote(request, new_id(), ledger.prices, ledger.policy)
    rates = ledger.answer_rates(asked.call, asked.rates, model, tier, sent=True)
    if usage is not None and not usage.flaw and rates:
        nanos = max(cost_nanos(one, usage) for one in rates)
        return (yield from ledger.charge(path, asked.call, nanos, usage, events))
    tokens = asked.want.tokens
    charging = ledger.charge(path, asked.call, asked.want.usd, None, events, estimated_tokens=tokens)
    return (yield from charging)


def note_saved(ledger: Ledger, path: Path, request: CallRequest, usage: Usage | None) -> Steps[None]:
    """Count what a cache saved of a call that was not sent."""
    asked = quote(request, new_id(), ledger.prices, ledger.policy)
    nanos = 0 if usage is None or usage.flaw or asked.rates is None else cost_nanos(asked.rates, usage)
    if nanos:
        tally = {"saved": nanos}
        entry = Entry(asked.call.id, path, asked.subject, NOTHING, tally, ledger.calendars)
        yield from ledger.book(verbs.book, entry)


def _refuse(ledger: Ledger, call: Call, error: BudgetExceeded, events: Events) -> None:
    events.append(Event("refusal", call, str(error)))
    ledger.hooks.refused(Refusal(call, error, ledger.clock.now()))


def _loop_s(policy: Policy) -> float | None:
    breaker = policy.terms.breaker
    return breaker.loop_ms / 1000 if breaker is not None else None


def _fingerprint(request: CallRequest, call: Call, policy: Policy) -> str | None:
    breaker = policy.terms.breaker
    if breaker is None or breaker.max_repeated is None:
        return None
    return fingerprint(call.kind, call.model or call.tool, request.messages)


class Reserving:
    """What `Session.areserve` returns: await it for the hold, or enter it with ``async with``."""

    __slots__ = ("_hold", "_ledger", "_steps")

    def __init__(self, ledger: Ledger, steps: Steps[Hold]) -> None:
        self._ledger = ledger
        self._steps = steps

    def __await__(self) -> Generator[Any, None, Hold]:
        return self._ledger.arun(self._steps).__await__()

    async def __aenter__(self) -> Hold:
        self._hold = await self
        return await self._hold.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hold.__aexit__(kind, error, trace)
