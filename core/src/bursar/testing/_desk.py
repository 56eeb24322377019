"""Where a provider counts, chooses its answers, and writes its bill."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ._bill import LIST_PRICES, Rate, Tokens, cost_nanos
from ._script import Answering, Rejected, Reply, Request
from ._wire import Answer, Surface


@dataclass(frozen=True)
class Served:
    """A request that the provider worked on.

    Attributes:
        path: of the URL.
        model: as it was asked for.
        stream: whether the answer was a stream.
        status: of HTTP.
        tokens: the true counts; none for an error that is not billed.
        cost_nanos: what it is billed, in nano-dollars.
        body: the request.
    """

    path: str
    model: str
    stream: bool
    status: int
    tokens: Tokens
    cost_nanos: int
    body: Mapping[str, Any]

    @property
    def input_tokens(self) -> int:
        """All input."""
        return self.tokens.input

    @property
    def output_tokens(self) -> int:
        """All output, of all choices."""
        return self.tokens.output


class Desk:
    """The part of a provider that knows nothing of HTTP; safe for threads.

    Args and attributes are those of `ScriptedProvider`.
    """

    def __init__(
        self,
        *,
        rates: Mapping[str, Rate] | None = None,
        snapshots: Mapping[str, str] | None = None,
        bytes_per_token: int = 4,
    ) -> None:
        self.rates = dict(LIST_PRICES if rates is None else rates)
        self._snapshots = dict(snapshots or {})
        self._bytes_per_token = bytes_per_token
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._default: Answering = Reply()
        self._queue: deque[Answering] = deque()
        self._served: list[Served] = []
        self._hits = 0
        self._numbers = itertools.count(1)
        self._open = threading.Event()
        self._open.set()

    # -- what it answers ------------------------------------------------------------------------

    def script(self, *replies: Answering) -> None:
        """Answer the next requests so, one reply each, in order."""
        with self._lock:
            self._queue.extend(replies)

    def always(self, reply: Answering) -> None:
        """Answer so whenever nothing else is scripted: a reply, or a function of the request."""
        with self._lock:
            self._default = reply

    def pause(self) -> None:
        """Hold back every answer until `resume`."""
        self._open.clear()

    def resume(self) -> None:
        """Let the answers go."""
        self._open.set()

    # -- what it knows --------------------------------------------------------------------------

    @property
    def hits(self) -> int:
        """Requests that arrived at a billable endpoint, whatever became of them."""
        with self._lock:
            return self._hits

    @property
    def served(self) -> tuple[Served, ...]:
        """The requests that were worked on, in the order of the bill."""
        with self._lock:
            return tuple(self._served)

    @property
    def calls(self) -> int:
        """Requests that are on the bill."""
        return sum(1 for one in self.served if one.cost_nanos)

    @property
    def bill_nanos(self) -> int:
        """What is owed, in nano-dollars."""
        return sum(one.cost_nanos for one in self.served)

    @property
    def bill(self) -> Decimal:
        """What is owed, in USD, exactly."""
        return Decimal(self.bill_nanos).scaleb(-9)

    def reset(self) -> None:
        """Forget the bill, the counts and the script."""
        with self._lock:
            self._served.clear()
            self._queue.clear()
            self._hits = 0
            self._default = Reply()

    def wait_for(self, hits: int, timeout: float = 10) -> None:
        """Return once so many requests have arrived.

        Raises:
            TimeoutError: they did not within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._hits >= hits, timeout):
                raise TimeoutError(f"{self._hits} of {hits} requests arrived within {timeout} seconds")

    # -- for the server ---------------------------------------------------------------------------

    def arrived(self) -> None:
        """A request has come."""
        with self._changed:
            self._hits += 1
            self._changed.notify_all()

    def _chosen(self, request: Request) -> Reply:
        with self._lock:
            chosen = self._queue.popleft() if self._queue else self._default
        return chosen if isinstance(chosen, Reply) else chosen(request)

    def work_on(self, surface: Surface, request: Request) -> Answer:
        """Count, and write the bill. Raises `Rejected` for what a provider rejects."""
        demand = surface.demand(request.body, self._bytes_per_token)
        base = next(
            (name for name, dated in self._snapshots.items() if dated == request.model), request.model
        )
        rate = self.rates.get(base) or self.rates.get(request.model)
        if rate is None:
            raise Rejected(404, "model_not_found", f"The model `{request.model}` does not exist.", "model")
        reply = self._chosen(request)
        if reply.refuse_stream_options and "stream_options" in request.body:
            raise Rejected(400, "invalid_request_error", "Unrecognized request argument: stream_options")
        failed = reply.status >= 400
        wanted = 0 if demand.cap == 0 else max(reply.output_tokens, reply.reasoning_tokens)
        written = wanted if demand.cap is None else min(wanted, demand.cap)
        tokens = Tokens(
            input=demand.input_tokens if reply.input_tokens is None else reply.input_tokens,
            output=written * demand.n,
            cached_input=reply.cached_input_tokens,
            cache_write=reply.cache_write_tokens,
            cache_write_1h=reply.cache_write_1h_tokens,
            reasoning=min(reply.reasoning_tokens, written) * demand.n,
        )
        if failed and not reply.billed:
            tokens = Tokens(0, 0)
        cost = cost_nanos(rate, tokens)
        served = Served(request.path, request.model, request.stream, reply.status, tokens, cost, request.body)
        with self._lock:
            self._served.append(served)
        model = reply.model or self._snapshots.get(request.model, request.model)
        return Answer(reply, model, tokens, demand.n, wanted > written, request.body, self.number())

    def number(self) -> int:
        """A number that nothing else has."""
        return next(self._numbers)

    def wait_until_open(self) -> None:
        """Return once the answers may go."""
        self._open.wait(60)
