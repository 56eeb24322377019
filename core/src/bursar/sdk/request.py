"""One request of an SDK, with all the attempts that the SDK makes of it: held before each, settled after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ..errors import BudgetExceeded, BursarError, UnpriceableCall
from ..ledger.context import InContext, Promise, claimed, nearest
from ..ledger.conversion import converted
from ..ledger.hold import Hold, covered_hold
from ..ledger.own import taken
from ..ledger.steps import Steps
from ..pricing.outcome import outcome_of
from ..session import Session
from .body import attach
from .demand import Allowed, Demand, body_of
from .eventstream import Frames
from .room import room_left
from .settlement import Background, Meter

_FRAMED = "amazon.eventstream"


class Sending:
    """Sees that each attempt is held before it is sent.

    Args:
        client: the SDK's client.
        session: pays; None for a request that is free, and only asks after an answer.
        demand: what the request asks for.
        options: the request, as the SDK keeps it.
        background: holds of answers that are not made yet.
        read: what a client's request asks for.
        hold: that of the answer that is asked after.
        own: True where the client is wrapped: it always charges `session`.

    Attributes:
        options: the request that may be sent: its worst case is held.
        meter: books the attempt that is under way.
    """

    meter: Meter

    def __init__(
        self,
        client: object,
        session: Session | None,
        demand: Demand,
        options: Any,
        background: Background,
        read: Callable[[Any, Any], Demand],
        hold: Hold | None = None,
        *,
        own: bool = False,
    ) -> None:
        self.client = client
        self.options = self._given = options
        self._session = session
        self._demand = demand
        self._background = background
        self._read = read
        self._hold = hold
        self._own = own
        self._promise: Promise | None = None
        self._told: tuple[object, object] = (None, None)
        self._answered = False  # by the attempt that is under way
        self._room: int | None = None  # the output that an error answer has left to this request

    # -- before an attempt ----------------------------------------------------------------------

    def begin(self) -> None:
        """Take the hold that covers the request, or reserve one.

        Raises:
            BudgetExceeded: it does not fit.
            UnpriceableCall: nothing bounds its cost.
            UnknownModel: its model has no price.
        """
        if not self._claim():
            self._take(self._payer._ledger.run(self._reserve()))

    async def abegin(self) -> None:
        """`begin` without blocking the event loop."""
        if not self._claim():
            self._take(await self._payer._ledger.arun(self._reserve()))

    def refuse_unseen(self) -> None:
        """Called when the request is about to leave by a `request` that is not covered.

        Raises:
            BursarError: somebody would have to pay for it, and no hold of the caller's does.
        """
        session = self._session
        if session is None or covered_hold() is not None or not session._ledger.policy.terms.enforce:
            return
        raise BursarError(
            f"a call of this {type(self.client).__name__} goes around its budget: its `request` was taken, or"
            " replaced on the client by another library, before bursar covered it; cover it first, or send it"
            " within `with session.reserve(...)`"
        )

    def prepare(self, options: Any) -> None:
        """Hold what middleware sends next, if it sent before or changed the request, also in place.

        Raises:
            BudgetExceeded: it does not fit; the attempt must not be made.
            UnpriceableCall: nothing bounds its cost.
            UnknownModel: its model has no price.
        """
        if self._hold is None:
            self._payer._ledger.run(self._preparing(options))

    async def aprepare(self, options: Any) -> None:
        """`prepare` without blocking the event loop."""
        if self._hold is None:
            await self._payer._ledger.arun(self._preparing(options))

    def lend(self, options: Any) -> None:
        """Put what may be sent in the place of what is there."""
        options.json_data, options.extra_json = self.options.json_data, self.options.extra_json

    def lost(self, error: BaseException | None, response: Any) -> bool:
        """True when an attempt that failed may be on the bill, so that the next is to be held anew.

        An attempt that provably cost nothing leaves its hold to the next one.

        Args:
            error: why it failed; None where the SDK has only a response.
            response: the complete error answer, if there is one.
        """
        if self._hold is not None or (error is self._told[0] and response is self._told[1]):
            return False  # another layer of ours has been told
        self._told = error, response
        reason = error if response is None else _Status(response.status_code)
        if reason is not None and outcome_of(reason) == "released":
            self.meter.sent = False
            return False
        return True

    def hold_anew(self, options: Any) -> None:
        """Reserve for the next attempt; `options` will be sent, with an output cap lowered in place.

        Raises:
            BudgetExceeded: it does not fit; the attempt must not be made.
        """
        self._retake(self._payer._ledger.run(self._reserve()), options)

    async def ahold_anew(self, options: Any) -> None:
        """`hold_anew` without blocking the event loop."""
        self._retake(await self._payer._ledger.arun(self._reserve()), options)

    def _preparing(self, options: Any) -> Steps[None]:
        held = self.options
        same = options.json_data == held.json_data and options.url == held.url
        if self.meter.unused and same:
            return
        if not self._answered:
            yield from self.meter.giving_up()
        self._demand = self._read(self.client, options)
        if not self._demand.free:
            self._retake((yield from self._reserve()), options)

    def again(self, error: Exception) -> bool:
        """True when an error answer is to be met by another form of the request, on the same hold."""
        hold = self.meter.hold
        if hold.state != "reserved":
            return False
        demand = self._demand.again(error)
        if demand is not None:
            self._demand = demand
        elif not self._leaves_room(error):
            return False
        self._take(hold)
        return True

    def _leaves_room(self, error: Exception) -> bool:
        """True when an error answer says, for the first time, how much lower a cap of ours has to be."""
        hold, left = self.meter.hold, room_left(error)
        if left is None or self._room is not None:
            return False
        ours = body_of(self.options) != body_of(self._demand.fit(self._given, Allowed()))
        useful = max(hold._ledger.policy.smallest_cap or 1, int(self._demand.ask.get("clamp", True)))
        if not ours or not useful <= left < (hold.max_output_tokens or 0):
            return False
        self._room = left
        return True

    # -- after it -------------------------------------------------------------------------------

    def read(self, response: Any, *, stream: bool) -> bool:
        """Read an answer, or let its body be read as it passes; True when it can be booked now."""
        if self._answered or response.status_code >= 400:
            return False
        self._answered = True
        content = response.headers.get("content-type", "")
        document = "json" in content
        events = stream and not document
        if response.is_stream_consumed and not events:  # events may be there already: from a cache
            self.meter.reading.body(response.content)
            return True
        if _FRAMED in content:
            self.meter.events = Frames()
        attach(response, self.meter, document=document, events=events, client=self.client)
        return False

    def over(self, answer: Any) -> Any:
        """The answer that the caller gets; the hold is given back where nothing was sent for it."""
        if not self.meter.sent:
            self.meter.abandon()  # middleware had an answer of its own
        return answer

    # -- holds ----------------------------------------------------------------------------------

    @property
    def _payer(self) -> Session:
        return cast("Session", self._session)  # who only asks after an answer reserves nothing

    def _claim(self) -> bool:
        """True when the request has a hold already."""
        if self._hold is not None:
            demand = self._demand
            self.meter = Meter(self._hold, demand.reading(), self._background, polled=demand.polled)
            return True
        payment = claimed(self._demand.ask.get("messages"))
        if isinstance(payment, InContext):
            if not self._own and payment.hold.session is not None:
                self._session = payment.hold.session
            self._take(payment.hold, flat=self._demand.endpoint is not None or self._surcharge is not None)
            return True
        promise = nearest() if payment is None else payment
        if isinstance(promise, Promise):
            self._promise = promise
            self._session = self._session if self._own else promise.session
        offered = taken(self._payer, self._demand.ask.get("model"))
        if offered is not None:
            self._tell(offered)
            self._take(offered, flat=self._demand.endpoint is not None or self._surcharge is not None)
        return offered is not None

    @property
    def _surcharge(self) -> str | None:
        """Why the price of the model does not hold, if nobody gave it another one."""
        surcharge = self._demand.surcharge
        if surcharge is None or self._payer._ledger.prices.given(self._demand.ask.get("model")):
            return None
        return surcharge

    @property
    def _lowers(self) -> bool:
        """True where the budget may put a bound of its own into the request."""
        policy = self._payer._ledger.policy
        formats = policy.clamps_formats or not self._demand.ask.get("formatted")
        return policy.terms.enforce and policy.smallest_cap is not None and formats

    def _reserve(self) -> Steps[Hold]:
        demand, session = self._demand, self._payer
        model, ask = demand.ask.get("model"), demand.ask
        why_not, promise = demand.why_not or self._surcharge, self._promise
        if demand.unlowered is not None and not self._lowers:
            why_not = why_not or demand.unlowered
        asked = False
        while True:
            try:
                if why_not is not None or (demand.endpoint and not session._ledger.prices.given(model)):
                    allow_or_refuse(session, demand.endpoint, why_not)
                    ask = {"model": model, "tool": None if model else demand.endpoint, "cost": 0}
                hold = yield from session._reserve(**ask, sent=True)
                break
            except BursarError as error:
                raised = converted(error) if promise is None else promise.convert(error)
                if promise is not None and not asked and promise.may_be_asked_again(raised):
                    asked = True
                    continue
                if isinstance(raised, BudgetExceeded):
                    session.surface(raised)  # whoever called the SDK may swallow it
                if raised is error:
                    raise
                raise raised from error.__cause__
        try:
            self._tell(hold)
        except BaseException:  # the call is not made
            yield from hold._release()
            raise
        return hold

    def _tell(self, hold: Hold) -> None:
        """Tell the promise what pays for the request; raises what a listener does."""
        bearable = None if self._promise is None else self._promise.tell(hold)
        if bearable is not None and bearable < (hold.max_output_tokens or 0):
            self._room = bearable

    def _take(self, hold: Hold, *, flat: bool = False) -> None:
        allowed = Allowed.by(hold)
        if self._room is not None and allowed.cap is not None:
            allowed = allowed._replace(cap=min(allowed.cap, self._room), needed=True)
        self.options = self._demand.fit(self._given, allowed)
        hold.used = True
        self.meter = Meter(hold, self._demand.reading(), self._background, flat=flat)
        self._answered = False

    def _retake(self, hold: Hold, options: Any) -> None:
        self._given = options
        self._take(hold)
        self.lend(options)


def allow_or_refuse(session: Session, endpoint: str | None, why_not: str | None = None) -> None:
    """Let what nothing bounds pass, if the budget allows it, or never refuses.

    Raises:
        UnpriceableCall: it does not.
    """
    policy = session._ledger.policy
    if endpoint not in policy.allow and policy.terms.enforce:
        raise UnpriceableCall(
            why_not
            or f"nothing bounds beforehand what {endpoint!r} costs: let it pass with Budget(...,"
            f" allow=({endpoint!r},)), or send it within `with session.reserve(cost=...):`, which then"
            " pays for it",
            endpoint=endpoint,
        )


class _Status(Exception):
    """A complete error answer, for `outcome_of`."""

    def __init__(self, status_code: int) -> None:
        super().__init__(status_code)
        self.status_code = status_code
