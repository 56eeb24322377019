"""What the suite has to know of an SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from bursar.testing import Rate, Reply, ScriptedProvider

from .surface import Surface

Call = Callable[[Any], Any]


@dataclass(frozen=True)
class Stream:
    """The bytes of one stream with three pieces of text, "0", "1" and "2", and what becomes of them.

    Args:
        pieces: its events, but for the mark of its end.
        end: that mark.
        odd_ends: other ends, by name, which change nothing.
        got: how many events the caller gets of it; of a bare client, where we take none out.
        got_bare: how many a bare client gets.
        texts: the pieces of text in what the caller got.
        is_whole: whether bytes are those of a whole stream, and nothing but what the caller asked for.
        bill_nanos: what it costs.
    """

    pieces: Sequence[bytes]
    end: bytes
    odd_ends: Mapping[str, Sequence[bytes]]
    got: int
    got_bare: int
    texts: Callable[[list[Any]], list[str]]
    is_whole: Callable[[bytes], bool]
    bill_nanos: int


@dataclass(frozen=True)
class Agent:
    """How an agent goes on after a tool was called.

    Args:
        tool: the declaration of a tool of the caller's, ``look_up``.
        limits: USD for two turns, for one, and for none.
        turn: the messages to add after an answer that calls the tool; none of them after the last answer.
        text: what the last answer says.
    """

    tool: Mapping[str, Any]
    limits: tuple[str, str, str]
    turn: Callable[[Any], list[Any]]
    text: Callable[[Any], str]


@dataclass(frozen=True)
class Window:
    """What only the provider has, and what its whole context window costs.

    Args:
        nanos: what the window costs.
        limits: USD that are enough for it, and too little.
        tokens: that nobody sees, and are fewer than those of the window.
        hidden: members of requests with input that only the provider has, by name.
        unbounded: members of requests that nothing bounds, with the way out that the refusal names.
        asking: a request with such members.
    """

    nanos: int
    limits: tuple[str, str]
    tokens: int
    hidden: Mapping[str, Mapping[str, Any]]
    unbounded: Mapping[str, tuple[Mapping[str, Any], str]]
    asking: Callable[..., Surface]


@dataclass(frozen=True)
class ClientSdk:
    """One SDK, with blocking and asynchronous clients that are made by one generator.

    The first one of `calls`, of `settled` and of `streams` goes to `resource`.

    Args:
        module: the SDK.
        name: of the class of its blocking clients; that of the others begins with ``Async``.
        adapter: the name of the module of ours that covers it.
        url: the attribute of the provider with the base URL for its clients.
        model: the one that is asked.
        rates: what the provider of the tests charges for a million tokens, as literals.
        resource: the one of a client's with `create`.
        chat: arguments of `create`: a question of less than 100 tokens, and a cap of 50.
        chat_path: where it goes.
        cap_is_required: True where the API takes no request without a cap.
        one_hold: USD that are enough for one call, and not for two; likewise `two_holds`.
        lower_cap: USD for an attempt in doubt and one more with a lower cap.
        clamping: USD for a call, and the least cap that is sent for it; None: nothing is.
        surfaces: every way to spend.
        calls: ways that the SDK repeats after errors.
        settled: ways whose usage is settled, whole and streamed.
        streams: streams that are left, cut and lost; `worst_nanos` is what each may cost at the most.
        shapes: streams of other shapes than those, and what is answered.
        drops: how a stream may be lost.
        capped: calls with a cap, and the member of the body that it is.
        unreadable: bodies that are refused, as they cannot be read.
        unbounded: calls that nothing bounds, by name, with the word for `allow=`.
        untold: names of those whose answers tell no usage.
        free: calls that cost nothing.
        opened: responses that are read by hand.
        erring: surfaces whose errors are compared with those of the bare SDK, and `statuses` of those.
        odd: streams whose odd answers are.
        stream: one stream, byte by byte.
        told: a stream of the usual question that tells its user its usage, and the whole answer in what was got.
        agent: how tools are called.
        window: what only the provider has.
        snapshots: the dated names under which models answer.
        prices: those that a budget is given for surfaces that nothing else bounds.
    """

    module: Any
    name: str
    adapter: str
    url: str
    model: str
    rates: Mapping[str, Rate]
    resource: Call
    chat: Mapping[str, Any]
    chat_path: str
    cap_is_required: bool
    one_hold: str
    two_holds: str
    lower_cap: str
    clamping: Mapping[str, tuple[str, int | None]]
    surfaces: Mapping[str, Surface]
    calls: Mapping[str, Surface]
    settled: Mapping[str, Surface]
    streams: Mapping[str, Surface]
    worst_nanos: Mapping[str, int]
    shapes: Mapping[str, tuple[Surface, Reply]]
    drops: Sequence[str]
    capped: Mapping[str, tuple[Call, str]]
    unreadable: Mapping[str, Any]
    unbounded: Mapping[str, tuple[str, Call]]
    free: Mapping[str, Call]
    opened: Mapping[str, Call]
    erring: Sequence[str]
    statuses: Sequence[int]
    odd: Sequence[str]
    stream: Stream
    told: tuple[Surface, Callable[[list[Any]], Any]]
    agent: Agent
    window: Window
    untold: Sequence[str] = ()
    snapshots: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Any] = field(default_factory=dict)

    def kind(self, name: str = "", *, asynchronous: bool = False) -> Any:
        """A class of clients: the usual one, or that of a name."""
        return getattr(self.module, f"{'Async' if asynchronous else ''}{name or self.name}")

    @property
    def bases(self) -> tuple[Any, Any]:
        """The base classes of its blocking and of its asynchronous clients."""
        base = self.module._base_client
        return base.SyncAPIClient, base.AsyncAPIClient

    @property
    def patching(self) -> Any:
        """What covers it."""
        return import_module(self.adapter).patching

    @property
    def httpx(self) -> Any:
        """The HTTP library that it is made with: httpx, or its successor."""
        return import_module(self.module.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])

    def http(self, *, asynchronous: bool = False) -> Any:
        """A HTTP client of the SDK's own kind; to load certificates takes longer than all else."""
        kind = self.module.DefaultAsyncHttpxClient if asynchronous else self.module.DefaultHttpxClient
        return kind(verify=False)

    def client(self, provider: ScriptedProvider, *, asynchronous: bool = False, **settings: Any) -> Any:
        """A client of the provider, which does not repeat what fails, unless it is told to."""
        if "http_client" not in settings:
            settings["http_client"] = self.http(asynchronous=asynchronous)
        usual = {"base_url": getattr(provider, self.url), "api_key": "none", "max_retries": 0}
        return self.kind(asynchronous=asynchronous)(**{**usual, **settings})

    def ask(self, client: Any, **members: Any) -> Any:
        """Ask the usual question; members replace its own, or are added."""
        return self.resource(client).create(**{**self.chat, **members})

    def open(self, client: Any, **members: Any) -> Any:
        """Ask it, and leave the response open."""
        return self.resource(client).with_streaming_response.create(**{**self.chat, **members})

    def post(self, client: Any, body: Any) -> Any:
        """Ask by hand."""
        return client.post(self.chat_path, body=body, cast_to=object)
