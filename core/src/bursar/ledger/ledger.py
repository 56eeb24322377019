"""`Ledger`: the store, prices and policy of a budget; moves paid calls through the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

from ..errors import BursarError, StoreError
from ..pricing.book import PriceBook
from ..pricing.price import Rates
from ..reports.events import Event
from ..runtime import fork
from ..runtime.clock import Clock
from ..runtime.fast_init import new_tuple
from ..runtime.ids import new_id
from ..runtime.log import logger
from ..store.base import Store
from ..store.entry import Entry, Path
from ..store.results import Booked, Granted, Refused, StalePeriod
from ..store.undelivered import Trouble
from ..store.views import Snapshot
from ..values.account import root_key
from ..values.amounts import Amounts
from ..values.call import Call, Subject
from ..values.charge import Charge, new_charge
from ..values.money import NO_USD, to_usd
from ..values.policy import Policy, Terms
from ..values.usage import Usage
from ..values.window import Calendar, calendar
from . import verbs
from .deduplication import ChargedAnswers
from .hook_call import at_work
from .hooks import Hooks
from .queue import Queue, queue_of
from .reading import read_session
from .refusals import booked_refusal
from .steps import Steps, arun, run

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


_ENDED, _ENDED_S = 64, 1_800  # sessions that have ended are told to the store together, or after half an hour


def _end(keys: tuple[str, ...]) -> Steps[None]:
    """Tell the store which sessions have ended; else it drops them a week after their last call."""
    for root in dict.fromkeys(map(root_key, keys)):
        yield from verbs.end(root, tuple(key for key in keys if root_key(key) == root))


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
        charged: the answers that were charged lately.
        twice_told: True once the log says that a call was charged by a covered SDK and booked by hand.
        renewal_told: its user was warned of a limit that counts anew at each start.
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
        self.charged = ChargedAnswers()
        self.twice_told = False
        self.renewal_told = False
        self._late: deque[Steps[Any]] = deque()
        self._queue: Queue | None = None
        self._ended: deque[str] = deque()
        self._told_s = clock.now()
        self._warned_of_tier = False
        self.calendars: Mapping[str, Calendar] = {}

    def run(self, steps: Steps[T]) -> T:
        """Carry out steps, after those that finalisers left behind. Within a plugin these wait."""
        if self._ended:
            self._tell_ended()
        while self._late and not at_work():
            with _logged():
                run(self._late.popleft(), self.store, self._made_room)
        return run(steps, self.store, self._made_room)

    async def arun(self, steps: Steps[T]) -> T:
        """The same without blocking the event loop."""
        if self._ended:
            self._tell_ended()
        while self._late and not at_work():
            with _logged():
                await arun(self._late.popleft(), self.store, self._made_room)
        return await arun(steps, self.store, self._made_room)

    def leftovers(self) -> Steps[None]:
        """Carry out what finalisers left behind, in the midst of other steps."""
        while self._late:
            with _logged(), suppress(IndexError):  # another thread takes them, too
                yield from self._late.popleft()

    def queue(self, path: Path) -> Queue:
        """Where the calls of this process wait for others in a tree."""
        queue, root = self._queue, path[0].key
        if queue is None or queue.root != root or queue.forks != fork.count:
            queue = self._queue = queue_of(self.store, root)
        return queue

    def _made_room(self, verb: str, *arguments: Any) -> None:
        """There may be more room now: those who wait for it are woken."""
        first = arguments[0]
        path = first.path if type(first) is Entry else arguments[1] if verb == "release" else first
        self.queue(path).tell(path, below=path is first)

    def ended(self, key: str) -> None:
        """Nobody can name this session again: the store is told later; touches no store and no lock."""
        self._ended.append(key)

    def _tell_ended(self) -> None:
        """Have the store told before the next step, when there are many, or when it was not told for long."""
        now_s = self.clock.now()
        if len(self._ended) < _ENDED and now_s - self._told_s < _ENDED_S:
            return
        keys: list[str] = []
        self._told_s = now_s
        with suppress(IndexError):  # another thread takes them, too
            while len(keys) < _ENDED:
                keys.append(self._ended.popleft())
        self.later(_end(tuple(keys)))

    def later(self, steps: Steps[Any]) -> None:
        """Leave steps to be carried out before the next ones; touches no store and no lock."""
        self._late.append(steps)
        if self._queue is not None:
            self._queue.stir()

    def charge(
        self,
        path: Path,
        call: Call,
        nanos: int,
        usage: Usage | None,
        events: deque[Event],
        *,
        estimated_tokens: int | None = None,
    ) -> Steps[Charge]:
        """Book what nobody held.

        Args:
            path: the accounts it is charged to, from the root.
            call: what it is for.
            nanos: what it cost.
            usage: its token counts, where known.
            events: where it is noted.
            estimated_tokens: the tokens of a charge that is a guess.

        Raises:
            BudgetExceeded: it is booked, and a limit is exceeded now.
        """
        if call.model is None:
            subject = Subject(call.kind, (), call.provider, call.tool)
        else:
            subject = self.prices.subject(call.model, call.provider, call.tool)
        guessed = estimated_tokens is not None
        tokens = usage.tokens if usage is not None else estimated_tokens or 0
        tally = usage.tally() if usage is not None else {}
        if guessed:
            tally["estimated"] = 1
        amounts = new_tuple(Amounts, (nanos, tokens, 1))
        entry = new_tuple(Entry, (call.id, path, subject, amounts, tally, self.calendars, None))
        booked = yield from self.book(verbs.book, entry)
        at_s = booked.now_ms / 1000
        charge = new_charge(call.id, call, to_usd(nanos), usage, guessed, NO_USD, NO_USD, at_s)
        events.append(new_tuple(Event, ("charge", call, charge, "settled")))
        self.hooks.settled(charge)
        if booked.news:
            yield from self.announce(booked, path, call)
        if booked.over is not None and self.policy.terms.enforce:
            raise booked_refusal(booked.over, charge)
        return charge

    def announce(self, answer: Granted | Refused | Booked, path: Path, call: Call) -> Steps[None]:
        """Tell the listeners what is new; what fails of it is logged only."""
        try:
            snapshot = yield from read_session(path)
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
        self.queue(entry.path).tell(entry.path)
        run(self.announce(booked, entry.path, call), self.store)

    def correct(self, path: Path, nanos: int) -> Steps[Charge]:
        """Book a difference, up or down; in windows it counts as of now."""
        call = Call(new_id(), "correction")
        entry = Entry(call.id, path, Subject("correction"), Amounts(nanos, 0, 0), {}, self.calendars)
        booked = yield from self.book(verbs.book, entry)
        if booked.news:
            yield from self.announce(booked, path, call)
        charge = Charge(call.id, call, to_usd(nanos), None, False, NO_USD, NO_USD, booked.now_ms / 1000)
        self.hooks.settled(charge)
        return charge

    def book(
        self, verb: Callable[[Entry, Terms], Steps[Booked | StalePeriod]], entry: Entry
    ) -> Steps[Booked]:
        """Write a charge, by `verbs.settle`, `verbs.doubt` or `verbs.book`."""
        terms = self.policy.terms
        answer = yield from verb(entry, terms)
        if isinstance(answer, StalePeriod):
            answer = yield from self.again(answer, verb, entry, terms)
        return answer

    def again(
        self, stale: StalePeriod, verb: Callable[..., Steps[Any]], entry: Entry, *arguments: Any
    ) -> Steps[Any]:
        """Ask the store once more, with the calendar of its own time.

        Raises:
            StoreError: its clock jumps, so that no calendar is ever the right one.
        """
        answer: Any = stale
        for _ in range(3):
            now = {tz: calendar(answer.now_ms, tz) for tz in answer.zones}
            self.calendars = {**self.calendars, **now}
            answer = yield from verb(entry._replace(periods=self.calendars), *arguments)
            if not isinstance(answer, StalePeriod):
                return answer
        raise StoreError("the clock of the store jumps: it accepts no calendar period")

    def warn_of_tier(self, call: Call) -> None:
        """Warn, once, that a declared tier does not make a request cheaper."""
        if not self._warned_of_tier:
            self._warned_of_tier = True
            logger.warning(
                "tier=%r of the budget holds for what is reserved or recorded by hand, as that of a batch; a"
                " request to %r is priced at the tier that it is sent with (%s)",
                self.policy.tier,
                call.model,
                call.tier or "standard",
            )

    def tiers(
        self, told: str | None, asked: str | None = None, *, sent: bool = False
    ) -> tuple[str | None, ...]:
        """The tiers that a call may be billed at. By hand a tier that the budget declares holds alone.

        Args:
            told: what the answer says.
            asked: what the call was priced at before it was sent.
            sent: True when a request was answered, as opposed to what is told by hand.
        """
        declared = self.policy.tier
        if declared is None:
            return (told or asked,)
        if sent:
            return declared, told or (None if asked == declared else asked)
        return (declared,)

    def answer_rates(
        self, call: Call, asked: Rates | None, model: str | None, tier: str | None, *, sent: bool = False
    ) -> tuple[Rates, ...]:
        """The rates of the model that answered, at each tier that it may be billed at: the dearest holds.

        Those asked for where they are not known, and where the user gave the requested model its price.

        Args:
            call: what was asked for.
            asked: the rates that it was held at.
            model: who answered, where it says so.
            tier: the tier that it says.
            sent: True when a request was answered: a tier that the budget declares is no cheaper then.
        """
        standard = self.policy.tier is None and (tier is None or tier == call.tier)
        if standard and asked is not None and (model is None or model == call.model):
            return (asked,)  # as of most calls
        tiers = self.tiers(tier, call.tier, sent=sent)
        found = (self._answer_rates(call, asked, model, one) for one in tiers)
        return tuple(rates for rates in found if rates is not None)

    def _answer_rates(
        self, call: Call, asked: Rates | None, model: str | None, tier: str | None
    ) -> Rates | None:
        requested = call.model
        if asked is not None and tier == call.tier and (model is None or model == requested):
            return asked
        return self.prices.of_answer(asked, requested, call.provider, model, tier)
