"""Promises: an adapter says whose money a call is, and the covered SDK below holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import BursarError
from ..ledger.context import Promise, promise_of
from ..ledger.hold import Hold
from ..session import Session
from ..values.charge import Charge
from ..values.usage import Usage
from .refusals import raised_as


def cover_later(
    session: Session,
    *,
    raise_as: type[BaseException] | None = None,
    on_hold: Callable[[Hold], None] | None = None,
    on_refusal: Callable[[BursarError], bool | None] | None = None,
    call: object = None,
    texts: Iterable[str] = (),
) -> Promise:
    """Promise that a session pays for the next request that a covered SDK sends from this context.

    The SDK reserves for it, with its output cap lowered to what is left, and books it: retries, streams
    and errors included. A second request of the context, and a retry of one in doubt, are reserved from
    the session, too. Several promises may be made in one context: each request claims one.

    Args:
        session: who pays; also a part or a child session.
        raise_as: a class that is mixed into what the caller of the SDK gets for a refusal and for any
            other `bursar.BursarError` of the reserve; see `raised_as`.
        on_hold: called with each hold that is reserved on the promise. The adapter books nothing then. An
            error that it raises prevents the call.
        on_refusal: called with what the caller of the SDK is about to get. Where it returns True, the
            session is asked once more, for instance since its limit was raised.
        call: what tells the call from others, such as the framework's id of it. Where this context has a
            promise of the same account for the same call, that one is returned: the call is charged once.
        texts: texts that the request sends; they tell several promises of one context apart.

    Returns:
        The promise, a context manager: ``close()`` ends it; ``claimed`` is True once a request was sent
        on it. One that is over unclaimed although an answer came was not sent through a covered
        SDK; then the adapter has to book the answer, see `book_unclaimed`.
    """

    def convert(error: BursarError) -> BursarError:
        return error if raise_as is None else raised_as(error, raise_as)

    known = None if call is None else promise_of(call)
    if known is None or not known.session.is_same_account(session):
        known = Promise(session, convert, on_refusal, call, texts)
    if on_hold is not None:
        known.listeners.append(on_hold)
    return known


def promise_of_another(session: Session, call: object) -> Promise | None:
    """The promise of another account for the same call, in this context; or None.

    An SDK reserves for a call once. An adapter whose session pays for it beside another one listens to
    that one's promise, and reserves by itself for what the SDK is about to send.
    """
    known = promise_of(call)
    return None if known is None or known.session.is_same_account(session) else known


def book_unclaimed(
    session: Session,
    asked: Mapping[str, Any],
    usage: Usage | None,
    *,
    model: str | None = None,
    tier: str | None = None,
) -> Charge:
    """Book an answer that came although its promise was not claimed: it was sent by something uncovered.

    Args:
        session: who promised.
        asked: the arguments of `Session.reserve` for the call.
        usage: of the answer; None: the worst case of the call is booked.
        model: the model that answered.
        tier: the service tier it was served at.

    Raises:
        BudgetExceeded: it is booked, and a limit is exceeded now.
        UnknownModel: the model has no price; nothing was booked.
        UnpriceableCall: there is no usage, and the call has no bound; nothing was booked.
    """
    return session._ledger.run(session._book_unreserved(asked, usage, model, tier))


def note_saved(session: Session, asked: Mapping[str, Any], usage: Usage | None) -> None:
    """Count what a framework's cache saved of a call that was promised and not sent; it is free."""
    session._ledger.run(session._note_saved(asked, usage))
