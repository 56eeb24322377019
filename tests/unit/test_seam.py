"""The seam of an SDK: what is held before it is sent, and booked after it; sync and async."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest

import bursar
from bursar import Budget, BudgetExceeded, BursarError, Session, StoreUnavailable, UnpriceableCall
from bursar.integration import Run
from bursar.ledger.context import pays_for_process
from bursar.sdk import Patching
from bursar.sdk.patching import unwrap
from bursar.sdk.settlement import Background
from bursar.store.memory import MemoryStore
from bursar.testing import Reply, ScriptedProvider

from .sdk import AsyncClient, Client, Failed, Options, patching, read

CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    "max_tokens": 50,
}
WORST_NANOS = 50 * 10_000


class Caller:
    """Blocking and awaited calls, by one name."""

    def __init__(self, provider: ScriptedProvider, asynchronous: bool) -> None:
        self.provider = provider
        self.asynchronous = asynchronous

    def client(self, **settings: Any) -> Any:
        kind = AsyncClient if self.asynchronous else Client
        return kind(self.provider.openai_url, **settings)

    def wrapped(self, *limits: Any, max_retries: int = 0, **settings: Any) -> tuple[Any, Session]:
        session = Budget(*limits, **settings).session()
        return patching.wrap(self.client(max_retries=max_retries), session), session

    def ask(self, client: Any, options: Any = None, **kwargs: Any) -> Any:
        call = client.request(object, options or Options(**CHAT), **kwargs)
        return asyncio.run(self._awaited(call)) if self.asynchronous else call

    async def _awaited(self, call: Any) -> Any:
        return await call

    def stream(self, client: Any, take: int | None = None) -> bytes:
        """Read a stream, or so many pieces of it."""
        options = Options(**CHAT, stream=True)
        if not self.asynchronous:
            response = client.request(object, options, stream=True)
            body = response.iter_bytes()
            pieces = [piece for piece, _ in zip(body, range(take or 10**6), strict=False)]
            response.close()
            return b"".join(pieces)

        async def read() -> bytes:
            response = await client.request(object, options, stream=True)
            pieces = []
            async for piece in response.aiter_bytes():
                pieces.append(piece)
                if len(pieces) == take:
                    break
            await response.aclose()
            return b"".join(pieces)

        return asyncio.run(read())


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider
    pays_for_process(None)
    patching.unpatch()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def caller(request: pytest.FixtureRequest, provider: ScriptedProvider) -> Caller:
    return Caller(provider, request.param)


def assert_exact(session: Session, provider: ScriptedProvider) -> None:
    assert (session.spent, session.reserved) == (provider.bill, 0)


# -- one client -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.0001", 0)])
def test_a_call_is_paid_or_not_sent(limit: str, requests: int, caller: Caller) -> None:
    """One request and its exact cost, or none and the refusal."""
    client, session = caller.wrapped(limit)
    if requests:
        assert b"usage" in caller.ask(client)
    else:
        with pytest.raises(BudgetExceeded):
            caller.ask(client)
    assert caller.provider.arrivals == requests
    assert_exact(session, caller.provider)


def test_a_stream_is_settled_by_what_passes(caller: Caller) -> None:
    """Its usage is asked for, read, and hidden."""
    client, session = caller.wrapped("$1")
    body = caller.stream(client)
    assert body.endswith(b"data: [DONE]\n\n") and b'"usage": {' not in body
    assert_exact(session, caller.provider)


@pytest.mark.parametrize("limit", ["$1", "$0.0000001"])
def test_a_stream_in_frames_of_amazons(limit: str, provider: ScriptedProvider) -> None:
    """The events that are wrapped in them are read; the frames pass as they came."""
    session = Budget(limit).session()
    client = patching.wrap(Client(provider.url), session)
    body = {**CHAT, "model": "claude-haiku-4-5"}
    options = Options("/model/claude-haiku-4-5/invoke-with-response-stream", **body)
    if limit == "$1":
        frames = list(client.request(object, options, stream=True).iter_bytes())
        assert len(frames) > 3 and all(int.from_bytes(frame[:4], "big") for frame in frames)
    else:
        with pytest.raises(BudgetExceeded):
            client.request(object, options, stream=True)
        assert provider.arrivals == 0
    assert_exact(session, provider)


@pytest.mark.parametrize("take", [1, 2])
def test_a_stream_that_is_left_is_in_doubt(take: int, caller: Caller) -> None:
    """Booked at the worst before the ledger's next step."""
    client, session = caller.wrapped("$1")
    caller.provider.script(Reply("a long answer", chunk_delay=0.02))
    caller.stream(client, take)
    assert session.reserved == 0 and session.spent * 10**9 >= WORST_NANOS


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its socket
def test_a_response_that_is_never_read_is_in_doubt(provider: ScriptedProvider) -> None:
    """The garbage collector finds it."""
    client, session = Caller(provider, asynchronous=False).wrapped("$1")
    client.request(object, Options(**CHAT, stream=True), stream=True)
    gc.collect()
    assert session.reserved == 0 and session.spent * 10**9 >= WORST_NANOS


def test_a_document_may_be_read_late(provider: ScriptedProvider) -> None:
    """A body that is JSON is kept together until its end, whatever the pieces."""
    client, session = Caller(provider, asynchronous=False).wrapped("$1")
    response = client.request(object, Options(**CHAT), stream=True)
    assert b"".join(response.iter_bytes(10))
    assert_exact(session, provider)


def test_copies_are_wrapped_and_others_are_not(caller: Caller) -> None:
    """The class carries the session; the bare one is given back by `unwrap_client`."""
    client, session = caller.wrapped("$1")
    caller.ask(client.copy())
    caller.ask(caller.client())
    assert session.calls == 1
    again, other = caller.wrapped("$1")
    with pytest.raises(BursarError, match=r"unwrap_client.*with session:"):
        patching.wrap(again, session)
    assert type(patching.wrap(again, other)).__mro__[1] is type(caller.client())
    caller.ask(again)
    assert (session.calls, other.calls) == (1, 1)
    assert type(unwrap(again)) is type(caller.client())
    assert type(unwrap(again)) is type(caller.client())


# -- attempts -------------------------------------------------------------------------------------


def test_error_answers_keep_the_hold(caller: Caller) -> None:
    """They cost nothing, so the next attempt is made on it."""
    client, session = caller.wrapped("$0.0008", max_retries=2, clamp=False)
    caller.provider.script(Reply(status=500), Reply(status=429))
    caller.ask(client)
    assert caller.provider.arrivals == 3
    assert_exact(session, caller.provider)


@pytest.mark.parametrize(("limit", "requests"), [("$1", 2), ("$0.0008", 1)])
@pytest.mark.parametrize("reply", [Reply(drop="before_headers"), Reply(status=504, billed=True)])
def test_an_attempt_in_doubt_stays_counted(reply: Reply, limit: str, requests: int, caller: Caller) -> None:
    """The next one is held anew, or refused."""
    client, session = caller.wrapped(limit, max_retries=2, clamp=False)
    caller.provider.script(reply)
    if requests == 2:
        caller.ask(client)
    else:
        with pytest.raises(BudgetExceeded):
            caller.ask(client)
    assert (caller.provider.arrivals, session.calls, session.reserved) == (requests, requests, 0)
    assert session.spent >= caller.provider.bill


def test_a_cap_is_lowered_for_the_next_attempt(caller: Caller) -> None:
    """In the options that the SDK will send."""
    client, session = caller.wrapped("$0.0012", max_retries=1)
    caller.provider.script(Reply(drop="before_headers"))
    caller.ask(client)
    first, second = (served.body["max_tokens"] for served in caller.provider.served)
    assert first == 50 and 16 <= second < 50
    assert session.reserved == 0 and caller.provider.bill_nanos <= session.spent * 10**9 <= 1_200_000


@pytest.mark.parametrize("reply", [Reply(status=404), Reply(status=504), Reply(drop="before_headers")])
def test_the_last_error_is_raised(reply: Reply, caller: Caller) -> None:
    """And its hold released or in doubt, as it says."""
    client, session = caller.wrapped("$1")
    caller.provider.script(reply)
    with pytest.raises(Failed):
        caller.ask(client)
    assert session.reserved == 0 and (session.spent == 0) == (reply.status == 404)


def test_what_is_never_sent_costs_nothing(caller: Caller) -> None:
    """An error while the request is built, and one that is no `Exception`."""
    client, session = caller.wrapped("$1")
    with pytest.raises(TypeError):
        caller.ask(client, Options(**CHAT, odd=object()))
    assert (session.spent, session.reserved) == (0, 0)
    for error in (KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            call = client.request(object, Options(**CHAT, odd=_Rude(error)))
            call.send(None)
    assert (session.spent, session.reserved) == (0, 0)


class _Rude(dict[str, int]):
    """A member of a body that ends the program when it is serialised."""

    def __init__(self, error: type[BaseException]) -> None:
        super().__init__(one=1)
        self.error = error

    def items(self) -> Any:
        raise self.error


def test_another_form_of_the_request(caller: Caller) -> None:
    """A host that rejects what we added gets the request without it, on the same hold."""
    client, session = caller.wrapped("$0.0008", clamp=False)
    caller.provider.script(Reply(refuse_stream_options=True), Reply())
    caller.stream(client)
    assert [("stream_options" in served.body) for served in caller.provider.served] == [False]
    assert (caller.provider.arrivals, session.reserved) == (2, 0)
    assert session.spent >= caller.provider.bill


# -- what nothing bounds --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["refused", "allowed", "covered"])
@pytest.mark.parametrize("named", [True, False], ids=["model", "no-model"])
def test_what_nothing_bounds(named: bool, how: str, caller: Caller) -> None:
    """Refused with both ways out; let pass where it is allowed; paid by a hold that covers it."""
    client, session = caller.wrapped("$1", allow=["images"] if how == "allowed" else ())
    options = Options("/images", **({"model": "gpt-4o"} if named else {}))
    if how == "refused":
        with pytest.raises(UnpriceableCall, match="allow=.*reserve"):
            caller.ask(client, options)
    else:
        cost = "$0.10" if how == "covered" else 0
        with session.reserve(cost=cost), pytest.raises(Failed):
            caller.ask(client, options)
    assert (caller.provider.arrivals, session.spent, session.reserved) == (how != "refused", 0, 0)


def test_a_price_of_the_users_own_bounds_it(caller: Caller) -> None:
    """With one, the request is held like any other."""
    client, session = caller.wrapped("$0.00001", prices={"gpt-image-1": (10, 40)})
    with pytest.raises(BudgetExceeded):
        caller.ask(client, Options("/images", model="gpt-image-1", messages=CHAT["messages"], max_tokens=50))
    assert (caller.provider.arrivals, session.reserved) == (0, 0)


def test_a_budget_that_only_alerts_refuses_nothing(caller: Caller) -> None:
    """What nothing bounds passes it, too."""
    client, session = caller.wrapped("$0", hard_stop=False)
    caller.ask(client, Options(**CHAT, why_not="because"))
    caller.ask(client)
    assert session.calls == 2


def test_a_covering_hold_is_the_price_of_what_nothing_bounds(provider: ScriptedProvider) -> None:
    """Whatever usage is told: the caller said what it costs."""
    client, session = Caller(provider, asynchronous=False).wrapped("$1")
    with session.reserve(cost="$0.10"):
        client.request(object, Options("/images/generations", model="gpt-image-1", prompt="sky"))
    assert float(session.spent) == 0.10


def test_why_one_request_has_no_bound(caller: Caller) -> None:
    """The integration's own words, before anything is sent."""
    client, _ = caller.wrapped("$1")
    with pytest.raises(UnpriceableCall, match="because"):
        caller.ask(client, Options(**CHAT, why_not="because"))
    assert caller.provider.arrivals == 0


@pytest.mark.parametrize(
    ("clamp", "formatted", "sent"),
    [
        (True, False, True),
        (True, True, True),
        ("text", False, True),
        ("text", True, False),
        (False, False, False),
    ],
)
def test_what_only_a_lowered_request_bounds_is_refused_where_the_budget_lowers_nothing(
    clamp: Any, formatted: bool, sent: bool, caller: Caller
) -> None:
    """With ``clamp=False``; with ``"text"`` only where the answer has a format. Nothing of it is sent then."""
    client, session = caller.wrapped("$1", clamp=clamp)
    asked = Options(**CHAT, unlowered="it may run without end", formatted=formatted)
    if sent:
        caller.ask(client, asked)
    else:
        with pytest.raises(UnpriceableCall, match="without end"):
            caller.ask(client, asked)
    assert caller.provider.arrivals == sent and session.reserved == 0


@pytest.mark.parametrize("how", ["refused", "priced", "covered"])
def test_a_place_that_costs_more(how: str, provider: ScriptedProvider) -> None:
    """The list price does not hold there: refused, unless the user says what it costs, or holds a sum for it."""
    prices = {"gpt-4o": bursar.Price("2.50", 10, context_window=128_000)} if how == "priced" else None
    client, session = Caller(provider, asynchronous=False).wrapped("$1", prices=prices)
    asked = Options(**CHAT, surcharge="it is dearer there")
    if how == "refused":
        with pytest.raises(UnpriceableCall, match="dearer there"):
            client.request(object, asked)
    elif how == "covered":
        with session.reserve("gpt-4o", cost="$0.10"):
            client.request(object, asked)
        assert session.spent * 10 == 1
    else:
        client.request(object, asked)
        assert_exact(session, provider)
    assert provider.arrivals == (0 if how == "refused" else 1)


def test_something_is_opened(provider: ScriptedProvider) -> None:
    """What is no request asks, too: the client's session, that of a covered process, a hold that covers it."""
    caller = Caller(provider, asynchronous=False)
    bare = caller.client()
    client, session = caller.wrapped("$1")
    allowed, _ = caller.wrapped("$1", allow=["realtime"])
    with pytest.raises(UnpriceableCall):
        patching.open(client, "realtime")
    assert patching.open(allowed, "realtime") is True
    with session.reserve(cost="$0.10"):
        assert patching.open(client, "realtime") is True
    with session:
        assert patching.open(bare, "realtime") is False  # covered by nobody
        patching.patch()
        with pytest.raises(UnpriceableCall):
            patching.open(bare, "realtime")
    assert patching.open(bare, "realtime") is False


# -- answers that are made in the background --------------------------------------------------------


def test_an_answer_that_is_fetched_later(caller: Caller) -> None:
    """Its hold waits for whoever asks after it, through any covered client, and is settled once."""
    client, session = caller.wrapped("$1")
    caller.provider.script(Reply(polls=1))
    made = Options("/responses", model="gpt-4o", input="sky", background=True, max_tokens=50)
    id = json.loads(caller.ask(client, made))["id"]
    with pytest.raises(Failed):
        caller.ask(client, Options("/models/unknown", "GET"))
    assert session.spent == 0 < session.reserved
    for status in ("in_progress", "completed", "completed"):
        answer = json.loads(caller.ask(client, Options(f"/responses/{id}", "GET")))
        assert answer["status"] == status
    assert_exact(session, caller.provider)


def test_who_pays_nothing_may_fetch_it(caller: Caller) -> None:
    """In a covered process without a session a client settles what waits, and sends what it likes."""
    client, session = caller.wrapped("$1")
    made = Options("/responses", model="gpt-4o", input="sky", background=True, max_tokens=50)
    id = json.loads(caller.ask(client, made))["id"]
    patching.patch()
    spent = caller.provider.bill
    caller.ask(caller.client())
    caller.ask(caller.client(), Options(f"/responses/{id}", "GET"))
    assert (session.spent, session.reserved) == (spent, 0)


def test_an_answer_that_cannot_be_fetched(caller: Caller) -> None:
    """A poll that fails, in whatever way, leaves the hold; one that tells of its end does not."""
    client, session = caller.wrapped("$1")
    made = Options("/responses", model="gpt-4o", input="sky", background=True, max_tokens=50)
    id = json.loads(caller.ask(client, made))["id"]
    with pytest.raises(Failed):
        caller.ask(client, Options(f"/responses/elsewhere/{id}", "GET"))
    lost = type(client)("http://127.0.0.1:9", 1)
    with pytest.raises(Failed):
        caller.ask(lost, Options(f"/responses/{id}", "GET"))
    assert session.reserved > 0
    caller.ask(client, Options(f"/responses/{id}/cancel"))
    caller.ask(client, Options(f"/responses/{id}", "GET"))
    assert session.reserved == 0 and session.spent >= caller.provider.bill


def test_only_so_many_answers_are_waited_for() -> None:
    """The oldest are left to their leases."""
    background, hold = Background(), Budget().session().reserve(cost="$0.01")
    for number in range(2_000):
        background.put(str(number), hold)
    assert background.get("0") is None and background.get("1999") is hold
    background.drop("1999")
    background.drop("1999")
    assert background.get("1999") is None and background.waits


# -- refusals that somebody swallows ------------------------------------------------------------------


def test_a_refusal_that_a_run_swallows_comes_back(caller: Caller) -> None:
    """A framework between the client and the caller may hide it: the end of the session does not."""
    session = Budget("$0.0001").session()
    client = patching.wrap(caller.client(), session)
    with pytest.raises(BudgetExceeded), session:
        run = Run()
        with contextlib.suppress(BudgetExceeded):
            caller.ask(client)
        run.close()


def test_a_refusal_outside_of_runs_comes_once(caller: Caller) -> None:
    """Whoever called the client has got it, and may go on."""
    session = Budget("$0.0001").session()
    client = patching.wrap(caller.client(), session)
    with session, pytest.raises(BudgetExceeded):
        caller.ask(client)
    assert isinstance(session.last_refusal, BudgetExceeded)


# -- the process ----------------------------------------------------------------------------------


def test_a_covered_process(caller: Caller) -> None:
    """The current session pays, a wrapped client by itself, and each call once; without a session nobody pays."""
    before = [vars(kind).copy() for kind in (Client, AsyncClient)]
    client, own = caller.wrapped("$1")
    bare, session = caller.client(), Budget("$1").session()
    patching.patch()
    patching.patch()  # over another layer: of ours, here
    caller.ask(bare)
    pays_for_process(session)
    caller.ask(bare)
    caller.ask(client)
    caller.stream(bare)
    caller.provider.script(Reply(drop="before_headers"))
    retrying = caller.client(max_retries=1)
    caller.ask(retrying)
    assert (own.calls, session.calls, session.reserved) == (1, 4, 0)
    pays_for_process(None)
    patching.unpatch()
    assert [vars(kind).copy() for kind in (Client, AsyncClient)] == before


def test_other_layers_stay(provider: ScriptedProvider) -> None:
    """Where somebody has patched over us, nothing is taken from under them."""
    patching.patch()
    ours = Client.request

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    Client.request = theirs  # type: ignore[method-assign]
    patching.unpatch()
    assert Client.request is theirs
    Caller(provider, asynchronous=False).ask(Client(provider.openai_url))
    Client.request = ours.__wrapped__  # type: ignore[attr-defined, method-assign]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_cover_is_proved(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A paid call that is not stopped before it is sent is an error, whoever answers it; then nothing is covered."""
    before = [vars(kind).copy() for kind in (Client, AsyncClient)]
    patching.patch()
    patching.prove()
    patching.unpatch()
    with pytest.raises(BursarError, match="Client is not covered"):
        patching.prove()
    with (
        monkeypatch.context() as patched,
        pytest.raises(BursarError, match=f"{kind.__name__} is not covered"),
    ):
        patched.setattr(kind, "post", lambda *args, **kwargs: None)
        patching.patch()
    assert [vars(kind).copy() for kind in (Client, AsyncClient)] == before


def test_a_free_question_proves_nothing() -> None:
    """What costs nothing passes, and so does not show that what is paid for would be stopped."""
    free = Patching(Client, AsyncClient, read, ("/models/gpt-4o", {}))
    with pytest.raises(BursarError, match="Client is not covered"):
        free.patch()


@pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.0001", 0)])
def test_a_library_that_kept_the_method_from_before(limit: str, requests: int, caller: Caller) -> None:
    """A subclass whose `request` leads around the base class is covered where it begins, and then restored."""
    base = AsyncClient if caller.asynchronous else Client
    kept: Any = base.request

    class Traced(base):  # type: ignore[valid-type, misc]
        def request(self, *args: Any, **kwargs: Any) -> Any:
            return kept(self, *args, **kwargs)

    theirs, session = Traced.request, Budget(limit).session()
    pays_for_process(session)
    patching.patch()
    client = Traced(caller.provider.openai_url)
    if requests:
        assert b"usage" in caller.ask(client)
    else:
        with pytest.raises(BudgetExceeded):
            caller.ask(client)
    own = Budget("$1").session()
    caller.ask(patching.wrap(client, own))  # whose class has a `request`, too, and is left alone
    assert (caller.provider.arrivals, session.calls, own.calls) == (requests + 1, requests, 1)
    patching.unpatch()
    assert Traced.request is theirs


@pytest.mark.parametrize("cover", ["wrap", "patch"])
def test_a_method_that_was_taken_before_goes_no_way_around(cover: str, caller: Caller) -> None:
    """Kept on the client itself by a library: refused before it is sent, unless a hold of the caller's pays."""
    client, session = caller.client(), Budget("$1").session()
    client.request = client.request
    if cover == "wrap":
        patching.wrap(client, session)
    else:
        pays_for_process(session)
        patching.patch()
    with pytest.raises(BursarError, match="goes around its budget"):
        caller.ask(client)
    assert (caller.provider.arrivals, session.reserved) == (0, 0)
    with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=50) as hold:
        hold.settle(json.loads(caller.ask(client)))
    assert_exact(session, caller.provider)
    del client.request
    caller.ask(client)
    assert_exact(session, caller.provider)


def test_what_need_not_be_paid_may_go_any_way(caller: Caller) -> None:
    """Free requests, those of nobody's, those of a budget that never refuses, and questions for an answer."""
    client, session = caller.wrapped("$1")
    made = Options("/responses", model="gpt-4o", input="sky", background=True, max_tokens=50)
    id = json.loads(caller.ask(client, made))["id"]
    for payer in (None, Budget("$0", hard_stop=False).session()):
        stray = caller.client()
        stray.request = stray.request
        pays_for_process(payer)
        patching.patch()
        caller.ask(stray)
        caller.ask(stray, Options(f"/responses/{id}", "GET"))
        patching.unpatch()
    assert caller.provider.arrivals == 5 and session.reserved > 0


# -- the store ------------------------------------------------------------------------------------


class Failing(MemoryStore):
    """A store that is away for a while."""

    def __init__(self, verb: str, times: int = 1) -> None:
        super().__init__()
        self.verb, self.times = verb, times

    def _perhaps(self, verb: str) -> None:
        if verb == self.verb and self.times:
            self.times -= 1
            raise StoreUnavailable("gone fishing")

    def settle(self, *args: Any) -> Any:
        self._perhaps("settle")
        return super().settle(*args)

    def release(self, *args: Any) -> Any:
        self._perhaps("release")
        return super().release(*args)

    def reserve(self, *args: Any) -> Any:
        self._perhaps("reserve")
        return super().reserve(*args)


@pytest.mark.parametrize(("verb", "reply"), [("settle", Reply()), ("release", Reply(status=404))])
def test_an_outcome_is_tried_again(verb: str, reply: Reply, caller: Caller) -> None:
    """The caller has its answer, or its error; the store gets the outcome with the next step."""
    client, session = caller.wrapped("$1", store=Failing(verb))
    caller.provider.script(reply)
    if verb == "settle":
        assert b"usage" in caller.ask(client)
    else:
        with pytest.raises(Failed):
            caller.ask(client)
    assert_exact(session, caller.provider)


def test_a_settle_that_is_cancelled_is_carried_out(provider: ScriptedProvider) -> None:
    """The task ends as it was told; the charge is booked with the next step."""

    class Slow(MemoryStore):
        async def acall(self, verb: str, *arguments: Any) -> Any:
            if verb == "settle":
                raise asyncio.CancelledError
            return await super().acall(verb, *arguments)

    client, session = Caller(provider, asynchronous=True).wrapped("$1", store=Slow())
    with pytest.raises(asyncio.CancelledError):
        Caller(provider, asynchronous=True).ask(client)
    assert_exact(session, provider)


def test_without_a_store_nothing_is_sent(caller: Caller) -> None:
    """A reserve that fails is no reserve."""
    client, session = caller.wrapped("$1", store=Failing("reserve"))
    with pytest.raises(StoreUnavailable):
        caller.ask(client)
    assert caller.provider.arrivals == 0
    caller.ask(client)
    assert_exact(session, caller.provider)


def test_what_is_no_client_is_not_covered() -> None:
    """Whoever asks is told that another package may know it."""
    assert patching.wrap(object(), Budget("$1").session()) is None
