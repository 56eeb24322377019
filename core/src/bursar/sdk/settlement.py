"""Settles the hold of one attempt, once, by what was read of the answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ..errors import BursarError, StoreError
from ..ledger.hold import Hold
from ..ledger.steps import Steps
from ..ledger.twice import note_charge
from ..runtime.log import logger
from .eventstream import Frames
from .reading import Reading
from .sse import Events, data_of

_PENDING_KEPT = 1_024


class Background:
    """Holds of answers that a provider makes in the background, until somebody asks for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holds: OrderedDict[str, Hold] = OrderedDict()

    def put(self, id: str, hold: Hold) -> None:
        """Remember the hold of an answer; the oldest of too many is left to its lease."""
        with self._lock:
            self._holds[id] = hold
            if len(self._holds) > _PENDING_KEPT:
                self._holds.popitem(last=False)

    @property
    def waits(self) -> bool:
        """True while there is a hold to ask after."""
        return bool(self._holds)

    def get(self, id: str) -> Hold | None:
        """The hold of an answer, if one is waiting."""
        return self._holds.get(id)

    def drop(self, id: str) -> None:
        """Forget an answer that has come."""
        with self._lock:
            self._holds.pop(id, None)


class Meter:
    """What an answer is read by, and the hold that it settles. The first outcome counts.

    No outcome raises for the store's sake: the call is paid for, and the caller gets its answer.
    What the store cannot take now is tried again with the ledger's next step.

    Args:
        hold: pays for the call.
        reading: reads the answer.
        background: where the hold waits for an answer that is not made yet.
        flat: True when the hold is the price, whatever usage is told.
        polled: the id of the answer that `background` has the hold of.

    Attributes:
        sent: False while the request has certainly not left the process.
        events: cuts a stream into events.
    """

    def __init__(
        self,
        hold: Hold,
        reading: Reading,
        background: Background,
        *,
        flat: bool = False,
        polled: str | None = None,
    ) -> None:
        self.hold = hold.keep()
        self.reading = reading
        self.sent = False
        self._background = background
        self._flat = flat
        self._polled = polled
        self.events: Events | Frames = Events()
        self._done = False

    # -- what passes by ---------------------------------------------------------------------

    def pass_on(self, chunk: bytes) -> bytes:
        """Read a piece of a stream of events; returns what the caller gets of it: whole events."""
        return b"".join(map(self.reading.event, self.events.feed(chunk)))

    def pass_rest(self) -> bytes:
        """Read what is left when a stream ends without a blank line."""
        rest, self.events.rest = self.events.rest, b""
        return self.reading.event(rest) if data_of(rest) else rest

    def explain(self, error: BaseException | None, client: object) -> None:
        """Note on an error of an SDK's helper that the budget had the answer cut, if it had.

        Args:
            error: why the answer is left before its end.
            client: of the SDK; an error that did not pass through its modules has another reason.
        """
        if error is not None and _passed(error, _package(client)):
            unsaid = isinstance(error, ValueError) and not self.reading.stopped  # text that cannot be parsed
            self.hold.explain(error, cut=self.reading.cut or (None if unsaid else False))

    # -- outcomes ---------------------------------------------------------------------------

    @property
    def unused(self) -> bool:
        """True while nothing was sent that the hold pays for, nor is known to come of it."""
        return not self.sent and not self._done

    @property
    def due(self) -> bool:
        """True once the provider said that the answer is over, until it is booked."""
        return (self.reading.ended or self.reading.broken) and not self._done

    def book(self) -> None:
        """Book what was read."""
        if self._take():
            self._run(self._booking)

    async def abook(self) -> None:
        """`book` without blocking the event loop; a cancellation books as well, and is raised."""
        if self._take():
            await self._arun(self._booking)

    def fail(self, error: Exception | None = None) -> None:
        """Book an attempt that failed: released if it provably cost nothing, else as unknown."""
        if self._take():
            self._run(lambda: self._failing(error))

    async def afail(self, error: Exception | None = None) -> None:
        """`fail` without blocking the event loop."""
        if self._take():
            await self._arun(lambda: self._failing(error))

    def abandon(self) -> None:
        """Nobody waits any more: book what was seen, before the ledger's next step.

        For finalisers, cancellations and interrupts: touches no store and waits for nothing.
        """
        if self._take():
            self.hold._ledger.later(self._booking() if self.sent else self._failing(None))

    def giving_up(self) -> Steps[None]:
        """`fail` as a part of other steps."""
        if self._take():
            yield from self._failing(None)

    # -- mechanism --------------------------------------------------------------------------

    def _take(self) -> bool:
        """True for the first outcome, if nobody closed the hold meanwhile."""
        first, self._done = not self._done, True
        return first and self.hold.state in ("reserved", "in_doubt")

    def _failing(self, error: Exception | None) -> Steps[None]:
        if self._polled is not None:
            return  # the answer is still in the making
        if not self.sent:
            yield from self.hold._release()
        elif error is not None:
            yield from self.hold._resolve(error)
        else:
            yield from self.hold._settle_unknown()

    def _booking(self) -> Steps[None]:
        hold, reading, answer = self.hold, self.reading, self.reading.answer
        known = answer is not None and answer.usage is not None and (reading.final or reading.ended)
        over = reading.stopped or reading.ended
        pending = reading.pending or (None if known or over or reading.broken else self._polled)
        if pending is not None:
            self._background.put(pending, hold)
            return
        if self._polled is not None:
            self._background.drop(self._polled)
        model, tier = (answer.model, answer.tier) if answer is not None else (None, None)
        cut = reading.cut or (answer is not None and answer.cut)
        if self._flat:
            yield from hold._settle(cost=hold.amount, cut=cut)
        elif known and answer is not None:
            charge = yield from hold._settle(
                answer, cut=cut, seen_tokens=reading.most_seen(hold.call), sent=True
            )
            hold._ledger.charged.add(answer, charge)
            hold.charged_by_sdk = True
            note_charge(hold, charge, answer.model)
        elif not over:
            yield from hold._settle_unknown(reading.estimate(hold.call))
        elif (usage := reading.estimate(hold.call)) is not None:
            yield from hold._settle(usage=usage, model=model, tier=tier, estimated=True, cut=cut, sent=True)
        else:
            yield from hold._settle(cost=hold.amount, estimated=True, cut=cut)

    def _run(self, steps: Callable[[], Steps[None]]) -> None:
        try:
            self.hold._ledger.run(steps())
        except BursarError as error:
            self._once_more(steps, error)

    async def _arun(self, steps: Callable[[], Steps[None]]) -> None:
        try:
            await self.hold._ledger.arun(steps())
        except BursarError as error:
            self._once_more(steps, error)
        except BaseException:
            self.hold._ledger.later(steps())
            raise

    def _once_more(self, steps: Callable[[], Steps[None]], error: BursarError) -> None:
        logger.warning("call %s could not be booked: %s", self.hold.id, error)
        if isinstance(error, StoreError):
            self.hold._ledger.later(steps())


def _passed(error: BaseException, package: str) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] == package:
            return True
        trace = trace.tb_next
    return False


def _package(client: object) -> str:
    """The SDK that a client is of, whoever made a class below its own."""
    (*_, base) = (cls for cls in type(client).__mro__ if "_build_request" in vars(cls))
    return base.__module__.partition(".")[0]
