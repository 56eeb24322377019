"""A call of a model between the two hooks of LlamaIndex, or past a hook that never came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bursar.integration import OpenCall, OpenCalls, Result, never_breaks

from . import _instrumentation, _managers
from ._request import Request
from ._usage import read_result


class ModelCall(OpenCall):
    """An open call of LlamaIndex's.

    Args:
        event_id: LlamaIndex's id of it.
        home: where it is remembered.
        request: what is asked for.
    """

    def __init__(self, event_id: str, home: OpenCalls, request: Request) -> None:
        # No task is watched: a stream may be read in another one than it was asked for in.
        super().__init__(event_id, hidden=not request.is_embedding, watched=False)
        self.request = request
        self._home = home
        self._latest: Any = None

    @property
    def seen(self) -> Result:
        """What has arrived of its answer."""
        return read_result(self._latest, finished=False)

    @property
    def streams(self) -> bool:
        """False where no callback is told: then its request was sent before its method returned."""
        return self.request.messages is not None

    @property
    def may_be_cached(self) -> bool:
        """True for an embedding that LlamaIndex may have found in its cache."""
        return getattr(self.request.model, "embeddings_cache", None) is not None

    @property
    def _unsent(self) -> bool:
        if self.booking is not None:
            return self.promise is not None and not self.promise.claimed
        return self.hold is not None and self.hold.state == "reserved"

    def progress(self, response: Any) -> None:
        """A part of its stream has come: what is sent from here on is another call."""
        if self._latest is None:
            self._find_claimed()
            self.uncover()
        self._latest = response

    @never_breaks
    def leave_off(self, error: BaseException | None = None) -> None:
        """It is over, and no hook has told how; does nothing where one has."""
        if self._home.take(self.key) is not self:
            return
        _managers.forget(str(self.key))
        if error is None or isinstance(error, GeneratorExit):
            self.lose(error)
        else:
            self.fail(error, self.seen)

    def _find_claimed(self) -> None:
        """Change promises with another stream that sends the same texts, if its was taken for this one."""
        mine = self.promise
        if mine is None or mine.claimed:
            return
        for other in _instrumentation.streaming():
            if not isinstance(other, ModelCall) or other._latest is not None or other.promise is None:
                continue
            if other.promise.claimed and other.promise.session.is_same_account(mine.session):
                self.promise, other.promise = other.promise, mine
                return

    def delegates(self, request: Request) -> bool:
        """True where a stream of this call is made by another method of the same model, when it is read."""
        return self.request.method == f"a{request.method}" and self.request.messages is request.messages

    def hand_over(self, request: Request) -> None:
        """The same model is asked by another method of its own, with a hook of its own, which pays."""
        mine = self.request
        if mine.is_embedding or mine.model is not request.model or not self._unsent:
            return
        if self._home.take(self.key) is self:
            _managers.forget(str(self.key))
            self.withdraw()


def hand_over(event_id: str, request: Request, span: _instrumentation.Span | None) -> None:
    """Let a call pay no more for what another one, inside of it, is about to pay for by itself."""
    for call in list(_around(request, span)):
        if call.key != event_id:  # else another handler pays for the same call
            call.hand_over(request)


def _around(request: Request, span: _instrumentation.Span | None) -> Iterator[ModelCall]:
    for around in span.outwards() if span is not None else ():
        yield from (call for call in around.calls if isinstance(call, ModelCall))
    for call in _instrumentation.streaming():
        if isinstance(call, ModelCall) and call.delegates(request):
            yield call
