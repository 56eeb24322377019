"""`Hold`: an amount set aside before a call is made, until it is settled, released or in doubt."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Any

from ..errors import HoldClosed, UnknownModel
from ..pricing.outcome import outcome_of
from ..pricing.price import cost_nanos
from ..pricing.quote import Quote
from ..pricing.response import Answer, read_answer
from ..pricing.stated import bills_as_it_says
from ..redaction import redacted
from ..reports.events import Event, Events
from ..runtime import fork
from ..runtime.fast_init import new_tuple
from ..runtime.fork import OneProcess
from ..runtime.log import logger
from ..store.entry import Entry, Path
from ..store.results import Booked, Granted, StalePeriod, State
from ..values.amounts import NOTHING, Amounts
from ..values.call import Call
from ..values.charge import Charge, new_charge
from ..values.duration import Duration, to_seconds
from ..values.money import MAX_NANOS, NO_USD, Money, to_nanos, to_usd
from ..values.usage import Usage, new_usage
from . import verbs
from .belief import believable, believed
from .context import FoundByText, InContext, innermost_cover
from .deduplication import remember, was_charged
from .ledger import Ledger
from .own import OwnHold
from .queue import Queue
from .steps import Steps, awaitable, blocking
from .truncation import truncation, warn_once

_ABSENT = object()
_DROPPED = (
    "a hold of $%s for %r was dropped without an outcome, and is booked as unknown: settle or release it, or"
    " call its keep()"
)


class Hold(OneProcess):
    """The result of a reserve: settle it with what the call really cost.

    A context manager, sync and async. Inside it the hold is in the context, so that a
    covered SDK client sends on it. Leaving it without a settle books the call as
    unknown; leaving it by an exception releases the hold if the call provably cost
    nothing (connection refused, a complete error answer), else books it as unknown.

    Attributes:
        id: made before the call is sent; the `Charge` carries it too.
        call: what the money was asked for.
        amount: what is held, in USD.
        state: ``"reserved"``, ``"settled"``, ``"released"`` or ``"in_doubt"``.
        max_output_tokens: the output cap to send, lowered where the budget clamped it;
            None for a call without output tokens.
        clamped: True when that cap was lowered to what was left, or runs of tools were bounded.
        charge: what was booked so far, or None.
        repeated: True when the key of this reserve was seen before: nothing was reserved again.
        session: whose call it is: it pays for what is sent beside it within ``with hold:``.
        used: True once a covered SDK has sent a request on it.
        charged_by_sdk: True once that has charged the answer, by the usage that it read.
    """

    _cover: Cover  # from the moment it is entered
    _own: OwnHold | None = None
    _watched = False  # is it booked as unknown when nobody has it any more
    charge: Charge | None = None
    repeated = False
    used = False
    charged_by_sdk = False

    def __init__(
        self,
        ledger: Ledger,
        path: Path,
        call: Call,
        asked: Quote,
        granted: Granted,
        events: Events,
        session: Any,
        queue: Queue,
    ) -> None:
        self._ledger = ledger
        self.session = session
        self._path = path
        self._asked = asked
        held, state, repeated, _, _ = granted
        self._held = held
        self._events = events
        self._forks = fork.count
        self.call = call
        self.clamped = call is not asked.call or asked.runs is not None
        self.state: State = state
        if repeated:
            self.repeated, held = True, NOTHING
        else:
            self._watched = True
        if state == "reserved":
            self._own = OwnHold(self, queue, path, asked.subject, held)

    @property
    def id(self) -> str:
        """Made before the call is sent; the `Charge` carries it too."""
        return self.call.id

    @property
    def amount(self) -> Decimal:
        """What is held, in USD."""
        return to_usd(self._held.usd)

    @property
    def max_output_tokens(self) -> int | None:
        """The output cap to send, in tokens; None for a call without output."""
        return self.call.max_output_tokens or None

    @property
    def wanted_output_tokens(self) -> int:
        """The output cap before it was lowered, in tokens."""
        return self._asked.call.max_output_tokens

    @property
    def sent(self) -> bool:
        """True where it was reserved for a request that is sent as it is."""
        return self._asked.sent

    @property
    def runs(self) -> int | None:
        """How often tools of the provider's may run, to be put into the request; None: it says so itself."""
        return self._asked.runs

    @property
    def binding_cap(self) -> int | None:
        """The cap that a request without one has to carry; None: its provider lets nothing grow above it."""
        lowered = self.call.max_output_tokens < self.wanted_output_tokens
        return None if self._asked.enforced and not lowered else self.max_output_tokens

    # -- outcomes -------------------------------------------------------------------------

    def _settle(
        self,
        response: Any = _ABSENT,
        *,
        usage: Usage | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost: Money | None = None,
        model: str | None = None,
        tier: str | None = None,
        estimated: bool = False,
        cut: bool = False,
        seen_tokens: int = 0,
        sent: bool = False,
    ) -> Steps[Charge]:
        """Book what the call cost. Always: above the hold as an overrun, never refused.

        An answer without usage, or with nonsense for usage, is booked at the hold and
        marked `estimated`; it is never free. Where the cost was known from the start (a
        tool, an explicit `cost=`), nothing needs to be given. An answer that was charged
        already, to another hold of the budget, books nothing and gives this one back. What a
        covered SDK has charged to this hold stays, whatever is given.

        Args:
            response: the provider's answer, an object or a dict with ``usage``.
            usage: its token counts, instead of a response.
            input_tokens: all input, cached included.
            output_tokens: all output.
            cost: USD, where the cost is known by itself.
            model: the model that answered; that of the response by default, else the requested one.
            tier: the service tier it was served at, likewise.
            estimated: True when the counts are a guess of the caller's.
            cut: True when the answer ended at its output cap; a response tells it by itself.
            seen_tokens: the most output that the text of the answer can be, where its usage counts none.
            sent: True when a request was answered on it: a tier that the budget declares is no cheaper then.

        Raises:
            HoldClosed: it was settled before, with another amount.
            InvalidAmount: `cost` is not an amount.
            TypeError: nothing was given to settle with.
        """
        self._check_process()
        if self.charged_by_sdk and self.charge is not None:
            return self.charge
        stated_nanos, told = None, usage
        if response is not _ABSENT:
            answer = self._answer(response, usage)
            if answer is None:
                return (yield from self._charged_elsewhere())
            model, tier, cut = model or answer.model, tier or answer.tier, cut or answer.cut
            stated_nanos, told = answer.cost_nanos, answer.usage
            usage, whole = believable(answer, self._asked, seen_tokens)
        else:
            if input_tokens is not None or output_tokens is not None:
                told = new_usage(
                    0 if input_tokens is None else input_tokens, 0 if output_tokens is None else output_tokens
                )
            elif usage is None and cost is None:
                if self._asked.rates is not None:
                    raise TypeError(
                        "settle() needs a response, usage=, input_tokens= and output_tokens=, or cost="
                    )
                cost = self.amount
            usage, whole = believed(told, self._asked, seen_tokens)
        if usage is None and told is not None:
            flaw = getattr(told, "flaw", None) or "it cannot be that of such a call"
            logger.warning("call %s reports unusable usage (%s); booked at its hold", self.id, flaw)
        if cost is not None:
            nanos: int | None = to_nanos(cost)
        else:
            nanos = self._priced(usage, model, tier, sent)
            if stated_nanos is not None and nanos is not None:
                says_so = bills_as_it_says(self.call.provider, self.call.model)
                nanos = stated_nanos if says_so else max(nanos, stated_nanos)
        if nanos is None:
            nanos, usage, estimated = max(self._held.usd, stated_nanos or 0), None, True
        elif cost is None and usage is not None:
            if told is None or told.input_tokens != usage.input_tokens or (estimated and sent):
                nanos = max(nanos, self._uncounted(usage))
            estimated = estimated or not whole
        tokens = usage.tokens if usage is not None else self._held.tokens
        ledger = self._ledger
        truncated = cut and self.clamped
        entry = self._entry(new_tuple(Amounts, (nanos, tokens, 1)), usage, estimated, truncated)
        terms = ledger.policy.terms
        booked: Any = yield "settle", entry, terms
        if isinstance(booked, StalePeriod):
            booked = yield from ledger.again(booked, verbs.settle, entry, terms)
        if response is not _ABSENT:
            remember(response)
        charge = self._close("settled", booked, nanos, usage, estimated, truncated)
        if booked.news:
            yield from ledger.announce(booked, self._path, self.call)
        return charge

    def _answer(self, response: Any, usage: Usage | None) -> Answer | None:
        """What a response tells; None where it was charged already, to another hold."""
        if isinstance(response, Answer):
            return response
        answer = read_answer(response)
        known = self._ledger.charged.get(answer)  # to a covered client, which reserved for it by itself
        elsewhere = was_charged(response) or (known is not None and known.id != self.id)
        if elsewhere and self.state != "settled":
            return None
        usage = usage or self._ledger.hooks.read_usage(response)
        return answer if usage is None else replace(answer, usage=usage, cost_nanos=None, beyond=0, unsplit=0)

    def _charged_elsewhere(self) -> Steps[Charge]:
        """The answer was charged by somebody else: nothing is booked here, and what is in doubt stays so."""
        if self.state == "reserved":
            yield from self._release()
        elif self.charge is not None:
            return self.charge
        now_s = self._ledger.clock.now()
        return Charge(self.id, self.call, NO_USD, None, False, NO_USD, NO_USD, now_s)

    def _settle_unknown(self, observed: Usage | Money | None = None) -> Steps[Charge]:
        """Book a call whose cost cannot be known, as the budget's `unknown_outcome` says.

        A later settle corrects it by the exact difference.

        Args:
            observed: what the call cost at the least, as seen so far: usage, or USD.

        Raises:
            HoldClosed: it was released before.
        """
        self._check_process()
        seen = NOTHING
        usage = observed if isinstance(observed, Usage) and not observed.flaw else None
        if usage is not None:
            seen = Amounts(self._priced(usage, None, None) or 0, usage.tokens, 1)
        elif observed is not None and not isinstance(observed, Usage):
            seen = Amounts(to_nanos(observed), 0, 1)
        floor = self._ledger.policy.unknown_outcome
        if floor == "worst":
            least = self._held
        elif floor == "observed":
            sent, rates = self.call.input_tokens, self._asked.rates
            least = Amounts(rates.worst_case().nanos(sent, 0) if rates else self._held.usd, sent, 1)
        else:
            least = NOTHING
        amounts = Amounts(*(max(pair) for pair in zip(seen, least, strict=True)))
        booked = yield from self._ledger.book(verbs.doubt, self._entry(amounts, usage, True))
        if booked.repeated and self.charge is not None:
            return self.charge
        charge = self._close("in_doubt", booked, amounts.usd, usage, True)
        if booked.news:
            yield from self._ledger.announce(booked, self._path, self.call)
        return charge

    def _release(self, *, saved: Usage | None = None) -> Steps[None]:
        """Give the hold back: the call was provably never sent, or a cache answered it.

        Args:
            saved: the usage that a cache saved; it is counted as such.

        Raises:
            HoldClosed: it was settled before.
        """
        self._check_process()
        nanos = self._priced(saved, None, None) or 0
        yield from verbs.release(self.id, self._path, {"saved": nanos} if nanos else {})
        again = self.state == "released"
        self._ends_as("released")
        self._events.append(Event("release", self.call, to_usd(nanos)))
        if not again:
            self._ledger.hooks.released(self)

    def _extend(self, seconds: Duration | None = None) -> Steps[None]:
        """Start the lease anew, for calls that take longer.

        Args:
            seconds: the new lease from now on; the budget's own by default.

        Raises:
            HoldClosed: the hold is not open.
        """
        self._check_process()
        lease_ms = self._ledger.policy.terms.lease_ms
        if seconds is not None:
            lease_ms = int(to_seconds(seconds, "seconds") * 1000)
        yield from verbs.extend(self.id, self._path, lease_ms)

    def _resolve(self, error: BaseException, observed: Usage | None = None) -> Steps[None]:
        """Close the hold of a call that ended in an exception; does nothing if it is closed.

        Args:
            error: released if it proves that the call cost nothing, else booked as unknown.
            observed: what was seen of the answer before it broke.
        """
        if not self._open:
            return
        if observed is None and outcome_of(error) == "released":
            yield from self._release()
        else:
            yield from self._settle_unknown(observed)

    settle, asettle = blocking(_settle), awaitable(_settle)
    settle_unknown, asettle_unknown = blocking(_settle_unknown), awaitable(_settle_unknown)
    release, arelease = blocking(_release), awaitable(_release)
    extend, aextend = blocking(_extend), awaitable(_extend)
    resolve, aresolve = blocking(_resolve), awaitable(_resolve)

    def abandon(self, observed: Usage | None = None) -> None:
        """`settle_unknown` for finalisers, which may run anywhere, even inside the store.

        Touches no store: the outcome is booked before the ledger's next step.
        """
        if self._open:
            self._ledger.later(self._settle_unknown(observed))

    def keep(self) -> Hold:
        """Leave it to its lease where nobody closes it; else a hold that is dropped is booked as unknown.

        Returns:
            The hold.
        """
        self._watched = False
        return self

    def __del__(self) -> None:
        if self._watched and self._open and not sys.is_finalizing():
            self.abandon()
            with suppress(RecursionError):  # it may be collected at the end of a very deep stack
                logger.warning(_DROPPED, self.amount, self.call.model or self.call.tool or "a call")

    # -- the context ----------------------------------------------------------------------

    def cover(self) -> Cover:
        """Put the hold into the context, so that covered layers below do not reserve again."""
        return Cover(self.keep())

    def __enter__(self) -> Hold:
        self._cover = Cover(self.keep())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave(error):
            self._ledger.run(self._resolve(error) if error is not None else self._settle_unknown())

    async def __aenter__(self) -> Hold:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave(error):
            await self._ledger.arun(self._resolve(error) if error is not None else self._settle_unknown())

    def _leave(self, error: BaseException | None) -> bool:
        """True when the hold is still to be closed by a step of the store."""
        self._cover.close()
        if isinstance(error, GeneratorExit):
            self.abandon()
            return False
        return self._open

    @property
    def _open(self) -> bool:
        """True while it pays for a call of this process; what a forked child inherits is its parent's."""
        return self.state == "reserved" and self._forks == fork.count

    def _check_process(self) -> None:
        if self._forks != fork.count:
            raise HoldClosed(
                f"the hold {self.id!r:.80} was reserved before this process was forked; its parent settles it"
            )

    # -- booking --------------------------------------------------------------------------

    def _uncounted(self, usage: Usage) -> int:
        """The most that these counts can cost, in nano-dollars, where the provider did not tell the input."""
        worst = self._asked.worst
        return 0 if worst is None else worst.nanos(usage.input_tokens, usage.output_tokens)

    def _priced(
        self, usage: Usage | None, model: str | None, tier: str | None, sent: bool = False
    ) -> int | None:
        """Nano-dollars by the model that answered; None where that cannot be known."""
        if usage is None:
            return None
        rates = self._ledger.answer_rates(
            self.call, self._asked.rates, model, tier, sent=sent or self._asked.sent
        )
        if not rates:
            return None
        try:
            nanos = cost_nanos(rates[0], usage)
            if len(rates) > 1:  # the dearest holds
                nanos = max([cost_nanos(one, usage) for one in rates])
        except UnknownModel as error:
            logger.warning("call %s cannot be priced (%s); booked at its hold", self.id, error)
            return None
        return nanos if nanos <= MAX_NANOS else None

    def _entry(
        self, amounts: Amounts, usage: Usage | None, estimated: bool, truncated: bool = False
    ) -> Entry:
        tally = {} if usage is None else usage.tally()
        if estimated:
            tally["estimated"] = 1
        if self.clamped:
            tally["clamped"] = 1
            if truncated:
                tally["truncated"] = 1
        subject, calendars = self._asked.subject, self._ledger.calendars
        return new_tuple(Entry, (self.call.id, self._path, subject, amounts, tally, calendars, None))

    def _close(
        self,
        state: State,
        booked: Booked,
        nanos: int,
        usage: Usage | None,
        estimated: bool,
        truncated: bool = False,
    ) -> Charge:
        self._ends_as(state)
        call = self.call
        _, overrun_usd, repeated, _, now_ms, _ = booked
        self.charge = charge = new_charge(
            call.id,
            call,
            to_usd(nanos),
            usage,
            estimated,
            to_usd(overrun_usd) if overrun_usd else NO_USD,
            NO_USD,
            now_ms / 1000,
            self.clamped,
            truncated,
        )
        if overrun_usd:
            logger.warning("call %s cost %s more than its hold; it is booked", call.id, charge.overrun)
        if truncated:
            warn_once(self._events, self._truncation())
        if not repeated:
            self._events.append(new_tuple(Event, ("charge", call, charge, state)))
            self._ledger.hooks.settled(charge)
        return charge

    def _ends_as(self, state: State) -> None:
        self.state, self._watched = state, False
        if self._own is not None:
            self._own.open = False

    def explain(self, error: BaseException, *, cut: bool | None = False) -> None:
        """Note on an error that the answer was cut at a cap that the budget had lowered, if it was.

        Args:
            error: gets the note, once.
            cut: True where the answer said so before it was settled; None: it has not said yet why it ended.
        """
        certain = bool(cut) or (self.charge is not None and self.charge.truncated)
        if self.clamped and (certain or cut is None) and hasattr(error, "add_note"):
            note = f"bursar: {self._truncation(certain=certain)}"
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)

    def _truncation(self, *, certain: bool = True) -> str:
        return truncation(self._path, self.call, self.wanted_output_tokens, self.runs, certain=certain)

    def __repr__(self) -> str:
        return f"<Hold {redacted(self.id)} {self.state} ${self.amount}>"


class Cover(InContext[Hold]):
    """A hold in the context, from `cover` until `close`; also a context manager."""

    __slots__ = ()


def cover(hold: Hold) -> Cover:
    """Put a hold into the context of this thread or task; also a context manager."""
    return Cover(hold.keep())


def cover_text(hold: Hold, text: str) -> FoundByText[Hold]:
    """Let a hold pay for the request that sends a prompt, from whatever thread or task.

    For frameworks that send it from another context than they announce it in. Where the prompts of one
    request have a hold each, a covered SDK leaves all of them to who made them.

    Args:
        hold: what pays for it.
        text: the whole prompt.

    Returns:
        Also a context manager; ``close()`` ends it.
    """
    return FoundByText(hold.keep(), text)


def covered_hold() -> Hold | None:
    """The hold that pays for what is sent from here, or None: then reserve."""
    covered = innermost_cover()
    return covered.hold if covered is not None else None
