"""One paid call between a framework's hook before it and the hook after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from itertools import count
from operator import is_
from typing import Any

from ..errors import BursarError
from ..ledger.context import FoundByText, Promise
from ..ledger.hold import Cover, Hold
from ..ledger.ledger import Ledger
from ..ledger.steps import Steps
from ..pricing.response import Answer
from ..session import Session
from ..values.usage import Usage

TOKENS_PER_ANSWER = 16  # the marks around an answer and its tool calls, which are no text


@dataclass(frozen=True, slots=True)
class Result:
    """An answer, or the part of it that arrived.

    Attributes:
        usage: None when the provider's count did not arrive.
        model: the model that answered.
        tier: the service tier that it was served at, where it says so.
        cached: True when a cache of the framework's gave the answer.
        of_all: True when the usage may be that of several calls, which were sent together.
        finished: True when the provider said why it stopped.
        text_tokens: the most tokens that the visible output can have; 0 when there is none.
        cost_nanos: what the answer says that it cost, in nano-dollars.
    """

    usage: Usage | None = None
    model: str | None = None
    tier: str | None = None
    cached: bool = False
    of_all: bool = False
    finished: bool = False
    text_tokens: int = 0
    cost_nanos: int | None = None


@dataclass(slots=True, eq=False)
class OpenCall:
    """A call of a model, or the run of a tool, and what pays for it.

    A call that a covered SDK claimed is booked by the SDK: then every outcome here does nothing. The
    twins with an ``a`` await the store; the others block.

    Attributes:
        key: the framework's id of the call; callers may use one for several calls.
        given: objects of the call; they tell the same call, heard twice, from another one with its
            key; empty where the key alone tells. None: each is another, as is one that was booked as lost.
        parent: the key of the run that this one belongs to.
        calls: how many inputs one hook was given.
        is_tool: True for the run of a tool, which costs what was held.
        hidden: True when output may be billed that no answer shows.
        watched: True where the end of the task that it began in is its end, too. Not where the hook
            before the call runs in a task of its own.
        batch: shared by calls that are prepared together, before the first is made.
        metadata: the framework's, of the call; goes to its `Tally`.
        account: whose money it is; set when it is admitted.
        hold: what pays for it; None until a covered SDK has reserved on the promise.
        sent_on: the hold of another account that a covered SDK sent the request on: it saw the usage.
        cover: keeps a covered SDK client below from reserving again.
        promise: says that a session pays for what a covered SDK is about to send.
        booking: books an answer that came although no SDK claimed the promise, or was free.
        task: the task that may die without a hook, and what was told to watch it.
        doubted: True once it was booked as unknown because it seemed lost.
        number: grows with each call.
    """

    key: Hashable
    given: tuple[object, ...] | None = None
    parent: Hashable | None = None
    calls: int = 1
    is_tool: bool = False
    hidden: bool = True
    watched: bool = True
    batch: object = None
    metadata: object = None
    account: Session | None = None
    hold: Hold | None = None
    sent_on: Hold | None = None
    cover: Cover | FoundByText[Hold] | None = None
    promise: Promise | None = None
    booking: Callable[[Result], Steps[None]] | None = None
    task: tuple[asyncio.Task[Any], Callable[[object], None]] | None = None
    doubted: bool = False
    number: int = field(default_factory=count().__next__)

    @property
    def is_open(self) -> bool:
        """False when a covered client below has closed the hold: it sees retries that we do not."""
        return self.doubted or self.hold is None or self.hold.state == "reserved"

    def is_call_of(self, other: OpenCall) -> bool:
        """True when both are one call: heard by two adapters, or by one that is named twice."""
        mine, theirs = self.given, other.given
        if mine is None or theirs is None or self.key != other.key:
            return False
        return len(mine) == len(theirs) and all(map(is_, mine, theirs))

    def uncover(self) -> None:
        """What the context sends from here on is another call."""
        for payment in (self.cover, self.promise):
            if payment is not None:
                payment.close()

    def leave(self) -> None:
        """Its end has come: no task need be watched for it, and what is sent is another call."""
        self.uncover()
        if self.task is not None:
            self.task[0].remove_done_callback(self.task[1])

    def settle(self, result: Result) -> None:
        """Book an answer: by the provider's count, else by its text, else at the whole hold."""
        self._ledger.run(self._settle(result))

    async def asettle(self, result: Result) -> None:
        await self._ledger.arun(self._settle(result))

    def fail(self, error: BaseException, result: Result = Result()) -> None:
        """Book a call that ended in an error, by what arrived of its answer."""
        if isinstance(error, GeneratorExit):
            self._abandon(result)
        else:
            self._ledger.run(self._fail(error, result))

    async def afail(self, error: BaseException, result: Result = Result()) -> None:
        if isinstance(error, GeneratorExit):
            self._abandon(result)
        else:
            await self._ledger.arun(self._fail(error, result))

    def lose(self, error: BaseException | None = None) -> None:
        """Book a call whose end nobody has reported; a tool has run."""
        self.doubted, self.given, self.batch, self.task = True, None, None, None
        self.uncover()
        if self.booking is not None or self.hold is None:
            return
        if isinstance(error, GeneratorExit):
            self._abandon(Result())
        elif self.is_tool:
            self.pay()
        else:
            self.hold.settle_unknown()

    def withdraw(self) -> None:
        """Give back what was reserved for a call that is not made after all."""
        self.uncover()
        hold = self.hold
        if hold is not None and self.booking is None and hold.state == "reserved":
            hold.release()

    def pay(self) -> None:
        """Book the run of a tool: it costs what was held."""
        if self.hold is not None:
            self.hold.settle(cost=self.hold.amount)

    async def apay(self) -> None:
        if self.hold is not None:
            await self.hold.asettle(cost=self.hold.amount)

    @property
    def _ledger(self) -> Ledger:
        """Carries the steps out; there is none before the call is admitted."""
        paying = self.hold or self.account
        if paying is None:
            raise BursarError(f"the call {self.key!r:.80} was not admitted, so that nobody pays for it")
        return paying._ledger

    def _settle(self, result: Result) -> Steps[None]:
        hold = self.hold
        seen = None if self.sent_on is None else self.sent_on.charge
        if seen is not None and result.usage is None:
            result = replace(result, usage=seen.usage)
        if self.booking is not None:
            if self.promise is None or self.promise.claim():  # once, whoever else has heard of the call
                yield from self.booking(result)
        elif hold is None or not self.is_open:
            return
        elif result.cached:
            yield from hold._release(saved=result.usage)
        elif result.usage is not None:
            answer = Answer(result.usage, result.model, result.tier, cost_nanos=result.cost_nanos)
            most = hold.call.n * hold.call.max_output_tokens
            shown = most if self.hidden and result.text_tokens else result.text_tokens
            yield from hold._settle(answer, seen_tokens=shown)
        elif not result.finished:
            yield from hold._settle_unknown(_by_text(hold, result))  # it broke, and looked like an end
        elif self.hidden:
            yield from hold._settle(cost=hold.amount, estimated=True)
        else:
            usage = _by_text(hold, result)
            yield from hold._settle(usage=usage, model=result.model, tier=result.tier, estimated=True)

    def _fail(self, error: BaseException, result: Result) -> Steps[None]:
        hold = self.hold
        if self.booking is not None or hold is None:
            if result.usage is not None or result.text_tokens:  # else nothing came, as far as we know
                yield from self._settle(result)
        elif result.usage is not None and result.finished:
            yield from self._settle(result)
        else:
            yield from hold._resolve(error, _seen(hold, result))

    def _abandon(self, result: Result) -> None:
        """It was left, perhaps by the garbage collector: no store may be touched."""
        if self.booking is None and self.hold is not None:
            self.hold.abandon(_seen(self.hold, result))
        elif result.usage is not None or result.text_tokens:
            self._ledger.later(self._settle(result))


def _seen(hold: Hold, result: Result) -> Usage | None:
    """What was seen of an answer before it broke; None: nothing."""
    return result.usage or (_by_text(hold, result) if result.text_tokens else None)


def _by_text(hold: Hold, result: Result) -> Usage:
    """The most that an answer can have used, as far as it is visible; never above the hold."""
    call = hold.call
    output_tokens = min(result.text_tokens or TOKENS_PER_ANSWER, call.n * call.max_output_tokens)
    return Usage(call.input_tokens, output_tokens)
