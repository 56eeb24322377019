"""A call between its start hook and its end hook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast
from uuid import UUID

from bursar import Hold, Usage
from bursar.integration import Cover, FoundByText, Promise

from ._request import Request
from ._usage import TOKENS_PER_ANSWER, Result


@dataclass(slots=True, eq=False)
class Run:
    """A call of a model, or the run of a tool, and what pays for it.

    Attributes:
        id: LangChain's id of the run; callers may use one for several calls.
        given: the very objects that the start hook got; they tell the same call, heard twice,
            from another one with its id. None once it was booked as lost.
        parent: the run that this one belongs to.
        calls: how many inputs one hook was given; LangChain itself gives one.
        text: True for a model that completes text: it may be asked with several prompts at once.
        request: None for a run of a tool.
        batch: shared by the calls of one ``generate()``; all start hooks come before the first call.
        hold: what pays for it; None until a covered SDK has reserved on the promise.
        cover: keeps a covered SDK client below from reserving again.
        promise: says that a session pays for what a covered SDK is about to send.
        booking: books an answer that came although no SDK claimed the promise, or was free.
        task: the task that may die without an end hook, and what was told to watch it.
        root: the outermost run that it is in; its own id by default.
        doubted: True once it was booked as unknown because it seemed lost.
        number: grows with each start.
    """

    id: UUID
    given: tuple[object, ...] | None
    parent: UUID | None
    calls: int = 1
    text: bool = False
    request: Request | None = None
    batch: object = None
    hold: Hold | None = None
    cover: Cover | FoundByText[Hold] | None = None
    promise: Promise | None = None
    booking: Callable[[Result], None] | None = None
    task: tuple[asyncio.Task[Any], Callable[[object], None]] | None = None
    root: UUID | None = None
    doubted: bool = False
    number: int = field(default_factory=count().__next__)

    @property
    def is_open(self) -> bool:
        """False when a covered client below has closed the hold: it sees retries that we do not."""
        return self.doubted or self.hold is None or self.hold.state == "reserved"

    def is_call_of(self, other: Run) -> bool:
        """True when both are one call: heard by two handlers, or by one that is named twice."""
        mine, theirs = self.given, other.given
        if mine is None or theirs is None or self.id != other.id:
            return False
        return all(one is another for one, another in zip(mine, theirs, strict=True))

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
        hold = self.hold
        if self.booking is not None and not (self.promise is not None and self.promise.claimed):
            self.booking(result)
        if self.booking is not None or hold is None:
            return
        if result.cached:
            hold.release(saved=result.usage)
        elif result.usage is not None:
            hold.settle(usage=result.usage, model=result.model, tier=result.tier)
        elif not result.finished:
            hold.settle_unknown(self._by_text(result))  # the connection ended, and looked like an end
        elif self.request is None or self.request.hidden_output:
            hold.settle(cost=hold.amount, estimated=True)
        else:
            hold.settle(usage=self._by_text(result), model=result.model, tier=result.tier, estimated=True)

    def fail(self, error: BaseException, result: Result) -> None:
        """Book a call that ended in an error, by what arrived of its answer."""
        hold = self.hold
        if self.booking is not None or hold is None:
            if result.usage is not None or result.text_tokens:  # else nothing came, as far as we know
                self.settle(result)
            return
        seen = result.usage or (self._by_text(result) if result.text_tokens else None)
        if isinstance(error, GeneratorExit):
            hold.abandon(seen)  # perhaps the garbage collector's doing: no store may be touched
        elif result.usage is not None and result.finished and self.is_open:
            self.settle(result)
        else:
            hold.resolve(error, seen)

    def lose(self, error: BaseException | None = None) -> None:
        """Book a call whose end nobody has reported; a tool has run."""
        self.doubted, self.given, self.batch, self.task = True, None, None, None
        self.uncover()
        if self.booking is not None or self.hold is None:
            return
        if isinstance(error, GeneratorExit):
            self.hold.abandon()  # as in `fail`
        elif self.request is None:
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

    def _by_text(self, result: Result) -> Usage:
        """The most that an answer can have used, as far as it is visible; never above the hold."""
        call = cast("Hold", self.hold).call
        output_tokens = min(result.text_tokens or TOKENS_PER_ANSWER, call.n * call.max_output_tokens)
        return Usage(call.input_tokens, output_tokens)
