"""Before a call: its payer promises that a covered SDK holds it, or its whole worst case is held here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..coverage import covered_sdks
from ..errors import BudgetExceeded, BursarError, HoldClosed, UnknownModel
from ..ledger.context import Promise
from ..ledger.hold import Hold, cover_text
from ..ledger.steps import Steps
from ..runtime.log import logger
from .calls import OpenCall, Result
from .costs import Costs, Tally
from .open_calls import OpenCalls, withdraw
from .payers import Payer
from .promises import cover_later, promise_of_another
from .refusals import raised_as

_elsewhere: set[object] = set()  # kinds of clients whose answers came around the SDK


def is_sent_by(sdk: str | None, kind: object) -> bool:
    """True where a covered SDK sends the requests of a kind of client, as far as is known.

    Args:
        sdk: the name of the SDK that the framework's client is made of, such as ``"openai"``; None: of none.
        kind: what tells the kind of client from others, such as its class or the name of that; hashable.

    Raises:
        BursarError: the SDK cannot be covered.
    """
    return sdk is not None and kind not in _elsewhere and sdk in covered_sdks(sdk)


def came_around(kind: object) -> None:
    """An answer came although no covered SDK sent its request: this kind of client is held from now on."""
    if kind not in _elsewhere:
        _elsewhere.add(kind)
        logger.error(
            "%s did not send its request through the covered SDK (a client or a subclass of its own):"
            " the answer is booked, and every further call of this kind is held at its worst case beforehand",
            ".".join(map(str, kind)) if isinstance(kind, tuple) else kind,
        )


class Admission:
    """Reserves for the calls of one adapter, or promises to pay. Nothing is sent before it agrees.

    Args:
        calls: remembers what was admitted.
        costs: counts it.
        raise_as: the class that the framework lets through; see `raised_as`.
        prefix: of the keys of holds: the framework's name.
        on_refusal: told each refusal that is about to be raised, and whose money it is about.
        on_budget: asked once about a refusal; where it returns True, for instance since a person has raised
            the limit, the call is tried once more.
    """

    def __init__(
        self,
        calls: OpenCalls,
        costs: Costs,
        *,
        raise_as: type[BaseException],
        prefix: str,
        on_refusal: Callable[[BursarError, Payer], None] | None = None,
        on_budget: Callable[[BudgetExceeded], object] | None = None,
    ) -> None:
        self._calls = calls
        self._costs = costs
        self._raise_as = raise_as
        self._prefix = prefix
        self._on_refusal = on_refusal
        self._on_budget = on_budget

    def admit(
        self,
        call: OpenCall,
        payer: Payer,
        asked: Mapping[str, Any],
        *,
        name: str,
        sdk: str | None = None,
        kind: object = None,
        text: str | None = None,
        hold: Callable[[set[str]], Hold] | None = None,
    ) -> bool:
        """Let a call be made; False when this very call was heard before.

        Args:
            call: it is remembered, with what pays for it.
            payer: who pays.
            asked: the arguments of `Session.reserve`.
            name: of the call, for the report.
            sdk: the SDK that sends its request, where a promise will do; see `is_sent_by`.
            kind: of the client that sends it; each SDK has one by default.
            text: the whole prompt, where another task sends it, which finds the hold by it; see `cover_text`.
            hold: reserves by itself, given the ids of holds that are taken; instead of `reserve_once`, and of
                a promise.

        Raises:
            BursarError: the call must not be made; in a class that the framework lets through.
        """
        return payer.account._ledger.run(self._admit(call, payer, asked, name, sdk, kind, text, hold))

    async def aadmit(
        self,
        call: OpenCall,
        payer: Payer,
        asked: Mapping[str, Any],
        *,
        name: str,
        sdk: str | None = None,
        kind: object = None,
        text: str | None = None,
    ) -> bool:
        """`admit` without blocking the event loop; await it in the context that sends the request."""
        return await payer.account._ledger.arun(self._admit(call, payer, asked, name, sdk, kind, text, None))

    def _admit(
        self,
        call: OpenCall,
        payer: Payer,
        asked: Mapping[str, Any],
        name: str,
        sdk: str | None,
        kind: object,
        text: str | None,
        hold: Callable[[set[str]], Hold] | None,
    ) -> Steps[bool]:
        kind = (self._prefix, sdk) if kind is None else kind
        if any(other.is_call_of(call) for other in self._calls.known(call.key)):
            return False
        call.account = payer.account
        try:
            tally = self._costs.open(call.key, call.parent, name, call.metadata)
            promised = None if text is not None or sdk is None else self._promised(call, payer)
            if promised is not None:
                self._listen(promised, call, payer, asked, kind, tally)
            elif text is None and hold is None and is_sent_by(sdk, kind):
                self._promise(call, payer, asked, kind, tally)
            else:
                call.hold = yield from self._hold(call, payer, asked, hold)
                tally.pays(call.hold)
                if not call.is_tool:
                    call.cover = call.hold.cover() if text is None else cover_text(call.hold, text)
            self._calls.add(call)
        except BaseException as error:  # also a bug, or an interrupt: nothing was sent
            withdraw(call)
            call.withdraw()
            self._costs.close(call.key)
            if isinstance(error, BursarError):
                raise self.refused(error, payer) from error.__cause__
            raise
        return True

    def refused(self, error: BursarError, payer: Payer) -> BursarError:
        """The error that the framework gets for one of ours; a refusal is noted as raised into it."""
        raised = raised_as(error, self._raise_as)
        self._note(raised, payer)
        if isinstance(raised, BudgetExceeded):
            payer.session.surface(raised)
        return raised

    def _hold(
        self,
        call: OpenCall,
        payer: Payer,
        asked: Mapping[str, Any],
        hold: Callable[[set[str]], Hold] | None,
    ) -> Steps[Hold]:
        """A hold for the whole worst case; the refusal may be asked about once."""
        taken, may_ask = self._taken(call), True
        while True:
            try:
                if hold is not None:
                    return hold(taken)
                return (yield from _reserve_once(payer, self._key(call), taken, asked))
            except BudgetExceeded as refusal:
                if not (may_ask and self._may_ask_again(raised_as(refusal, self._raise_as))):
                    raise
                may_ask = False

    def _may_ask_again(self, refusal: BursarError) -> bool:
        """True where somebody raised a limit for the call."""
        if self._on_budget is None or not isinstance(refusal, BudgetExceeded):
            return False
        return self._on_budget(refusal) is True

    def _identity(self, call: OpenCall) -> object:
        """What tells a call from others, to all adapters of the framework that hear of it."""
        return self._prefix, call.key, tuple(map(id, call.given or ()))

    def _promised(self, call: OpenCall, payer: Payer) -> Promise | None:
        return promise_of_another(payer.account, self._identity(call))

    def _promise(
        self, call: OpenCall, payer: Payer, asked: Mapping[str, Any], kind: object, tally: Tally
    ) -> None:
        """Say that the payer pays for what the SDK sends; it reserves, and books."""

        def reserved(hold: Hold) -> None:
            call.hold = hold
            tally.pays(hold)

        def refused(refusal: BursarError) -> bool:
            if self._may_ask_again(refusal):
                return True
            self._note(refusal, payer)
            return False

        call.booking = self._books_unclaimed(payer, asked, kind)
        call.promise = cover_later(
            payer.account,
            raise_as=self._raise_as,
            on_hold=reserved,
            on_refusal=refused,
            call=self._identity(call),
            texts=texts_of(asked.get("messages")),
        )

    def _listen(
        self,
        promised: Promise,
        call: OpenCall,
        payer: Payer,
        asked: Mapping[str, Any],
        kind: object,
        tally: Tally,
    ) -> None:
        """Another account has promised for the same call: hold beside it what it is about to send."""
        call.booking = self._books_unclaimed(payer, asked, kind)
        promised.listeners.append(lambda hold: self._hold_beside(call, payer, asked, hold, tally))

    def _books_unclaimed(
        self, payer: Payer, asked: Mapping[str, Any], kind: object
    ) -> Callable[[Result], Steps[None]]:
        """Books an answer that came although no SDK reserved for it."""

        def book(result: Result) -> Steps[None]:
            if result.cached:
                yield from payer.account._note_saved(asked, result.usage)
                return
            came_around(kind)
            try:
                yield from payer.account._book_unreserved(asked, result.usage, result.model, result.tier)
            except BudgetExceeded as refusal:  # it is booked; the next call is refused
                self._note(refusal, payer)

        return book

    def _hold_beside(
        self, call: OpenCall, payer: Payer, asked: Mapping[str, Any], hold: Hold, tally: Tally
    ) -> int | None:
        """Another account has reserved for the same call: reserve here for what it is about to send.

        Returns:
            The output cap that this account can bear.

        Raises:
            BursarError: the call must not be made.
        """
        call.sent_on = hold
        if call.hold is not None:
            return call.hold.max_output_tokens  # a retry of the SDK's, which no adapter sees
        call.booking = None  # the hold is settled instead
        sent = {**asked, "messages": None, "input_tokens": hold.call.input_tokens, "clamp": True}
        sent["max_output_tokens"] = hold.max_output_tokens
        try:
            call.hold = reserve_once(payer, self._key(call), self._taken(call), sent)
        except BursarError as error:
            withdraw(call)
            raise self.refused(error, payer) from None
        tally.pays(call.hold)
        return call.hold.max_output_tokens

    def _key(self, call: OpenCall) -> str:
        return f"{self._prefix}:{call.key}"

    def _taken(self, call: OpenCall) -> set[str]:
        """The holds of the other open calls with the key of this one."""
        others = (other for other in self._calls.known(call.key) if other is not call)
        return {other.hold.id for other in others if other.hold is not None}

    def _note(self, refusal: BursarError, payer: Payer) -> None:
        if self._on_refusal is not None:
            self._on_refusal(refusal, payer)


def reserve_once(payer: Payer, key: str, taken: set[str], asked: Mapping[str, Any]) -> Hold:
    """A hold of this call's own, for a request that nobody can change any more.

    Callers may choose keys, and use one for several calls: each has its own hold; two adapters of one
    session get the same one.

    Args:
        payer: who pays.
        key: of the call.
        taken: the ids of holds that pay for other calls.
        asked: the arguments of `Session.reserve`. A model that the provider ``"openai"`` does not have is
            looked up by its name alone: its client talks to other hosts, too.

    Raises:
        BursarError: the call must not be made.
    """
    return payer.account._ledger.run(_reserve_once(payer, key, taken, asked))


async def areserve_once(payer: Payer, key: str, taken: set[str], asked: Mapping[str, Any]) -> Hold:
    """`reserve_once` without blocking the event loop."""
    return await payer.account._ledger.arun(_reserve_once(payer, key, taken, asked))


def _reserve_once(payer: Payer, key: str, taken: set[str], asked: Mapping[str, Any]) -> Steps[Hold]:
    wanted = {"clamp": False, "sent": True, **asked}
    count = 0
    while True:
        try:
            hold = yield from payer.account._reserve(key=f"{key}:{count}" if count else key, **wanted)
        except HoldClosed:
            count += 1  # the key was used for another call
            continue
        except UnknownModel:
            if wanted.get("provider") != "openai":
                raise
            wanted["provider"] = None
            continue
        if hold.state == "reserved" and hold.id not in taken:
            return hold
        count += 1


def texts_of(messages: Sequence[Any] | str | None) -> Iterator[str]:
    """The texts of messages, as the request has them, too."""
    if isinstance(messages, str):
        yield messages
        return
    for item in messages or ():
        content = item.get("content") if isinstance(item, Mapping) else item
        if isinstance(content, str) and content:
            yield content
