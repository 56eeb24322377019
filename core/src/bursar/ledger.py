"""Moves paid calls through the store: reserve, then settle, release or doubt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .account import root_key
from .amounts import Amounts
from .ask import Ask
from .call import Call, Subject
from .charge import Charge
from .clock import Clock
from .errors import BudgetExceeded, BursarError, CallVetoed, StoreError
from .events import Event
from .fingerprint import fingerprint
from .frozen import new_tuple
from .hold import Hold
from .hooks import Hooks
from .ids import new_id
from .implementation import at_work
from .log import logger
from .money import NO_USD, to_usd
from .paid import Paid
from .policy import Policy, Terms
from .price import Rates
from .pricing import PriceBook
from .quote import quote
from .refusal import Refusal, booked_refusal, refusal
from .steps import Steps, arun, run
from .store.base import Booked, Entry, Granted, Path, Refused, Snapshot, StalePeriod, Store
from .store.mailbox import Trouble
from .usage import Usage
from .window import Calendar, calendar

if TYPE_CHECKING:
    from .session import Session

T = TypeVar("T")


class Announcer(Protocol):
    """Hands what an answer of the store has to tell to those who listen."""

    def send(self, answer: Granted | Refused | Booked, path: Path, call: Call, snapshot: Snapshot) -> None:
        """The tree after the answer is `snapshot`."""
        ...

    def listen(self, listener: Callable[[Any], object]) -> None:
        """One more who hears every alert."""
        ...

    def trouble(self, trouble: Trouble, at: float) -> None:
        """Bookings wait for the store, have landed, or are lost."""
        ...


@contextmanager
def _logged() -> Iterator[None]:
    """What a finaliser left behind must not fail the step that happens to come next."""
    try:
        yield
    except BursarError as error:
        logger.warning("an abandoned call could not be booked, and is when its lease ends: %s", error)


class Ledger:
    """One store, the prices and the policy of a budget; shared by all its sessions.

    Attributes:
        store: where the balances live.
        prices: what models cost.
        policy: what the budget has decided.
        clock: tells how long a session took; balances go by the store's own time.
        alerts: tells the listeners what an answer of the store has to tell.
        calendars: the periods of now by time zone, as the store last asked for them.
        hooks: asks the plugins and tells them.
        paid: the answers that were charged lately.
    """

    def __init__(
        self,
        store: Store,
        prices: PriceBook,
        policy: Policy,
        clock: Clock,
        alerts: Announcer,
        hooks: Hooks,
    ) -> None:
        self.store = store
        self.alerts = alerts
        self.prices = prices
        self.policy = policy
        self.clock = clock
        self.hooks = hooks
        self.paid = Paid()
        self._late: deque[Steps[Any]] = deque()
        self.calendars: Mapping[str, Calendar] = {}

    def run(self, steps: Steps[T]) -> T:
        """Carry out steps, after those that finalisers left behind. Within a plugin these wait."""
        while self._late and not at_work():
            with _logged():
                run(self._late.popleft(), self.store)
        return run(steps, self.store)

    async def arun(self, steps: Steps[T]) -> T:
        """The same without blocking the event loop."""
        while self._late and not at_work():
            with _logged():
                await arun(self._late.popleft(), self.store)
        return await arun(steps, self.store)

    def later(self, steps: Steps[Any]) -> None:
        """Leave steps to be carried out before the next ones; touches no store and no lock."""
        self._late.append(steps)

    def reserve(
        self, path: Path, ask: Ask, events: deque[Event], terms: Terms, session: Session
    ) -> Steps[Hold]:
        """Set the worst case of a call aside.

        Args:
            path: the accounts it is charged to, from the root.
            ask: what the call is.
            events: where the outcomes of the hold are noted.
            terms: of the budget, perhaps with its finalization reserve.
            session: whose call it is, for the plugins.

        Raises:
            BudgetExceeded: it does not fit, or a plugin refuses it; nothing was changed.
            UnknownModel: the model has no price.
            UnpriceableCall: the worst case has no bound.
        """
        id = new_id() if ask.key is None else f"{path[-1].key}:{ask.key}"
        asked = quote(ask, id, self.prices, self.policy)
        try:
            self.hooks.before_reserve(asked, session, path)
        except CallVetoed as error:
            self._refuse(asked.call, error, events)
            raise
        asked = self.hooks.estimated(asked)
        mark = None if ask.messages is None else self._fingerprint(ask, asked.call)
        entry = new_tuple(Entry, (id, path, asked.subject, asked.want, {}, self.calendars, mark))
        answer = yield "reserve", entry, asked.minimum, terms
        if isinstance(answer, StalePeriod):
            answer = yield from self.again(answer, "reserve", entry, asked.minimum, terms)
        if isinstance(answer, Refused):
            if answer.first:
                yield from self.announce(answer, path, asked.call)
            refused = refusal(answer, asked.call, self._loop_s)
            self._refuse(asked.call, refused, events)
            raise refused
        cap = asked.cap(answer.amounts)
        call = (
            asked.call if cap == asked.call.max_output_tokens else replace(asked.call, max_output_tokens=cap)
        )
        hold = Hold(self, path, call, asked, answer, events)
        try:
            if not answer.repeated:
                self.hooks.reserved(hold)
            if answer.news:
                yield from self.announce(answer, path, call)
        except BaseException:  # an interrupt: the call will not be made
            yield from hold._release()
            raise
        return hold

    def probe(self, path: Path, ask: Ask, terms: Terms) -> Steps[None]:
        """What a reserve would say; nothing is changed.

        Raises:
            BudgetExceeded: it would be refused.
            UnknownModel: the model has no price.
            UnpriceableCall: the worst case has no bound.
        """
        asked = self.hooks.estimated(quote(ask, new_id(), self.prices, self.policy))
        entry = Entry(asked.call.id, path, asked.subject, asked.want, {}, self.calendars)
        answer = yield "probe", entry, asked.minimum, terms
        if isinstance(answer, StalePeriod):
            answer = yield from self.again(answer, "probe", entry, asked.minimum, terms)
        if isinstance(answer, Refused) and (terms.enforce or answer.cause == "tripped"):
            raise refusal(answer, asked.call, self._loop_s)

    def charge(
        self, path: Path, call: Call, nanos: int, usage: Usage | None, events: deque[Event]
    ) -> Steps[Charge]:
        """Book what nobody held.

        Raises:
            BudgetExceeded: it is booked, and a limit is exceeded now.
        """
        if call.model is None:
            subject = Subject(call.kind, (), call.provider, call.tool)
        else:
            subject = self.prices.subject(call.model, call.provider, call.tool)
        tokens = usage.tokens if usage is not None else 0
        tally = usage.tally() if usage is not None else {}
        entry = Entry(call.id, path, subject, Amounts(nanos, tokens, 1), tally, self.calendars)
        booked = yield from self.book("book", entry)
        charge = Charge(call.id, call, to_usd(nanos), usage, False, NO_USD, NO_USD, booked.now_ms / 1000)
        events.append(Event("charge", call, charge, "settled"))
        self.hooks.settled(charge)
        if booked.news:
            yield from self.announce(booked, path, call)
        if booked.over is not None and self.policy.terms.enforce:
            raise booked_refusal(booked.over, charge)
        return charge

    def _refuse(self, call: Call, error: BudgetExceeded, events: deque[Event]) -> None:
        events.append(Event("refusal", call, str(error)))
        self.hooks.refused(Refusal(call, error, self.clock.now()))

    def announce(self, answer: Granted | Refused | Booked, path: Path, call: Call) -> Steps[None]:
        """Tell the listeners what is new; what fails of it is logged only."""
        try:
            snapshot: Snapshot = yield "read", root_key(path[0].key), None
        except StoreError as error:
            logger.error("an alert could not be sent: %s", error)
        else:
            self.alerts.send(answer, path, call, snapshot)

    def trouble(self, trouble: Trouble) -> None:
        """Bookings wait for the store, have landed, or are lost: the store says so."""
        self.alerts.trouble(trouble, self.clock.now())

    def late(self, entry: Entry, booked: Booked) -> None:
        """A booking landed that had to wait: tell what it has reached."""
        subject = entry.subject
        call = Call(entry.id, subject.kind, next(iter(subject.models), None), subject.provider, subject.tool)
        run(self.announce(booked, entry.path, call), self.store)

    def correct(self, path: Path, nanos: int) -> Steps[Charge]:
        """Book a difference, up or down; in windows it counts as of now."""
        call = Call(new_id(), "correction")
        entry = Entry(call.id, path, Subject("correction"), Amounts(nanos, 0, 0), {}, self.calendars)
        booked = yield from self.book("book", entry)
        if booked.news:
            yield from self.announce(booked, path, call)
        charge = Charge(call.id, call, to_usd(nanos), None, False, NO_USD, NO_USD, booked.now_ms / 1000)
        self.hooks.settled(charge)
        return charge

    def book(self, verb: str, entry: Entry) -> Steps[Booked]:
        """Write a charge: ``"settle"``, ``"doubt"`` or ``"book"``."""
        terms = self.policy.terms
        answer = yield verb, entry, terms
        if isinstance(answer, StalePeriod):
            answer = yield from self.again(answer, verb, entry, terms)
        booked: Booked = answer
        return booked

    def again(self, stale: StalePeriod, verb: str, entry: Entry, *arguments: Any) -> Steps[Any]:
        """Ask the store once more, with the calendar of its own time.

        Raises:
            StoreError: its clock jumps, so that no calendar is ever the right one.
        """
        answer: Any = stale
        for _ in range(3):
            now = {tz: calendar(answer.now_ms, tz) for tz in answer.zones}
            self.calendars = {**self.calendars, **now}
            answer = yield verb, entry._replace(periods=self.calendars), *arguments
            if not isinstance(answer, StalePeriod):
                return answer
        raise StoreError("the clock of the store jumps: it accepts no calendar period")

    @property
    def _loop_s(self) -> float | None:
        breaker = self.policy.terms.breaker
        return breaker.loop_ms / 1000 if breaker is not None else None

    def _fingerprint(self, ask: Ask, call: Call) -> str | None:
        breaker = self.policy.terms.breaker
        if breaker is None or breaker.max_repeated is None:
            return None
        return fingerprint(call.kind, call.model or call.tool, ask.messages)

    def answer_rates(
        self, call: Call, asked: Rates | None, model: str | None, tier: str | None
    ) -> Rates | None:
        """The rates of the model and tier that answered; those asked for where they are not known."""
        tier = self.policy.tier or tier or call.tier
        if asked is not None and tier == call.tier and (model is None or model == call.model):
            return asked
        found = self.prices.find(model, call.provider, tier) if model is not None else None
        if found is None and call.model is not None:
            found = self.prices.find(call.model, call.provider, tier)
        return asked if found is None else found
