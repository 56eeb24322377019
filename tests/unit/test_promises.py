"""A promise to pay: an adapter says whose money a call is, the covered SDK that sends it holds and books it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.sdk import AsyncClient, Client, Options, patching, read

import bursar
from bursar import Budget, BudgetExceeded, BursarError, Hold, Session, UnknownModel, Usage
from bursar import coverage as covering
from bursar.integration import (
    Run,
    book_unclaimed,
    convert_refusals,
    cover_later,
    cover_text,
    covered_sdks,
    note_saved,
    promise_of_another,
    stop_converting,
)
from bursar.sdk import Demand
from bursar.testing import Rate, Reply, ScriptedProvider

HOW = pytest.mark.parametrize("how", ["sync", "async"])
HI: Any = [{"role": "user", "content": "hi"}]


class Refused(Exception):
    """What a framework lets through."""


class Other(Refused):
    """What another one does."""


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(rates={"gpt-4o": Rate("2.50", "10")}) as provider:
        yield provider


@pytest.fixture(autouse=True)
def _covered() -> Iterator[None]:
    patching.patch()
    yield
    patching.unpatch()


def send(provider: ScriptedProvider, how: str, retries: int = 0, **body: Any) -> Any:
    """One request of a client that is covered."""
    options = Options(**{"model": "gpt-4o", "messages": HI, "max_tokens": 50, **body})
    url = provider.openai_url
    if how == "sync":
        return Client(url, retries).request(object, options)
    return asyncio.run(AsyncClient(url, retries).request(object, options))


def exact(session: Session, provider: ScriptedProvider) -> bool:
    return (session.spent, session.reserved) == (provider.bill, 0)


@HOW
def test_first_request_is_reserved_from_the_session_that_promised(
    how: str, provider: ScriptedProvider
) -> None:
    """The SDK holds it, tells the adapter of the hold, and books the bill, where no session is entered."""
    session, holds = Budget("$1").session(), list[Hold]()
    with cover_later(session, on_hold=holds.append) as promise:
        assert not promise.claimed
        send(provider, how)
        assert promise.claimed
    assert [hold.state for hold in holds] == ["settled"]
    assert holds[0].session is session
    assert exact(session, provider)


def test_a_promise_that_is_over_pays_for_nothing(provider: ScriptedProvider) -> None:
    """After its end a request is nobody's again."""
    session = Budget("$1").session()
    promise = cover_later(session)
    promise.close()
    send(provider, "sync")
    assert (provider.hits, session.calls) == (1, 0)


@HOW
def test_cap_is_lowered_to_what_is_left(how: str, provider: ScriptedProvider) -> None:
    """A call whose cap does not fit is sent with one that does, and its hold says so."""
    session, holds = Budget("$0.001").session(), list[Hold]()
    with cover_later(session, on_hold=holds.append):
        send(provider, how, max_tokens=4_000)
    assert 16 <= provider.served[0].body["max_tokens"] < 100
    assert holds[0].clamped
    assert exact(session, provider)


@HOW
def test_refusal_is_raised_in_the_class_of_the_adapter(how: str, provider: ScriptedProvider) -> None:
    """It knows what the error of the core knows; nothing is sent, and the adapter hears of it first."""
    session, heard = Budget("$0").session(), list[BursarError]()
    with (
        cover_later(session, raise_as=Refused, on_refusal=heard.append),
        pytest.raises(BudgetExceeded) as refused,
    ):
        send(provider, how)
    assert isinstance(refused.value, Refused)
    assert refused.value.limit == "$0/session"
    assert heard == [refused.value]
    assert provider.hits == 0


def test_refusal_is_raised_as_it_is_without_a_class(provider: ScriptedProvider) -> None:
    """`raise_as=` may be left out."""
    with cover_later(Budget("$0").session()), pytest.raises(BudgetExceeded) as refused:
        send(provider, "sync")
    assert type(refused.value) is BudgetExceeded


def test_other_errors_are_converted_too(provider: ScriptedProvider) -> None:
    """A model without a price is refused in the same class."""
    with cover_later(Budget("$1").session(), raise_as=Refused), pytest.raises(UnknownModel) as refused:
        send(provider, "sync", model="home-made")
    assert isinstance(refused.value, Refused)


@HOW
def test_a_raised_limit_admits_the_call(how: str, provider: ScriptedProvider) -> None:
    """The listener of refusals may raise the limit: the session is asked once more, and once only."""
    budget = Budget("$0")
    session, asked = budget.session(), list[BursarError]()

    def enough(refusal: BursarError) -> bool:
        asked.append(refusal)
        budget.set_limit("$1")
        return True

    with cover_later(session, on_refusal=enough):
        send(provider, how)
    assert (len(asked), provider.hits) == (1, 1)
    assert exact(session, provider)


def test_a_listener_that_promises_too_much_is_asked_once(provider: ScriptedProvider) -> None:
    """Where the limit was not raised after all, the refusal is raised."""
    asked: list[BursarError] = []

    def yes(refusal: BursarError) -> bool:
        asked.append(refusal)
        return True

    with cover_later(Budget("$0").session(), on_refusal=yes), pytest.raises(BudgetExceeded):
        send(provider, "sync")
    assert len(asked) == 1


@HOW
def test_listener_that_raises_gives_the_hold_back(how: str, provider: ScriptedProvider) -> None:
    """An adapter may refuse the call when it hears of the hold; then nothing is sent or kept."""
    session = Budget("$1").session()

    def refuses(hold: Hold) -> None:
        raise ZeroDivisionError(hold.id)

    with cover_later(session, on_hold=refuses), pytest.raises(ZeroDivisionError):
        send(provider, how)
    assert (provider.hits, session.spent, session.reserved) == (0, 0, 0)


@HOW
def test_retry_in_doubt_is_reserved_from_the_session_that_promised(
    how: str, provider: ScriptedProvider
) -> None:
    """An attempt that may be on the bill keeps its hold; the next has one of its own, of the same session."""
    provider.script(Reply(drop="before_headers"))
    session, holds = Budget("$1").session(), list[Hold]()
    with cover_later(session, on_hold=holds.append):
        send(provider, how, retries=1)
    assert [hold.state for hold in holds] == ["in_doubt", "settled"]
    assert session.spent >= provider.bill > 0
    assert session.reserved == 0


@HOW
@pytest.mark.parametrize("by", ["promise", "hold"])
def test_second_request_is_reserved_from_the_same_session(
    by: str, how: str, provider: ScriptedProvider
) -> None:
    """What a context sends beside the one request that was announced is paid by its session, too."""
    session = Budget("$1").session()
    payment: Any = cover_later(session)
    if by == "hold":
        payment.close()
        payment = session.reserve("gpt-4o", messages=HI, max_output_tokens=50)
    with payment:
        send(provider, how)
        send(provider, how)
    assert session.calls == provider.hits == 2
    assert exact(session, provider)


@HOW
def test_retry_in_doubt_of_a_hold_is_reserved_from_its_session(how: str, provider: ScriptedProvider) -> None:
    """A hold in the context pays for the first attempt, its session for the next, where no session is current."""
    provider.script(Reply(drop="before_headers"))
    session = Budget("$1").session()
    with session.reserve("gpt-4o", messages=HI, max_output_tokens=50) as hold:
        send(provider, how, retries=1)
    assert hold.state == "in_doubt"
    assert session.report()["breakdown"]["llm"]["calls"] == 2
    assert session.reserved == 0


def test_a_session_that_was_entered_since_pays(provider: ScriptedProvider) -> None:
    """For the second request a `with session:` inside of the promise is nearer."""
    promising, inner = Budget("$1").session(), Budget("$1").session()
    with cover_later(promising):
        send(provider, "sync")
        with inner:
            send(provider, "sync")
    assert (promising.calls, inner.calls) == (1, 1)


def test_each_request_claims_the_promise_with_its_texts(provider: ScriptedProvider) -> None:
    """Of several promises in one context a request takes its own, in whatever order they are sent."""
    sessions = [Budget("$1", name=name).session() for name in "abc"]
    promises = [cover_later(session, texts=[name]) for name, session in zip("abc", sessions, strict=True)]
    for name in "bca":
        content = [{"type": "text", "text": name}]
        send(provider, "sync", messages=[{"role": "user", "content": content}])
        paid = [session for session in sessions if session.calls]
        assert sessions["abc".index(name)] in paid
    assert [session.calls for session in sessions] == [1, 1, 1]
    for promise in promises:
        promise.close()


def test_a_request_without_its_texts_claims_any(provider: ScriptedProvider) -> None:
    """A framework may send other words than it told: the innermost promise pays."""
    sessions = [Budget("$1").session() for _ in range(2)]
    promises = [cover_later(session, texts=[str(at)]) for at, session in enumerate(sessions)]
    send(provider, "sync")
    send(provider, "sync")
    assert [session.calls for session in sessions] == [1, 1]
    for promise in promises:
        promise.close()


def test_two_promises_of_one_account_for_one_call_are_one(provider: ScriptedProvider) -> None:
    """Two adapters of a session hear of one call: it is promised once, and both hear of the hold."""
    session, heard = Budget("$1").session(), list[str]()
    first = cover_later(session, on_hold=lambda _: heard.append("first"), call="call")
    second = cover_later(session, on_hold=lambda _: heard.append("second"), call="call")
    assert second is first
    assert promise_of_another(session, "call") is None
    with first:
        send(provider, "sync")
    assert heard == ["first", "second"]
    assert (session.calls, provider.hits) == (1, 1)


def test_promise_of_another_account_for_the_same_call(provider: ScriptedProvider) -> None:
    """It is found until a request is sent on it, by the call, and never for another one."""
    mine, yours = Budget("$1").session(), Budget("$1").session()
    with cover_later(yours, call="call") as promise:
        assert promise_of_another(mine, "call") is promise
        assert promise_of_another(mine, "another") is None
        send(provider, "sync")
        assert promise_of_another(mine, "call") is None


@pytest.mark.parametrize("usage", [Usage(100, 20), None, Usage(-1, 0)])
def test_answer_that_came_around_the_sdk_is_booked(usage: Usage | None) -> None:
    """By its usage, else at the worst case of the call; the next call is then judged by it."""
    session = Budget("$1").session()
    asked = {"model": "gpt-4o", "messages": HI, "max_output_tokens": 50}
    charge = book_unclaimed(session, asked, usage)
    told = usage is not None and not usage.flaw
    assert charge.estimated is not told
    assert session.spent == charge.cost
    assert charge.cost * 10**9 == (450_000 if told else session.reserve(**asked).amount * 10**9)


def test_booked_answer_above_the_limit_says_so() -> None:
    """It is booked all the same."""
    session = Budget("$0.0001").session()
    with pytest.raises(BudgetExceeded):
        book_unclaimed(session, {"model": "gpt-4o", "messages": HI}, Usage(100, 20), model="gpt-4o")
    assert session.spent > session.remaining
    assert session.last_refusal is not None


@pytest.mark.parametrize("usage", [Usage(100, 20), None])
def test_answer_of_a_cache_is_counted_as_saved(usage: Usage | None) -> None:
    """It is free; what it would have cost is counted, where that is known."""
    session = Budget("$1").session()
    note_saved(session, {"model": "gpt-4o", "messages": HI}, usage)
    assert (session.spent, session.calls) == (0, 0)
    assert session.report()["saved"] == (0.00045 if usage else 0)


# -- prompts that another task sends ----------------------------------------------------------


@pytest.fixture
def _prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK sends prompts, beside one text with all else that a request has."""

    def read_prompts(client: Any, options: Any) -> Demand:
        demand = read(client, options)
        demand.ask["messages"] = [*options.json_data["metadata"]["prompts"], '{"echo": false}']
        return demand

    monkeypatch.setattr(patching, "_read", read_prompts)


def prompt(provider: ScriptedProvider, session: Session, *texts: str) -> Any:
    with session:
        return send(provider, "sync", metadata={"prompts": texts})


@pytest.mark.usefixtures("_prompts")
def test_hold_of_a_prompt_pays_wherever_it_is_sent(provider: ScriptedProvider) -> None:
    """A request that another thread sends is found by its text, once; who is entered there does not pay."""
    session, bystander = Budget("$1").session(), Budget("$1").session()
    hold = session.reserve("gpt-4o", messages=["sky"], max_output_tokens=50)
    with cover_text(hold, "sky"):
        thread = threading.Thread(target=prompt, args=(provider, bystander, "sky"))
        thread.start()
        thread.join()
        assert (session.calls, bystander.calls) == (1, 0)
        prompt(provider, bystander, "sky")
        prompt(provider, bystander, "sea")
    assert (session.calls, bystander.calls) == (1, 2)


def test_hold_of_a_prompt_pays_for_nothing_else_here(provider: ScriptedProvider) -> None:
    """It is not in the context: another request is nobody's, or that of who is entered."""
    session = Budget("$1").session()
    with cover_text(session.reserve("gpt-4o", messages=["sky"], max_output_tokens=50), "sky") as hold:
        send(provider, "sync")
        assert hold.state == "reserved"
        hold.release()
    assert session.calls == 0


@pytest.mark.usefixtures("_prompts")
def test_prompts_with_a_hold_each_are_left_to_them(provider: ScriptedProvider) -> None:
    """One request of several prompts that are all held is charged to nobody else; of one more, it is."""
    session, bystander = Budget("$1").session(), Budget("$1").session()
    holds = [session.reserve("gpt-4o", messages=[text], max_output_tokens=50) for text in "ab"]
    covers = [cover_text(hold, text) for hold, text in zip(holds, "ab", strict=True)]
    prompt(provider, bystander, "a", "b")
    assert bystander.calls == 0
    prompt(provider, bystander, "a", "b", "c")
    assert bystander.calls == 1
    assert [hold.state for hold in holds] == ["reserved", "reserved"]
    for cover, hold in zip(covers, holds, strict=True):
        cover.close()
        hold.release()


# -- refusals where no adapter pays -------------------------------------------------------------


def test_refusal_is_converted_where_a_framework_runs(provider: ScriptedProvider) -> None:
    """A function that is registered chooses the class of it, until that is undone; a promise has its own."""

    def convert(error: BursarError) -> BursarError:
        return bursar.integration.raised_as(error, Refused)

    session = Budget("$0").session()
    convert_refusals(convert)
    with session:
        with pytest.raises(BudgetExceeded) as converted:
            send(provider, "sync")
        with cover_later(session, raise_as=Other), pytest.raises(BudgetExceeded) as promised:
            send(provider, "sync")
        stop_converting(convert)
        stop_converting(convert)
        with pytest.raises(BudgetExceeded) as plain:
            send(provider, "sync")
    assert isinstance(converted.value, Refused)
    assert isinstance(promised.value, Other)
    assert not isinstance(plain.value, Refused)


# -- runs ---------------------------------------------------------------------------------------


def test_refusal_of_a_promise_is_the_runs(provider: ScriptedProvider) -> None:
    """Swallowed inside a run that ends well, it comes up at the end of the session, once."""
    session = Budget("$0").session()
    with pytest.raises(BudgetExceeded) as raised, session:
        run = Run()
        with cover_later(session, raise_as=Refused), pytest.raises(Refused):
            send(provider, "sync")
        run.close()
    assert isinstance(raised.value, Refused)
    with session:
        pass


def test_run_is_entered_in_a_bare_thread() -> None:
    """Where a framework goes on in a thread without its context, refusals are the run's all the same."""
    session = Budget("$0").session()
    run = Run()

    def in_thread() -> None:
        run.enter()
        run.enter()
        with pytest.raises(BudgetExceeded) as refused:
            session.reserve(cost=1)
        session.surface(refused.value)

    with pytest.raises(BudgetExceeded), session:
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        run.close()


def test_run_that_is_over_is_not_entered() -> None:
    """A straggler's refusal is its caller's."""
    session = Budget("$0").session()
    run = Run()
    run.close()
    run.enter()
    with session:
        with pytest.raises(BudgetExceeded) as refused:
            session.reserve(cost=1)
        session.surface(refused.value)


# -- covering for good ----------------------------------------------------------------------------


class SDK:
    """A plugin that covers an SDK, or cannot."""

    def __init__(self, name: str, why_not: str | None = None) -> None:
        self.plugin = name
        self.why_not = why_not
        self.asked = 0
        self.told = 0

    def ask(self, arguments: Any, kind: type) -> str:
        self.asked += 1
        if self.why_not:
            from bursar.ledger.hook_call import HookFailed

            raise HookFailed(self.why_not) from BursarError(self.why_not)
        return self.plugin

    def tell(self, arguments: Any) -> None:
        self.told += 1


@pytest.fixture
def sdks(monkeypatch: pytest.MonkeyPatch) -> dict[str, SDK]:
    """Two SDKs that are imported, and a plugin for each."""
    found = {name: SDK(name) for name in ("one", "two")}
    monkeypatch.setattr(covering, "INTEGRATIONS", {name: f"bursar-{name}" for name in found})
    monkeypatch.setattr(covering, "_for_good", set())
    monkeypatch.setattr(covering, "_implementations", lambda hook: tuple(found.values()))
    for name in found:
        monkeypatch.setitem(__import__("sys").modules, name, threading)
    return found


def test_sdks_are_covered_once_and_for_good(sdks: dict[str, SDK]) -> None:
    """Asking again covers nothing anew, and `teardown` leaves them."""
    assert covered_sdks() == covered_sdks() == {"one", "two"}
    assert [sdk.asked for sdk in sdks.values()] == [1, 1]
    covering._unpatch()
    assert [sdk.told for sdk in sdks.values()] == [0, 0]


def test_only_the_sdk_that_is_needed_is_covered(sdks: dict[str, SDK]) -> None:
    """One that is too old stops nobody who asks for another; who asks for it is told why."""
    sdks["two"].why_not = "two 0.1 is too old"
    assert covered_sdks("one") == {"one"}
    with pytest.raises(BursarError, match=r"two is not covered: two 0\.1 is too old"):
        covered_sdks("two")
    covering._unpatch()
    assert sdks["two"].told == 1


def test_sdk_that_is_not_imported_is_not_covered(sdks: dict[str, SDK]) -> None:
    """Nor one of another name."""
    assert covered_sdks("three") == set()
    assert [sdk.asked for sdk in sdks.values()] == [0, 0]
