"""The context of a call: the hold or promise that pays for it, and the session of its thread or task.

Whoever reserves first puts the hold into the context; a layer below that finds one there
sends on it instead of reserving again. So two layers never pay for one call. A layer that
knows a request is coming, and cannot change it, promises to pay: the layer that sends it reserves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

# -- holds and promises ---------------------------------------------------------------------


class Coverable(Protocol):
    """A hold, as far as the context looks at it."""

    used: bool

    @property
    def session(self) -> Any: ...

    @property
    def _open(self) -> bool: ...


H = TypeVar("H", bound=Coverable)


class Payment:
    """What pays for the next request of this context, from its making until `close`.

    Closing sets a flag that copies of the context share: callbacks that end a call
    often run in another context than those that began it, where a token would not fit.

    Attributes:
        active: False once the call is over.
        outer: the payment that this one lies in, or None.
        entered: the sessions that were entered when it was made.
    """

    __slots__ = ("_unclaimed", "active", "entered", "outer")

    def __init__(self) -> None:
        self.active = True
        self._unclaimed = [True]
        self.outer = innermost()
        self.entered = _entered.get()
        _innermost.set(self)

    @property
    def session(self) -> Any:
        """Who pays for what is sent beside the one request."""
        raise NotImplementedError

    @property
    def usable(self) -> bool:
        """True while it may pay for a request."""
        return self.active

    @property
    def claimed(self) -> bool:
        """True once a request was sent on it."""
        return not self._unclaimed

    def close(self) -> None:
        """The call is over; does nothing the second time."""
        self.active = False
        if _innermost.get() is self:
            _innermost.set(self.outer)

    def claim(self) -> bool:
        """True for the first request that is sent on it; it pays for one."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class InContext(Payment, Generic[H]):
    """A hold in the context.

    Attributes:
        hold: what pays for the call.
    """

    __slots__ = ("hold",)

    def __init__(self, hold: H) -> None:
        super().__init__()
        self.hold = hold

    @property
    def session(self) -> Any:
        return self.hold.session

    @property
    def usable(self) -> bool:
        return self.active and self.hold._open

    def claim(self) -> bool:
        """Not where a request was sent on the hold through a promise within it."""
        return not self.hold.used and super().claim()

    def __enter__(self) -> H:
        return self.hold


class FoundByText(InContext[H]):
    """A hold for a prompt that is sent from another context: found by its text instead.

    Args:
        hold: what pays for the call.
        text: the prompt, as the request has it.
    """

    __slots__ = ("text",)

    def __init__(self, hold: H, text: str) -> None:
        super().__init__(hold)
        _innermost.set(self.outer)  # not for what is sent from here
        self.text = text
        _by_text[id(self)] = self

    def close(self) -> None:
        super().close()
        _by_text.pop(id(self), None)


class Promise(Payment):
    """A session pays for the request that a covered SDK is about to send; the SDK reserves for it.

    Args:
        session: who pays.
        convert: the error that the caller of the SDK gets for one of ours.
        on_refusal: hears what the caller is about to get; returns True to ask the session once more.
        call: what tells the call from others: a promise for the same one is found by it.
        texts: what the request sends, to tell several promises of one context apart.

    Attributes:
        listeners: are told each hold that is reserved on the promise; one may refuse the call, or return
            the lower output cap that it can bear.
    """

    __slots__ = ("_on_refusal", "_session", "call", "convert", "listeners", "texts")

    def __init__(
        self,
        session: Any,
        convert: Callable[[Any], Any],
        on_refusal: Callable[[Any], object] | None = None,
        call: object = None,
        texts: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._session = session
        self._on_refusal = on_refusal
        self.convert = convert
        self.call = call
        self.listeners: list[Callable[[Any], int | None]] = []
        self.texts = frozenset(texts)

    @property
    def session(self) -> Any:
        return self._session

    def may_be_asked_again(self, refusal: Any) -> bool:
        """True where a limit was raised for a call that was refused."""
        return self._on_refusal is not None and self._on_refusal(refusal) is True

    def tell(self, hold: Any) -> int | None:
        """A hold was reserved on it. Returns: the lowest output cap that a listener asks for, if one does."""
        caps = [listener(hold) for listener in self.listeners]
        return min((cap for cap in caps if cap is not None), default=None)

    def __enter__(self) -> Promise:
        return self


_innermost: ContextVar[Payment | None] = ContextVar("bursar_payment", default=None)
_by_text: dict[int, FoundByText[Any]] = {}


def innermost() -> Payment | None:
    """The innermost payment that is not over, or None."""
    return _active(_innermost.get())


def innermost_cover() -> InContext[Any] | None:
    """The innermost hold in the context that is open, or None."""
    for payment in _payments():
        if isinstance(payment, InContext) and payment.usable:
            return payment
    return None


def claimed(sent: object = None) -> Payment | None:
    """What pays for the request that is about to be sent, claimed by it; or None.

    The innermost that is unclaimed; of several promises the one whose texts the request sends.

    Args:
        sent: the messages of the request.
    """
    if _innermost.get() is None and not _by_text:
        return None  # as in most programs
    unclaimed = [payment for payment in _payments() if payment.usable and not payment.claimed]
    promises = [payment for payment in unclaimed if isinstance(payment, Promise)]
    if len(promises) > 1 and unclaimed[0] is promises[0]:
        texts = frozenset(_texts(sent))
        promises.sort(key=lambda promise: not promise.texts <= texts)  # keeps the order of those alike
        unclaimed[:0] = promises
    found = _found_by_text(sent) if _by_text else []
    for payment in (*unclaimed, *found):
        if payment.claim():
            return payment
    return None


def is_held_by_prompt(sent: object) -> bool:
    """True for a request of several prompts that have a hold each: nobody pays for it as a whole.

    Args:
        sent: the prompts, as texts; and perhaps one more text, of all else that the request has.
    """
    return bool(_by_text) and len(_found_by_text(sent)) > 1


def is_found_by_text(sent: object) -> bool:
    """True for a request whose prompts have holds that were made in another context."""
    return bool(_by_text) and bool(_found_by_text(sent))


def _found_by_text(sent: object) -> list[FoundByText[Any]]:
    """The holds of a request's prompts; none, unless each prompt has one."""
    waiting = [held for held in list(_by_text.values()) if held.usable and not held.claimed]
    found, others = [], 0
    for prompt in sent if isinstance(sent, list | tuple) else ():
        held = next((one for one in waiting if one.text == prompt), None)
        if held is None:
            others += 1
        else:
            waiting.remove(held)
            found.append(held)
    return found if others <= 1 else []


def promise_of(call: object) -> Promise | None:
    """The promise of this context for a call, until a request is sent on it; or None."""
    for payment in _payments():
        if isinstance(payment, Promise) and payment.call == call and not payment.claimed:
            return payment
    return None


def _payments() -> Iterator[Payment]:
    payment = innermost()
    while payment is not None:
        yield payment
        payment = _active(payment.outer)


def _active(payment: Payment | None) -> Payment | None:
    while payment is not None and not payment.active:
        payment = payment.outer
    return payment


def _texts(value: object) -> Iterator[str]:
    """All texts in messages, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


# -- sessions -------------------------------------------------------------------------------

# No tokens: a `with` may end in another context than it began in, and a session may be entered twice.
_entered: ContextVar[tuple[Any, ...]] = ContextVar("bursar_sessions", default=())
_of_process: Any = None
_otherwise: Any = None
_inside = 0  # how often sessions that cover the SDKs are entered now, in the whole process


def enter(session: object) -> None:
    """Make a session the current one of this thread or task, and of the tasks that start from it."""
    _entered.set((*_entered.get(), session))


def leave(session: object) -> None:
    """Undo the last `enter` of the session in this context, if there was one."""
    entered = list(_entered.get())
    for at in reversed(range(len(entered))):
        if entered[at] is session:
            del entered[at]
            _entered.set(tuple(entered))
            return


@contextmanager
def paid_by(session: Any) -> Iterator[Any]:
    """Inside it the session is the current one."""
    enter(session)
    try:
        yield session
    finally:
        leave(session)


def count_inside(difference: int) -> None:
    """A session that covers the SDKs is entered, 1, or left, -1."""
    global _inside  # noqa: PLW0603 - of the process
    _inside += difference


def is_idle() -> bool:
    """True where nobody can pay from here, and nobody in the process would be told so."""
    return not (_inside or _of_process or _otherwise or _innermost.get() or _entered.get())


def is_somebody_inside() -> bool:
    """True while a session that covers the SDKs is entered, in whatever thread or task."""
    return _inside > 0


def pays_for_process(session: object | None) -> None:
    """The session of whatever runs outside of every ``with``, in all threads; None: nobody pays."""
    global _of_process  # noqa: PLW0603 - the state of the process
    _of_process = session


def of_process() -> Any:
    """The session that `pays_for_process` was told, or None."""
    return _of_process


def pays_otherwise(session: object | None) -> Any:
    """The session of whatever nobody else pays for, not even for the process; None: nobody pays.

    Returns:
        The one before it, or None.
    """
    global _otherwise
    before, _otherwise = _otherwise, session
    return before


def current() -> Any:
    """The session that was entered last and not left in this context, else that of the process, or None."""
    entered = _entered.get()
    return entered[-1] if entered else _outside()


def paying() -> Any:
    """The session that pays for a request that a covered SDK sends from here, or None.

    That of the innermost hold or promise, unless a session was entered since; else the innermost session
    that covers the SDKs.
    """
    payment = nearest()
    if payment is not None:
        return payment.session
    for session in reversed(_entered.get()):
        if session.covers:
            return session
    session = _outside()
    return session if session is not None and session.covers else None


def _outside() -> Any:
    """The session of what runs outside of every ``with``, or None."""
    return _otherwise if _of_process is None else _of_process


def nearest() -> Payment | None:
    """The innermost payment, unless a session was entered since it was made."""
    payment = _innermost.get()
    if payment is not None:
        payment = _active(payment)
    return None if payment is None or payment.entered != _entered.get() else payment
