"""Who pays: the client's own session, the one of the context, that of the process; and each call once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai._base_client import AsyncAPIClient, SyncAPIClient

import bursar
from bursar import Budget, BudgetExceeded, BursarError, Session
from bursar.testing import Reply, ScriptedProvider

from .conftest import Bench
from .surfaces import CHAT, SURFACES, Async, Sync, take

COVERED = ("request", "_process_response", "_build_request")


@pytest.fixture
def client(provider: ScriptedProvider) -> Any:
    with openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as client:
        yield client


def ask(client: Any) -> None:
    client.chat.completions.create(**CHAT)


def methods() -> list[Any]:
    retries = [getattr(base, "_sleep_for_retry", None) for base in (SyncAPIClient, AsyncAPIClient)]
    return retries + [vars(base).get(name) for base in (SyncAPIClient, AsyncAPIClient) for name in COVERED]


# -- the process ------------------------------------------------------------------------------------


def test_to_cover_a_process_raises_no_alert(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The call that proves the cover is nobody's: no log line tells of it; one of a budget's own does."""
    bursar.init("$0.00001")
    assert caplog.records == []
    with pytest.raises(BudgetExceeded):
        ask(client)
    assert [record.name for record in caplog.records] == ["bursar"]


def test_two_lines_cover_every_client(client: Any, provider: ScriptedProvider) -> None:
    """Clients from before `init` and from after it, here and in plain threads; `teardown` reports and restores."""
    before = methods()
    assert bursar.teardown() is None and bursar.get_session() is None
    session = bursar.init("$1", "100 calls")
    assert bursar.get_session() is session
    ask(client)
    with openai.OpenAI(base_url=provider.openai_url, api_key="none") as later:
        ask(later)
    thread = threading.Thread(target=ask, args=(client,))
    thread.start()
    thread.join()
    assert bursar.spent() == session.spent == provider.bill and bursar.remaining() == 1 - provider.bill
    assert bursar.report()["total_spent"] == float(provider.bill)
    assert methods() != before
    report = bursar.teardown()
    assert report is not None and report["breakdown"]["llm"]["calls"] == 3
    assert methods() == before and bursar.get_session() is None
    ask(client)
    assert session.calls == 3
    for question in (bursar.spent, bursar.remaining, bursar.report):
        with pytest.raises(BursarError, match="init"):
            question()


def test_a_second_init_is_an_error(client: Any, provider: ScriptedProvider) -> None:
    """The first one goes on paying; after `teardown` another begins at zero."""
    first = bursar.init("$1")
    with pytest.raises(BursarError, match="teardown"):
        bursar.init("$2")
    ask(client)
    assert first.spent == provider.bill
    bursar.teardown()
    assert bursar.init("$2").spent == 0
    bursar.teardown()


def test_a_wrong_setting_covers_nothing(client: Any, provider: ScriptedProvider) -> None:
    """What `Budget` refuses, `init` refuses, and leaves the SDK as it was."""
    before = methods()
    for wrong in ({"unknown_outcome": "best"}, {"allow": ("everything",)}, {"lease": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            bursar.init("$1", **wrong)
    assert methods() == before and bursar.get_session() is None
    ask(client)
    assert provider.calls == 1


@pytest.mark.parametrize("broken", [SyncAPIClient, AsyncAPIClient])
def test_init_sees_that_it_covers(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a base class does not let itself be covered, `init` says so instead of counting nothing."""
    from bursar_openai import _adapter

    before = methods()
    original = _adapter.patching._methods

    def without_request(cls: type, *args: Any) -> Any:
        found = original(cls, *args)
        if cls is broken:
            found["request"] = vars(broken)["request"]
        return found

    monkeypatch.setattr(_adapter.patching, "_methods", without_request)
    with pytest.raises(BursarError, match=f"{broken.__name__} is not covered"):
        bursar.init("$1")
    assert methods() == before and bursar.get_session() is None


def test_other_libraries_patch_the_same_place(client: Any, provider: ScriptedProvider) -> None:
    """One that came before us and one that came after us both see the call; it is charged once, and all is restored."""
    seen = []
    bare = SyncAPIClient.request

    def below(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append("below")
        return bare(self, *args, **kwargs)

    SyncAPIClient.request = below  # type: ignore[method-assign, assignment]
    try:
        first = bursar.init("$1")
        ours = SyncAPIClient.request

        def above(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append("above")
            return ours(self, *args, **kwargs)

        SyncAPIClient.request = above  # type: ignore[method-assign, assignment]
        ask(client)
        assert (seen, first.calls) == (["above", "below"], 1)
        bursar.teardown()
        ask(client)
        assert (seen[2:], first.calls) == (["above", "below"], 1)
        again = bursar.init("$1")  # over the other library, under which ours still lies
        ask(client)
        list(client.chat.completions.create(**CHAT, stream=True))
        assert (again.calls, again.reserved) == (2, 0)
        bursar.teardown()
        assert SyncAPIClient.request is above
    finally:
        SyncAPIClient.request = bare  # type: ignore[method-assign]
    assert provider.arrivals == 4


@pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.0001", 0)])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_library_that_came_first_and_leads_around_us(
    asynchronous: bool, limit: str, requests: int, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tracers patch the client's class, and keep the base method of that moment: we cover them where they begin."""
    kind: Any = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    kept, traced = kind.request, []

    def tracing(self: Any, *args: Any, **kwargs: Any) -> Any:
        traced.append(self)
        return kept(self, *args, **kwargs)

    monkeypatch.setattr(kind, "request", tracing)
    session = bursar.init(limit)
    bench = Bench(provider, Async() if asynchronous else Sync(), "init")
    if requests:
        bench.take(SURFACES["chat"], bench.client())
        bench.take(SURFACES["chat-stream"], bench.client())
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(SURFACES["chat"], bench.client())
    assert provider.arrivals == session.calls == len(traced) == 2 * requests
    bench.assert_exact(session)
    bursar.teardown()
    assert kind.request is tracing
    bench.close()


@pytest.mark.parametrize("kind", [SyncAPIClient, AsyncAPIClient])
def test_init_sees_that_somebody_else_sends(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch before us that passes nothing on: calls would be made unseen, so `init` fails, and restores all."""
    monkeypatch.setattr(kind, "post", lambda self, *args, **kwargs: None)
    before = methods()
    with pytest.raises(BursarError, match=f"{kind.__name__} is not covered"):
        bursar.init("$1")
    assert methods() == before and bursar.get_session() is None


def test_a_request_method_that_was_taken_before(bench: Bench) -> None:
    """Kept on the client by another library, it would go around the budget: it sends nothing until a hold pays."""
    client = bench.client()
    client.request = client.request
    session = bench.pay(client, "$1")
    with pytest.raises(BursarError, match="goes around its budget"):
        bench.take(SURFACES["chat"], client)
    assert (bench.provider.arrivals, session.reserved) == (0, 0)
    with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=50) as hold:
        hold.settle(bench.take(SURFACES["chat"], client))
    bench.assert_exact(session)
    bench.take(SURFACES["chat"], client.copy())  # which has the method of its class
    assert session.calls == bench.provider.arrivals == 2
    bench.assert_exact(session)


def test_starting_and_stopping_in_many_threads(client: Any) -> None:
    """However `init` and `teardown` interleave, the SDK ends as it began."""
    before = methods()

    def often() -> None:
        for _ in range(20):
            try:
                bursar.init("$1")
            except BursarError:
                bursar.teardown()

    threads = [threading.Thread(target=often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bursar.teardown()
    assert methods() == before


# -- the context ------------------------------------------------------------------------------------


def test_the_session_of_the_context_pays(client: Any) -> None:
    """Instead of that of the process; nested ones inside out, and one that is entered twice."""
    of_process, outer, inner = bursar.init("$1"), Budget("$1").session(), Budget("$1").session()
    ask(client)
    with outer:
        ask(client)
        with inner, outer, inner:
            ask(client)
        assert bursar.get_session() is outer
        ask(client)
    ask(client)
    assert (of_process.calls, outer.calls, inner.calls) == (2, 2, 1)


def test_without_init_a_context_covers_nobody(client: Any, provider: ScriptedProvider) -> None:
    """`with session:` says who pays for clients that are covered; it covers none by itself."""
    with Budget("$0").session() as session:
        ask(client)
    assert (provider.calls, session.calls) == (1, 0)


def test_threads_and_tasks_have_their_own(provider: ScriptedProvider) -> None:
    """A thread starts with the session of the process, a task with that of its parent; none sees another's."""
    of_process = bursar.init("$1")
    sessions = [Budget("$1").session() for _ in range(4)]

    def in_thread(session: Session) -> None:
        with openai.OpenAI(base_url=provider.openai_url, api_key="none") as client:
            ask(client)
            with session:
                ask(client)

    async def in_task(client: openai.AsyncOpenAI, session: Session) -> None:
        async with session:
            await client.chat.completions.create(**CHAT)
            await asyncio.create_task(client.chat.completions.create(**CHAT))

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            await asyncio.gather(*(in_task(client, session) for session in sessions))
            await client.chat.completions.create(**CHAT)

    with sessions[0], ThreadPoolExecutor(4) as pool:
        list(pool.map(in_thread, sessions))
    asyncio.run(main())
    assert [session.calls for session in sessions] == [3, 3, 3, 3]
    assert of_process.calls == 5


# -- one client -------------------------------------------------------------------------------------


def test_a_wrapped_client_pays_by_itself_and_once(client: Any, provider: ScriptedProvider) -> None:
    """Neither the process nor the context pays for it too; its copies are wrapped, and others are not."""
    bare = client.copy()
    of_process, of_context, own = bursar.init("$1"), Budget("$1").session(), Budget("$1").session()
    bursar.wrap_client(client, own)
    with of_context:
        ask(client)
        ask(client.with_options(max_retries=1).copy())
        ask(bare)
    assert (own.calls, of_context.calls, of_process.calls) == (2, 1, 0)
    assert own.spent + of_context.spent == provider.bill


def test_wrapping_again_changes_who_pays(client: Any) -> None:
    """The newest session pays alone; unwrapped, the class is what it was, and nobody does."""
    kind, shown = type(client), repr(type(client))
    first, second = Budget("$1").session(), Budget("$1").session()
    assert bursar.wrap_client(bursar.wrap_client(client, first), second) is client
    ask(client)
    assert isinstance(client, kind) and repr(type(client)) == shown
    assert bursar.unwrap_client(client) is client and type(client) is kind
    ask(client)
    assert (first.calls, second.calls) == (0, 1)


def test_a_subclass_of_the_users_own(provider: ScriptedProvider) -> None:
    """With a `request` of its own, which calls the SDK's: one charge, and its behaviour stays."""
    seen = []

    class Mine(openai.OpenAI):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("mine")
            return super().request(*args, **kwargs)

    for cover in ("wrap", "init"):
        with Mine(base_url=provider.openai_url, api_key="none") as client:
            session = bursar.init("$1") if cover == "init" else Budget("$1").session()
            ask(client if cover == "init" else bursar.wrap_client(client, session))
            assert session.calls == 1
    bursar.teardown()
    assert seen == ["mine", "mine"] and provider.arrivals == 2


@pytest.mark.parametrize("cover", ["wrap", "init"])
def test_thirty_two_threads_over_one_client(cover: str, provider: ScriptedProvider) -> None:
    """The bill never passes the limit, the ledger is the bill, and what was refused was not sent."""
    bench = Bench(provider, take, cover)  # type: ignore[arg-type]
    client: Any = openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0)
    session = bench.pay(client, "$0.15", clamp=False)
    refused = []

    def work(number: int) -> None:
        for call in range(20):
            try:
                take(SURFACES["chat-stream" if call % 2 else "responses"], client)
            except BudgetExceeded:
                refused.append(number)

    with client, ThreadPoolExecutor(32) as pool:
        list(pool.map(work, range(32)))
    bursar.teardown()
    assert 0 < len(refused) < 640
    assert provider.calls == provider.arrivals == 640 - len(refused) == session.calls
    assert session.spent == provider.bill <= 0.15
    assert session.reserved == 0


# -- a hold that covers -----------------------------------------------------------------------------


def test_a_hold_pays_for_the_first_request_within_it(client: Any, provider: ScriptedProvider) -> None:
    """The client sends on it and settles it with the usage it saw; the next request has a hold of its own."""
    session = Budget("$1").session()
    bursar.wrap_client(client, session)
    with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=30) as hold:
        answer = client.chat.completions.create(**CHAT)
        assert (hold.state, session.calls) == ("settled", 1)
        assert provider.served[0].body["max_tokens"] == 30  # the cap that the hold pays for
        assert hold.settle(answer).id == hold.id
        ask(client)
    assert (session.calls, session.reserved) == (2, 0)
    assert session.spent == provider.bill


def test_a_hold_pays_for_one_request_at_a_time(client: Any, provider: ScriptedProvider) -> None:
    """While a stream is read on the hold, a call of its reader's is held anew."""
    session = Budget("$1").session()
    bursar.wrap_client(client, session)
    with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=50):
        for _ in client.chat.completions.create(**CHAT, stream=True):
            if provider.arrivals == 1:
                ask(client)
    assert (session.calls, session.reserved) == (2, 0)
    assert session.spent == provider.bill


def test_an_attempt_in_doubt_uses_the_hold_up(provider: ScriptedProvider) -> None:
    """The hold pays for what may be on the bill; the next attempt is held by the client's own session."""
    session = Budget("$1").session()
    client = openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=1)
    bursar.wrap_client(client, session)
    provider.script(Reply(drop="before_headers"))
    with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=50) as hold:
        answer = client.chat.completions.create(**CHAT)
        assert hold.state == "in_doubt"
        assert hold.settle(answer) is hold.charge  # it was charged to another hold: this one stays in doubt
    assert hold.state == "in_doubt"
    assert session.spent * 10**9 >= provider.bill_nanos and session.calls == 2
    client.close()


def test_an_answer_that_was_charged_is_not_charged_again(client: Any, provider: ScriptedProvider) -> None:
    """A hold that was not in the context is given back by its settle: the client has paid already."""
    session = Budget("$1").session()
    bursar.wrap_client(client, session)
    hold = session.reserve("gpt-4o", input_tokens=100, max_output_tokens=50)
    answer = client.chat.completions.create(**CHAT)
    assert hold.settle(answer).cost == 0 and session.wrap(answer) is answer
    assert (hold.state, session.calls, session.reserved) == ("released", 1, 0)
    assert session.spent == provider.bill


def test_a_client_that_nobody_pays_for_leaves_the_hold_alone(client: Any, provider: ScriptedProvider) -> None:
    """Then the caller settles, as ever."""
    session = Budget("$1").session()
    with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=50) as hold:
        hold.settle(client.chat.completions.create(**CHAT))
    assert session.spent == provider.bill


# -- decorated functions ------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "requests"), [("$1", 3), ("$0.001", 1)])
@pytest.mark.parametrize("kind", ["function", "generator", "coroutine", "async generator"])
def test_each_call_of_a_decorated_function_has_its_own_budget(
    kind: str, limit: str, requests: int, provider: ScriptedProvider
) -> None:
    """Covered while it runs, whatever kind it is; not covered after it, nor between the steps of a generator."""
    before = methods()
    settings = {"base_url": provider.openai_url, "api_key": "none", "max_retries": 0}

    @bursar.budgeted(limit, clamp=False)
    def function() -> list[Any]:
        with openai.OpenAI(**settings) as client:
            return [client.chat.completions.create(**CHAT) for _ in range(3)]

    @bursar.budgeted(limit, clamp=False)
    def generator() -> Any:
        with openai.OpenAI(**settings) as client:
            for _ in range(3):
                yield client.chat.completions.create(**CHAT)

    @bursar.budgeted(limit, clamp=False)
    async def coroutine() -> list[Any]:
        async with openai.AsyncOpenAI(**settings) as client:
            return [await client.chat.completions.create(**CHAT) for _ in range(3)]

    @bursar.budgeted(limit, clamp=False)
    async def async_generator() -> Any:
        async with openai.AsyncOpenAI(**settings) as client:
            for _ in range(3):
                yield await client.chat.completions.create(**CHAT)

    async def collect() -> list[Any]:
        return [answer async for answer in async_generator()]

    runs = {
        "function": function,
        "generator": lambda: list(generator()),
        "coroutine": lambda: asyncio.run(coroutine()),
        "async generator": lambda: asyncio.run(collect()),
    }
    for times in (1, 2):
        if requests == 3:
            assert len(runs[kind]()) == 3
        else:
            with pytest.raises(BudgetExceeded):
                runs[kind]()
        assert provider.arrivals == times * requests
    assert methods() == before and bursar.get_session() is None


def test_a_decorated_generator_is_nobodys_business_while_it_waits(
    client: Any, provider: ScriptedProvider
) -> None:
    """Between its steps the consumer's own session pays; and what is sent in and thrown in arrives."""
    heard = []

    @bursar.budgeted("$1")
    def talk() -> Any:
        try:
            while True:
                heard.append((yield bursar.get_session()))
        except ZeroDivisionError:
            yield "caught"
        return "done"

    of_process = bursar.init("$1")
    generator = talk()
    inside = next(generator)
    assert bursar.get_session() is of_process and inside is not of_process
    ask(client)
    assert generator.send("hello") is inside and heard == ["hello"]
    assert generator.throw(ZeroDivisionError) == "caught"
    with pytest.raises(StopIteration, match="done"):
        next(generator)
    assert (inside.calls, of_process.calls) == (0, 1)
    bursar.teardown()


def test_within_a_covered_process_a_decorated_function_pays_by_itself(client: Any) -> None:
    """Its session wins over that of the process, which stays covered when the function is done."""
    of_process = bursar.init("$1")
    sessions = []

    @bursar.budgeted("$1")
    def function() -> None:
        sessions.append(bursar.get_session())
        ask(client)

    function()
    ask(client)
    (own,) = sessions
    assert (own.calls, of_process.calls) == (1, 1)
