"""The provider without HTTP: counts, chooses answers, writes the bill."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from ._bill import LIST_PRICES, Rate, Tokens, cost_nanos, rate_of
from ._history import Made, Served
from ._script import Answering, Output, Rejected, Reply, Request
from ._shapes import Answer, Demand, Surface, delivered


class Backend:
    """The part of a provider that knows nothing of HTTP; safe for threads.

    Args and attributes are those of `ScriptedProvider`.
    """

    def __init__(
        self,
        *,
        rates: Mapping[str, Rate] | None = None,
        snapshots: Mapping[str, str] | None = None,
        bytes_per_token: int = 4,
        output_tokens: Output = 40,
        deployments: Mapping[str, str] | None = None,
    ) -> None:
        if bytes_per_token < 1 or (output_tokens != "most" and output_tokens < 0):
            raise ValueError("bytes_per_token is at least 1, and output_tokens at least 0, or 'most'")
        self.rates = dict(LIST_PRICES if rates is None else rates)
        self.snapshots = dict(snapshots or {})
        self.deployments = dict(deployments or {})
        self.bytes_per_token = bytes_per_token
        self.output_tokens = output_tokens
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._default: Answering = Reply()
        self._queue: deque[Answering] = deque()
        self._served: list[Served] = []
        self._hits = 0
        self._arrivals = 0
        self._in_flight = 0
        self._stored: dict[str, int] = {}
        self._made: dict[str, Made] = {}
        self._numbers = itertools.count(1)
        self._failure: BaseException | None = None
        self._open = threading.Event()
        self._open.set()

    # -- what it answers ------------------------------------------------------------------------

    def script(self, *replies: Answering) -> None:
        """Answer the next requests so, one reply each, in order.

        Raises:
            TypeError: neither a reply nor a function of the request; likewise in `always`.
        """
        for reply in replies:
            _check(reply)
        with self._lock:
            self._queue.extend(replies)

    def always(self, reply: Answering) -> None:
        """Answer so whenever nothing else is scripted: a reply, or a function of the request."""
        _check(reply)
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
    def arrivals(self) -> int:
        """Requests that arrived at all, also at endpoints that are free, or not there."""
        with self._lock:
            return self._arrivals

    @property
    def in_flight(self) -> int:
        """Requests at a billable endpoint whose answer is not complete, nor its client known to be gone."""
        with self._lock:
            return self._in_flight

    @property
    def served(self) -> tuple[Served, ...]:
        """The requests that were worked on, in the order of the bill: none that were rejected."""
        with self._lock:
            return tuple(self._served)

    @property
    def calls(self) -> int:
        """Requests that are on the bill."""
        return sum(1 for one in self.served if one.billed)

    @property
    def bill_nanos(self) -> int:
        """What is owed, in nano-dollars."""
        return sum(one.cost_nanos for one in self.served)

    @property
    def bill(self) -> Decimal:
        """What is owed, in USD, exactly."""
        return Decimal(self.bill_nanos).scaleb(-9)

    def reset(self) -> None:
        """Forget the bill, the hits, the script, what failed in it, and what was stored."""
        with self._lock:
            self._served.clear()
            self._stored.clear()
            self._made.clear()
            self._queue.clear()
            self._hits = self._arrivals = 0
            self._default = Reply()
            self._failure = None

    def wait_for(
        self, hits: int = 0, timeout: float = 10, *, calls: int = 0, in_flight: int | None = None
    ) -> None:
        """Return once so many requests have arrived, so many are billed, and just so many are in flight.

        Raises:
            TimeoutError: that was not so within `timeout` seconds.
        """

        def billed() -> int:
            return sum(1 for one in self._served if one.billed)

        def there() -> bool:
            return self._hits >= hits and billed() >= calls and in_flight in (None, self._in_flight)

        with self._changed:
            if not self._changed.wait_for(there, timeout):
                state = f"{self._hits} of {hits} requests arrived, {billed()} of {calls} are billed"
                raise TimeoutError(f"after {timeout} seconds {state}, {self._in_flight} are in flight")

    # -- for the server ---------------------------------------------------------------------------

    def knocked(self) -> None:
        """A request has come, to whatever path."""
        with self._lock:
            self._arrivals += 1

    def arrived(self) -> None:
        """A request has come that may be billed."""
        with self._changed:
            self._hits += 1
            self._in_flight += 1
            self._changed.notify_all()

    def left(self) -> None:
        """A request is answered, or its client is gone."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def failed(self, error: BaseException) -> None:
        """The script, or the server itself: the first failure is kept for `stop`."""
        with self._lock:
            self._failure = self._failure or error

    def take_failure(self) -> BaseException | None:
        """What failed first, once."""
        with self._lock:
            failure, self._failure = self._failure, None
        return failure

    def _chosen(self, request: Request) -> Reply:
        with self._lock:
            chosen = self._queue.popleft() if self._queue else self._default
        reply = chosen if isinstance(chosen, Reply) else chosen(request)
        if not isinstance(reply, Reply):
            raise TypeError(f"the scripted function returned {reply!r}, not a Reply")
        return reply

    def _rate(self, model: str) -> Rate | None:
        return rate_of(model, self.rates, self.snapshots)

    def _size(self, model: str, rate: Rate) -> Rate:
        """The rate with the sizes of the model, which the built-in list has where the rate has none."""
        listed = rate_of(model, LIST_PRICES, self.snapshots) or rate
        return replace(
            rate,
            context_window=rate.context_window or listed.context_window,
            max_output_tokens=rate.max_output_tokens or listed.max_output_tokens,
        )

    def work_on(self, surface: Surface, request: Request) -> Answer:
        """Count, and write the bill. Raises `Rejected` for what a provider rejects."""
        demand = surface.demand(request.body, self.bytes_per_token)
        rate = self._rate(request.model)
        if rate is None:
            raise Rejected(404, "model_not_found", f"The model `{request.model}` does not exist.", "model")
        recalled, size = self._recalled(demand), self._size(request.model, rate)
        surface.check(request.model, demand, demand.prompt_tokens + recalled, size)
        reply = self._chosen(request)
        if reply.refuse_stream_options and "stream_options" in request.body:
            raise Rejected(400, "invalid_request_error", "Unrecognized request argument: stream_options")
        answer = self._answer(request, demand, reply, recalled, size)
        billed = reply.status == 200 or reply.billed
        tokens = _billed_tokens(surface, request, answer) if billed else Tokens(0, 0)
        served = Served(
            path=request.path,
            model=request.model,
            stream=request.stream,
            status=reply.status,
            tokens=tokens,
            cost_nanos=cost_nanos((self._rate(reply.model) if reply.model else None) or rate, tokens),
            body=request.body,
            billed=billed,
            at=time.time(),
            dropped=reply.drop,
        )
        with self._changed:
            self._served.append(served)
            self._changed.notify_all()
        answer = replace(answer, cost_nanos=served.cost_nanos)
        self._store(demand, answer)
        return answer

    def _recalled(self, demand: Demand) -> int:
        """Input tokens that are here already."""
        with self._lock:
            missing = [id for id in demand.stored if id not in self._stored and id.startswith("resp_")]
            if missing:
                message = f"Previous response with id '{missing[0]}' not found."
                raise Rejected(400, "invalid_request_error", message, "previous_response_id")
            return sum(self._stored.get(id, 0) for id in demand.stored)

    def _store(self, demand: Demand, answer: Answer) -> None:
        """Keep what a later request may build on."""
        exchanged = answer.tokens.input + answer.tokens.output
        with self._lock:
            self._stored[f"resp_{answer.number}"] = self._stored[f"msg_{answer.number}"] = exchanged
            self._made[f"resp_{answer.number}"] = Made(answer, answer.reply.polls)
            if demand.joins is not None:
                self._stored[demand.joins] = exchanged

    def made(self, id: str) -> Made | None:
        """An answer that was made, by its id."""
        with self._lock:
            return self._made.get(id)

    def _answer(self, request: Request, demand: Demand, reply: Reply, recalled: int, size: Rate) -> Answer:
        """What is sent, with the true counts."""
        counted = demand.input_tokens if reply.input_tokens is None else reply.input_tokens
        wish = self.output_tokens if reply.output_tokens is None else reply.output_tokens
        full = False
        if wish == "most":
            prompt = demand.prompt_tokens if reply.input_tokens is None else reply.input_tokens
            written, full = _most(request.model, demand, prompt + recalled + reply.hidden_tokens, size)
            cut = demand.cap != 0
        else:
            wanted = 0 if demand.cap == 0 else max(wish, reply.reasoning_tokens + reply.audio_output_tokens)
            written = wanted if demand.cap is None else min(wanted, demand.cap)
            cut = wanted > written
        left = sum(reply.runs.values()) if demand.most_runs is None else demand.most_runs
        runs = {}
        for tool, wished in reply.runs.items():
            runs[tool] = min(wished, left)
            left -= runs[tool]
        read = counted + recalled + reply.hidden_tokens
        tokens = Tokens(
            input=max(read * (1 + sum(runs.values())), reply.input_parts),
            output=written * demand.n,
            cached_input=reply.cached_input_tokens,
            cache_write=reply.cache_write_tokens,
            cache_write_1h=reply.cache_write_1h_tokens,
            reasoning=min(reply.reasoning_tokens, written) * demand.n,
            audio_input=reply.audio_input_tokens,
            audio_output=min(reply.audio_output_tokens, written) * demand.n,
            runs=runs,
        )
        model = reply.model or self.snapshots.get(request.model, request.model)
        shown = demand.n if demand.shown is None else demand.shown
        return Answer(reply, model, tokens, shown, cut, full, request.body, self.number())

    def number(self) -> int:
        """A number that nothing else has."""
        return next(self._numbers)


def _check(reply: object) -> None:
    if not isinstance(reply, Reply) and not callable(reply):
        raise TypeError(f"{reply!r} is neither a Reply nor a function that returns one")


def _most(model: str, demand: Demand, read: int, size: Rate) -> tuple[int, bool]:
    """All that may be written, and whether it is the context window that ends it."""
    caps = [cap for cap in (demand.cap, size.max_output_tokens) if cap is not None]
    room = math.inf if size.context_window is None else max(size.context_window - read, 0)
    most = min(caps, default=math.inf)
    if min(most, room) == math.inf:
        raise ValueError(
            f"output_tokens is 'most', and nothing bounds what {model!r} writes: "
            "give its Rate a max_output_tokens"
        )
    return int(min(most, room)), room < most


def _billed_tokens(surface: Surface, request: Request, answer: Answer) -> Tokens:
    """All of them, but for a stream whose loss ends the work."""
    reply, tokens = answer.reply, answer.tokens
    if not (
        request.stream and reply.drop in ("mid_stream", "error_event") and reply.bill_dropped == "generated"
    ):
        return tokens
    events = list(surface.events(answer))
    pieces = sum(event.grows for event in events)
    got_out = sum(event.grows for event in delivered(events, reply))
    output = math.ceil(tokens.output * got_out / pieces) if pieces else 0
    return replace(
        tokens,
        output=output,
        reasoning=min(tokens.reasoning, output),
        audio_output=min(tokens.audio_output, output),
    )
