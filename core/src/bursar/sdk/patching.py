"""Where requests leave through an SDK: one place for every surface, sync and async.

The SDKs of OpenAI and Anthropic are made by one generator. In both, all that goes over HTTP
passes `request` of a base class once, whatever resource it began at. It is covered for one
client, by a class of its own, or for the whole process, in the base classes. No SDK is
imported here: an integration brings its classes, and reads its requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from itertools import chain
from typing import Any, TypeVar

from ..errors import BursarError
from ..ledger import context
from ..runtime.log import logger
from ..session import Session
from .attempts import ATTEMPT
from .demand import Demand
from .methods import awaitable_methods, blocking_methods
from .nesting import Begin, Method, Original, under_way
from .request import Sending, allow_or_refuse
from .settlement import Background

C = TypeVar("C")


class Patching:
    """Covers the clients of one SDK.

    Args:
        blocking: the base class of its clients.
        awaitable: the base class of its asynchronous clients.
        read: what a client's request asks for: ``read(client, options)``.
        question: the path and the body of a request that is paid for.
    """

    def __init__(
        self,
        blocking: type,
        awaitable: type,
        read: Callable[[Any, Any], Demand],
        question: tuple[str, Mapping[str, Any]],
    ) -> None:
        self._blocking = blocking
        self._awaitable = awaitable
        self._read = read
        self._question = question
        self._asking: object = None  # the client that sends the question
        self._background = Background()
        self._lock = threading.RLock()
        self._patched: list[tuple[type, str, Method, Method | None]] = []

    def wrap(self, client: C, session: Session) -> C | None:
        """Let a session pay for what this client sends, and the clients that are copied from it.

        The client gets a class of its own, and is returned; the SDK's classes stay as they are. None for
        what is no client of this SDK.

        Raises:
            BursarError: it is wrapped for another session.
        """
        if not isinstance(client, (self._blocking, self._awaitable)):
            return None
        before = session_of(client)
        if before is not None and not before.is_same_account(session):
            raise BursarError(
                f"this {bare_class(client).__name__} is wrapped for another session, which pays for what it"
                " sends: undo that by bursar.unwrap_client(client), or leave it unwrapped and say who pays by"
                " `with session:`"
            )
        bare = bare_class(client)
        kept = {name: getattr(bare, name) for name in ("__module__", "__qualname__", "__doc__")}
        members: dict[str, Any] = self._methods(bare, lambda _: session, lambda name: getattr(bare, name))
        members |= self._members(bare)
        ours = {"_bursar_bare": bare, "_bursar_session": session, "__bursar_unwrap__": unwrap}
        client.__class__ = type(bare.__name__, (bare,), {**kept, **members, **ours})
        return client

    def patch(self) -> None:
        """Cover every client of the process that is not wrapped: the current session pays.

        A subclass with a `request` of its own is covered there, too: a library that patched it
        earlier may have kept the method of the base class from before.

        Raises:
            BursarError: a paid request would pass unseen; nothing is covered then.
        """
        with self._lock:
            if self._patched:
                return
            for base in (self._blocking, self._awaitable):
                self._patch(base)
                for cls in _with_request(base):
                    self._patch(cls, only="request")
            try:
                self.prove()
            except BaseException:
                self.unpatch()
                raise

    def unpatch(self) -> None:
        """Undo `patch`. Where another library has patched over us, ours stays, and passes all on."""
        with self._lock:
            while self._patched:
                base, name, method, own = self._patched.pop()
                if vars(base).get(name) is not method:
                    continue
                if own is None:
                    delattr(base, name)  # it was inherited
                else:
                    setattr(base, name, own)

    def prove(self) -> None:
        """See that a paid request is stopped before it is sent, by every class of clients.

        It begins where those of the resources do, at `post`.

        Raises:
            BursarError: it was let through.
        """
        path, body = self._question
        bases = (self._blocking, self._awaitable)
        for cls in chain(bases, *map(_with_request, bases)):
            client: Any = object.__new__(cls)
            client._base_url = "http://localhost/"
            name = f"{cls.__module__}.{cls.__name__}"
            self._asking = client
            try:
                call = client.post(path, body=body, cast_to=object)
                if issubclass(cls, self._awaitable):
                    call.send(None)
            except _Stopped:
                continue
            except Exception as error:
                raise BursarError(f"{name} is not covered: a call that has to be refused passed") from error
            finally:
                self._asking = None
            raise BursarError(f"{name} is not covered: a call that has to be refused passed")

    def open(self, client: object, endpoint: str) -> bool:
        """Called before something is opened that nothing bounds, and that is no request.

        Returns:
            True where somebody pays for it.

        Raises:
            UnpriceableCall: the session that pays for the client does not allow it.
        """
        session: Session | None = session_of(client) or (context.paying() if self._patched else None)
        if session is not None and not isinstance(context.claimed(), context.InContext):
            allow_or_refuse(session, endpoint)
        return session is not None

    def _members(self, bare: type) -> dict[str, Any]:
        """What else the class of a wrapped client has, beside the methods that a request passes."""
        return {}

    def _patch(self, cls: type, only: str | None = None) -> None:
        originals: dict[str, Method] = {}
        for name, method in self._methods(cls, _payer, originals.__getitem__).items():
            if only in (None, name):
                originals[name] = getattr(cls, name)
                self._patched.append((cls, name, method, vars(cls).get(name)))
                setattr(cls, name, method)

    def _methods(
        self, cls: type, payer: Callable[[object], Session | None], original: Original
    ) -> dict[str, Method]:
        make = awaitable_methods if issubclass(cls, self._awaitable) else blocking_methods
        retry = "_sleep_for_retry" if hasattr(cls, "_sleep_for_retry") else "_retry_request"
        methods = make(self._begin(payer), original, retry)
        return {
            name: wraps(getattr(cls, name))(method)
            for name, method in methods.items()
            if name != ATTEMPT or hasattr(cls, name)
        }

    def _begin(self, payer: Callable[[object], Session | None]) -> Begin:
        of_process = payer is _payer

        def begin(client: object, options: Any) -> Sending | None:
            if of_process and context.is_idle() and not self._background.waits and client is not self._asking:
                return None  # first, as this is all that most calls of a program without a budget cost
            if under_way(client) is not None:
                return None  # another layer of ours
            if client is self._asking and not self._read(client, options).free:
                raise _Stopped
            session = payer(client)
            unpaid = session is None and context.is_somebody_inside() and session_of(client) is None
            if session is None and not unpaid and not self._background.waits:
                return None
            demand = self._read(client, options)
            if not demand.free:
                sent = demand.ask.get("messages")
                if unpaid and not context.is_found_by_text(sent):
                    _say_that_nobody_pays()
                if session is None or context.is_held_by_prompt(sent):
                    return None
                own = session_of(client) is not None
                return Sending(client, session, demand, options, self._background, self._read, own=own)
            hold = None if demand.polled is None else self._background.get(demand.polled)
            if hold is None:
                return None
            return Sending(client, None, demand, options, self._background, self._read, hold)

        return begin


_said = False


def _say_that_nobody_pays() -> None:
    """Say once that nobody pays for a call, although a session is entered elsewhere in the process."""
    global _said  # noqa: PLW0603 - of the process
    if not _said and context.current() is None:
        _said = True
        logger.warning(
            "nobody pays for a call that a covered SDK sends: a session is entered in this process, but not"
            " in this thread or task. Start what runs here with session.bind(function), or call bursar.init()"
        )


class _Stopped(Exception):
    """The question was seen before it was sent."""


def bare_class(client: object) -> type:
    """The client's class without a session of its own."""
    cls: type = getattr(type(client), "_bursar_bare", type(client))
    return cls


def session_of(client: object) -> Session | None:
    """The session that a wrapped client pays from."""
    session: Session | None = getattr(type(client), "_bursar_session", None)
    return session


def unwrap(client: C) -> C:
    """Undo `Patching.wrap`; a client that is not wrapped stays as it is."""
    client.__class__ = bare_class(client)
    return client


def _with_request(base: type) -> Iterator[type]:
    """The classes below it that have a `request` of their own, but for those of wrapped clients."""
    subclasses: list[type] = base.__subclasses__()
    for cls in subclasses:
        if "request" in vars(cls) and "_bursar_bare" not in vars(cls):
            yield cls
        yield from _with_request(cls)


def _payer(client: object) -> Session | None:
    """Who pays for a client in a covered process; a wrapped one pays by itself."""
    session: Session | None = context.paying() if session_of(client) is None else None
    return session
