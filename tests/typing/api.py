"""The public API as type checkers see it: this file is checked, and never run.

A wrong call has a ``type: ignore`` that names the error: where the checker stops seeing it, the
unused comment is one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal

from typing_extensions import assert_type

from bursar import (
    Alert,
    AlertKind,
    AlertLevel,
    Budget,
    BudgetExceeded,
    BursarError,
    Call,
    CallVetoed,
    Charge,
    Estimate,
    Hold,
    HoldClosed,
    InvalidAmount,
    LedgerRolledBack,
    Limit,
    LimitConflict,
    LoopDetected,
    PluginInfo,
    Price,
    Refusal,
    Session,
    StoreError,
    StoreUnavailable,
    Tripped,
    UnknownModel,
    UnpriceableCall,
    Usage,
    UsageMissing,
    VelocityExceeded,
    bind,
    hookimpl,
    init,
    list_plugins,
    register_model,
    register_models,
    report_text,
    unwrap_client,
    verify_webhook,
    wrap_client,
)
from bursar.integration import (
    TOKENS_PER_ANSWER,
    Admission,
    Answer,
    CallParams,
    Costs,
    Cover,
    FoundByText,
    Limits,
    Lock,
    OpenCall,
    OpenCalls,
    Payee,
    Payer,
    Payers,
    Promise,
    Result,
    Run,
    Runs,
    Tally,
    areserve_once,
    as_session,
    book_unclaimed,
    came_around,
    cover,
    cover_later,
    cover_text,
    covered_hold,
    covered_sdks,
    fails_closed,
    is_sent_by,
    never_breaks,
    note_saved,
    outcome_of,
    promise_of_another,
    raised_as,
    read_answer,
    read_params,
    reserve_once,
    texts_of,
    withdraw,
)
from bursar.store import Store
from bursar.store.memory import MemoryStore
from bursar.testing import (
    ManualClock,
    Rate,
    Reply,
    Request,
    ScriptedProvider,
    Served,
    StoreContract,
    Tokens,
    ToolCall,
)
from bursar_langchain import BudgetCallback, BudgetMiddleware, LangChainRefusal, install, uninstall

# -- budgets ----------------------------------------------------------------------------------------

budget = Budget("$5", "2M tokens/total", Limit("$1", model="gpt-4o"), prices={"mine": Price(1, "2.50")})
assert_type(budget, Budget)
assert_type(Budget(5, 0.5, Decimal("0.25"), max_spend="$9"), Budget)
assert_type(Budget(unknown_model=(1, "2.50"), unknown_outcome="observed", clamp=16), Budget)
assert_type(Budget(clamp="text"), Budget)
assert_type(Budget(lease=timedelta(minutes=5), clock=ManualClock(), store=MemoryStore()), Budget)
assert_type(Budget(tool_prices={"search": "$0.01"}, aliases={"mine": "gpt-4o"}, tier="batch"), Budget)
assert_type(Budget("$5/day", tz="Europe/Oslo", child_limits=("$1", Limit("5 calls/1h"), 2)), Budget)
assert_type(
    Budget(soft_limit=(0.8, Decimal("0.9"), 1), finalization_reserve="$0.05", hard_stop=False), Budget
)
assert_type(Budget(loop_action="trip"), Budget)
assert_type(Budget("$5", child_limits="$5/day"), Budget)
assert_type(Budget(max_repeated_calls=None, loop_window=timedelta(minutes=1), cooldown=30), Budget)
assert_type(Budget(loop_window_seconds=60, max_velocity="$1/min"), Budget)
assert_type(Budget(max_velocity=Limit("20 calls/1min", tool="*"), soft_limit=None), Budget)
assert_type(Budget(on_soft_limit=print, on_hard_limit=print, on_loop_detected=print, on_alert=print), Budget)
Budget("$5", lease=None)  # type: ignore[arg-type]
Budget("$5", soft_limit="0.9")  # type: ignore[arg-type]
Budget("$5", max_velocity=1)  # type: ignore[arg-type]
Budget("$5", on_alert="print")  # type: ignore[arg-type]
Budget("$5", unknown_outcome="best")  # type: ignore[arg-type]
Budget("$5", maximum="$5")  # type: ignore[arg-type]

assert_type(budget.name, str)
assert_type(budget.limits, tuple[Limit, ...])
assert_type(budget.session("$1", id="run-7", tenant="acme"), Session)
assert_type(budget.async_session("$1"), Session)
assert_type(budget.child("alice", 10), Budget)
assert_type(budget.spent, Decimal)
assert_type(budget.reserved, Decimal)
assert_type(budget.remaining, Decimal | None)
assert_type(budget.tokens_spent, int)
assert_type(budget.calls, int)
assert_type(budget.report(), dict[str, Any])
budget.trip("why")
budget.untrip("why")
budget.reset("why")
budget.set_limit("$10/24h")
budget.drop_limit(Limit("$10/24h"))
budget.acknowledge_rollback("why")
assert_type(budget.correct("-$0.20", "why"), Charge)
assert_type(budget.children(), list[Budget])
assert_type(budget.history(days=7, tz="UTC"), dict[str, Any])
assert_type(budget.forecast(), dict[str, Any] | None)
assert_type(budget.summary(), dict[str, dict[str, Any]])
assert_type(budget.tree(), dict[str, dict[str, Any]])
assert_type(report_text(budget.report()), str)
assert_type([finding.account for finding in budget.audit()], list[str])
assert_type(budget.doctor(), dict[str, Any])
budget.reset()  # type: ignore[call-arg]
budget.correct(None, "why")  # type: ignore[arg-type]


@budget.on_alert
def pager(alert: Alert) -> None:
    """A listener stays what it is."""
    assert_type(alert.id, str)
    assert_type(alert.kind, AlertKind)
    assert_type(alert.level, AlertLevel)
    assert_type(alert.message, str)
    assert_type(alert.account, str)
    assert_type(alert.limit, str | None)
    assert_type(alert.threshold, float | None)
    assert_type(alert.fraction, float | None)
    assert_type(alert.spent, Decimal | int | None)
    assert_type(alert.at, float)
    assert_type(alert.report, Mapping[str, Any])
    assert_type(alert.kind.upper(), str)
    alert.level = AlertLevel.CRITICAL  # type: ignore[misc]


heard: list[Callable[[Alert], object]] = [pager]
budget.on_alert(5)  # type: ignore[type-var]

limit = Limit("20 calls", tool="search", provider="openai")
assert_type(limit.unit, Literal["usd", "tokens", "calls"])
assert_type(limit.window, str)
assert_type(limit.amount, int)
assert_type(limit.model, str | None)
limit.amount = 5  # type: ignore[misc]

# -- the life of one paid call ------------------------------------------------------------------------

with budget.session() as session:
    assert_type(session, Session)
    assert_type(session.id, str)
    assert_type(session.metadata, dict[str, Any])
    with session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200) as hold:
        assert_type(hold, Hold)
        assert_type(hold.id, str)
        assert_type(hold.call, Call)
        assert_type(hold.amount, Decimal)
        assert_type(hold.state, Literal["reserved", "settled", "released", "in_doubt"])
        assert_type(hold.max_output_tokens, int | None)
        assert_type(hold.repeated, bool)
        assert_type(hold.charge, Charge | None)
        assert_type(hold.settle(input_tokens=640, output_tokens=120), Charge)
    assert_type(session.reserve(tool="search", cost="$0.01").settle(cost=Decimal("0.01")), Charge)
    assert_type(session.reserve("gpt-4o", messages=[{"role": "user"}]).settle(usage=Usage(1, 1)), Charge)
    assert_type(session.reserve("gpt-4o", messages="hi", n=2, key="k", tier="flex").settle(object()), Charge)
    session.reserve("gpt-4o", max_tokens=5)  # type: ignore[arg-type]
    session.reserve("gpt-4o", input_tokens="800")  # type: ignore[arg-type]
    hold.settle(tokens=640)  # type: ignore[call-arg]
    assert_type(hold.settle_unknown(Usage(1, 1)), Charge)
    assert_type(hold.settle_unknown("$0.02"), Charge)
    hold.extend("5min")
    hold.release(saved=Usage(1, 1))
    hold.resolve(ValueError(), observed=Usage(1, 1))
    hold.abandon()

assert_type(session.spent, Decimal)
assert_type(session.reserved, Decimal)
assert_type(session.remaining, Decimal | None)
assert_type(session.tokens_spent, int)
assert_type(session.calls, int)
assert_type(session.terminated_by, str | None)
assert_type(session.report(), dict[str, Any])
assert_type(session.child_session("$1", name="inner", max_spend=2), Session)
session.trip("why")
session.untrip("why")
session.reset("why")
session.close()

# -- after the fact, questions, the end ---------------------------------------------------------------

assert_type(session.record("gpt-4o", 800, 200), Charge)
assert_type(session.record("mine", tokens=1_000, provider="acme", tier="batch"), Charge)
assert_type(session.record("gpt-4o", usage=Usage(800, 200)), Charge)
session.record("gpt-4o", "800", 200)  # type: ignore[arg-type]
session.record(input_tokens=800)  # type: ignore[call-arg]


class Completion:
    """What some SDK returns."""


assert_type(session.wrap(Completion()), Completion)
assert_type(session.wrap({"usage": 5}, model="gpt-4o", provider="openai"), dict[str, int])
assert_type(session.track(["found"], "$0.01", tool_name="search"), list[str])
session.track("found")  # type: ignore[call-arg]


@session.track_tool(cost="$0.01", tool_name="search")
def search(query: str, *, deep: bool = False) -> list[str]:
    """A tool keeps its signature."""
    return [query] * deep


@session.track_tool()
async def fetch(url: str) -> bytes:
    """An async one, too."""
    return url.encode()


assert_type(search("cats", deep=True), list[str])
search(5)  # type: ignore[arg-type]
assert_type(session.can_spend("$0.10"), bool)
assert_type(session.would_exceed(0.10), bool)
session.check("gpt-4o", 800, 200, provider="openai")
assert_type(session.estimate("gpt-4o", 800, 200, provider="openai"), Decimal)
session.check("gpt-4o", 800)  # type: ignore[call-arg]
session.would_exceed([])  # type: ignore[arg-type]
with session.finalize() as finalizing:
    assert_type(finalizing, Session)
session.surface(BudgetExceeded("swallowed"))
session.handled(ValueError())
assert_type(budget.session(swallow=True, session_id="run-7"), Session)


async def main() -> None:
    """The same for async code."""
    async with budget.session() as session:
        assert_type(session, Session)
        async with session.areserve("gpt-4o", input_tokens=800, max_output_tokens=200) as hold:
            assert_type(hold, Hold)
            assert_type(await hold.asettle(input_tokens=640, output_tokens=120), Charge)
        async with await session.areserve("gpt-4o", input_tokens=1) as hold:
            assert_type(hold, Hold)
            assert_type(await hold.asettle_unknown(), Charge)
        await hold.asettle(tokens=640)  # type: ignore[call-arg]
        await hold.aextend(60)
        await hold.arelease()
        await hold.aresolve(ValueError())
        assert_type(await session.areport(), dict[str, Any])
        assert_type((await session.abalance()).remaining, Decimal | None)
        assert_type(await session.arecord("gpt-4o", 800, 200), Charge)
        assert_type(await session.wrap_async(complete()), Completion)
        assert_type(await session.atrack("found", "$0.01"), str)
        assert_type(await session.acan_spend("$0.10"), bool)
        assert_type(await session.awould_exceed("$0.10"), bool)
        await session.acheck("gpt-4o", 800, 200)
        assert_type(await fetch("https://example.com"), bytes)
        await session.atrip("why")
        await session.auntrip("why")
        await session.areset("why")
        await session.arecord("gpt-4o", "800")  # type: ignore[arg-type]
    assert_type(await budget.areport(), dict[str, Any])
    assert_type((await budget.abalance()).spent, Decimal)
    await budget.atrip("why")
    await budget.auntrip("why")
    await budget.aset_limit("$10/24h")
    await budget.adrop_limit("$10/24h")
    await budget.aacknowledge_rollback("why")
    assert_type(await budget.acorrect("$0.20", "why"), Charge)
    assert_type(await budget.achildren(), list[Budget])
    assert_type(await budget.asummary(), dict[str, dict[str, Any]])
    assert_type(await budget.ahistory(), dict[str, Any])
    assert_type(await budget.aforecast(), dict[str, Any] | None)
    assert_type(await budget.atree(), dict[str, dict[str, Any]])
    assert_type((await budget.aaudit())[0].account, str)
    await session.aclose()


async def complete() -> Completion:
    """An answer that takes its time."""
    return Completion()


def books(charge: Charge) -> None:
    """What was booked, and for what."""
    assert_type(charge.cost, Decimal)
    assert_type(charge.overrun, Decimal)
    assert_type(charge.saved, Decimal)
    assert_type(charge.usage, Usage | None)
    assert_type(charge.estimated, bool)
    assert_type(charge.at, float)
    assert_type(charge.call.kind, Literal["model", "tool", "correction"])
    assert_type(charge.call.model, str | None)
    assert_type(charge.call.max_output_tokens, int)
    charge.cost = Decimal(0)  # type: ignore[misc]


def counts(usage: Usage) -> None:
    """Tokens, and what they cost."""
    assert_type(usage.tokens, int)
    assert_type(usage.flaw, str | None)
    assert_type(usage.requests, Mapping[str, int])
    assert_type(Usage(10, 5, cached_input_tokens=3, requests={"web_search": 2}), Usage)
    assert_type(Price("2.50", 10, cached_input=Decimal("1.25"), context_window=128_000), Price)
    Usage(input_tokens=10)  # type: ignore[call-arg]
    register_model("mine", 1, "2.50", cached_input_price_per_million=0.5)
    register_models({"mine": (1, "2.50"), "yours": Price(1, 2)})


# -- for integrations ---------------------------------------------------------------------------------


def integrates(hold: Hold, error: Exception) -> None:
    """One hold for one call, through all layers."""
    assert_type(as_session("$5"), Session)
    assert_type(as_session(5), Session)
    assert_type(as_session(Limit("$5")), Session)
    assert_type(as_session(budget), Session)
    assert_type(as_session(session), Session)
    as_session(None)  # type: ignore[arg-type]
    assert_type(cover(hold), Cover)
    assert_type(hold.cover(), Cover)
    assert_type(covered_hold(), Hold | None)
    with cover(hold) as same:
        assert_type(same, Hold)
    assert_type(outcome_of(error), Literal["released", "unknown"])
    answer = read_answer({"usage": None})
    assert_type(answer, Answer)
    assert_type(answer.usage, Usage | None)
    assert_type(answer.model, str | None)


class Passes(Exception):
    """A class that a framework lets through."""


class Adapter(Payee):
    """One of a framework: hooks keep their types under the decorators."""

    places = "agents"

    def __init__(self, limit: Session | Budget | str, agents: Limits | None = None) -> None:
        self.payers = Payers(limit, {"agents": agents}, tenant=False)
        self.costs = Costs()
        self.calls = OpenCalls()
        self.lock = Lock()
        self.admission = Admission(
            self.calls,
            self.costs,
            raise_as=Passes,
            prefix="toy",
            on_refusal=lambda refusal, payer: None,
            on_budget=lambda refusal: refusal.remaining is not None,
        )

    @fails_closed(Passes)
    def before(self, key: int) -> bool:
        """Blocking."""
        return self.admission.admit(OpenCall(key), self.payers.payer(), {"model": "gpt-4o"}, name="ask")

    @fails_closed(Passes)
    async def abefore(self, key: int) -> bool:
        """Awaited."""
        call = OpenCall(key, (self,), parent="run", hidden=False)
        payer = self.payers.payer(("writer", "draft"), "ann")
        return await self.admission.aadmit(call, payer, {}, name="ask", sdk="openai", kind=type(self))

    @never_breaks
    def after(self, key: int, result: Result) -> None:
        """The call ends."""
        call = self.calls.take(key)
        assert_type(call, OpenCall | None)
        if call is not None:
            assert_type(call.settle(result), None)
            assert_type(call.hold, Hold | None)
            assert_type(call.account, Session | None)
            call.fail(OSError())
            self.calls.take_others(call)


async def adapts(adapter: Adapter, hold: Hold, refusal: BudgetExceeded) -> None:
    """What adapters share."""
    assert_type(adapter.before(1), bool)
    assert_type(await adapter.abefore(1), bool)
    adapter.before("1")  # type: ignore[arg-type]
    assert_type(adapter.spent, Decimal)
    assert_type(adapter.remaining, Decimal | None)
    assert_type(adapter.payee, Session | Budget)
    assert_type(adapter.session_of("ann"), Session)
    assert_type(adapter.get_report(), dict[str, Any])
    payer = adapter.payers.payer(("writer",))
    assert_type(payer, Payer)
    assert_type(Payers("$1", per_run=True).payer((), run="run"), Payer)
    assert_type(payer.account, Session)
    call = OpenCall("key")
    assert_type(await call.asettle(Result(Usage(1, 1), "gpt-4o", finished=True)), None)
    await call.afail(OSError(), Result(text_tokens=TOKENS_PER_ANSWER))
    await call.apay()
    call.withdraw()
    withdraw(call)
    adapter.calls.sweep("run")
    params = read_params({"model": "gpt-4o"}, "hello", client="openai")
    assert_type(params, CallParams)
    assert_type(params.max_output_tokens, int | None)
    assert_type(reserve_once(payer, "key", set(), params.asked()), Hold)
    assert_type(await areserve_once(payer, "key", {hold.id}, params.asked(calls=2)), Hold)
    assert_type(list(texts_of(["hello"])), list[str])
    tally = adapter.costs.open("run", None, "chat")
    assert_type(tally, Tally)
    assert_type(tally.cost, Decimal)
    assert_type(adapter.costs.close("run"), Tally | None)
    with adapter.lock, cover_text(hold, "hello") as same:
        assert_type(same, Hold)
    assert_type(cover_text(hold, "hello"), FoundByText[Hold])
    with cover_later(session, raise_as=Passes, on_hold=lambda held: None, call="key") as promise:
        assert_type(promise, Promise)
        assert_type(promise.claimed, bool)
    assert_type(promise_of_another(session, "key"), Promise | None)
    assert_type(book_unclaimed(session, {"model": "gpt-4o"}, None), Charge)
    note_saved(session, {"model": "gpt-4o"}, Usage(1, 1))
    assert_type(covered_sdks("openai"), frozenset[str])
    assert_type(is_sent_by(None, "kind"), bool)
    came_around(("toys", "Client"))
    assert_type(raised_as(refusal, Passes), BursarError)
    runs = Runs(on_end=adapter.payers.close)
    assert_type(runs.start("run", parent=None, call=params), Hashable)
    runs.end("run", began=False)
    adapter.calls.stopped(call)
    run = Run()
    run.close(refusal)


# -- plugins ------------------------------------------------------------------------------------------


class Plugin:
    """Hooks keep their types under the marker."""

    @hookimpl
    def bursar_estimate(self, call: Call) -> Estimate | None:
        """USD in any spelling, and a count of tokens."""
        assert_type(call.fingerprint, str | None)
        Estimate("$1")  # type: ignore[call-arg]
        Estimate(None, 5)  # type: ignore[arg-type]
        return Estimate(Decimal(1), 500) if call.model else None

    @hookimpl(tryfirst=True)
    def bursar_before_reserve(self, call: Call, session: Session) -> None:
        """Refuses."""
        raise CallVetoed("no", reason="rule 4")

    @hookimpl
    def bursar_refused(self, refusal: Refusal) -> None:
        """Looks."""
        assert_type(refusal.call, Call)
        assert_type(refusal.error, BudgetExceeded)
        assert_type(refusal.at, float)
        refusal.at = 5.0  # type: ignore[misc]

    @hookimpl
    def bursar_alert(self, alert: Alert) -> None:
        """Looks."""
        assert_type(alert.report, Mapping[str, Any])


def brings(client: datetime) -> None:
    """Plugins of a budget; a client keeps its type."""
    assert_type(Plugin().bursar_estimate(Call("1", "model")), Estimate | None)
    assert_type(Budget("$5", plugins=[Plugin()], store="house://db"), Budget)
    Budget("$5", plugins=5)  # type: ignore[arg-type]
    assert_type(list_plugins(), tuple[PluginInfo, ...])
    assert_type(list_plugins(budget)[0].failures, Mapping[str, int])
    assert_type(list_plugins(session)[0].version, str | None)
    list_plugins("$5")  # type: ignore[arg-type]
    assert_type(wrap_client(client, session), datetime)
    assert_type(wrap_client(client, "$5"), datetime)
    assert_type(unwrap_client(client), datetime)


def named(number: int) -> str:
    """What is bound keeps its type."""
    return str(number)


def pays_for_a_process() -> None:
    """Limits and settings, a Budget or a Session; whoever pays goes along into threads."""
    assert_type(init("$5", "100 calls", lease="5min"), Session)
    assert_type(init(budget, "$1"), Session)
    assert_type(init(session), Session)
    assert_type(budget.session(cover=False), Session)
    assert_type(bind(named)(5), str)
    assert_type(session.bind(named)(5), str)
    session.bind(5)  # type: ignore[type-var]


# -- errors -------------------------------------------------------------------------------------------


def refuses(
    refusal: BudgetExceeded, loop: LoopDetected, tripped: Tripped, unknown: UnknownModel, odd: UnpriceableCall
) -> None:
    """What a refusal tells."""
    assert_type(refusal.limit, str | None)
    assert_type(refusal.account, str | None)
    assert_type(refusal.spent, Decimal | int | None)
    assert_type(refusal.reserved, Decimal | int | None)
    assert_type(refusal.asked, Decimal | int | None)
    assert_type(refusal.remaining, Decimal | int | None)
    assert_type(refusal.retry_after, float | None)
    assert_type(refusal.model, str | None)
    assert_type(refusal.tool, str | None)
    assert_type(refusal.result, Any)
    assert_type(loop.key, str | None)
    assert_type(loop.count, int | None)
    assert_type(loop.window, float | None)
    assert_type(tripped.reason, str | None)
    assert_type(tripped.cause, str | None)
    assert_type(CallVetoed("no").reason, str | None)
    assert_type(unknown.near, tuple[str, ...])
    assert_type(odd.endpoint, str | None)
    assert_type(BudgetExceeded("no more", limit="$5/session"), BudgetExceeded)


def is_a() -> None:
    """The tree of the errors."""
    roots: list[type[BursarError]] = [BudgetExceeded, UnpriceableCall, UsageMissing, HoldClosed, StoreError]
    values: list[type[ValueError]] = [InvalidAmount, UsageMissing]
    lookups: list[type[LookupError]] = [UnknownModel]
    stores: list[type[StoreError]] = [StoreUnavailable, LedgerRolledBack, LimitConflict]
    refusals: list[type[BudgetExceeded]] = [LoopDetected, VelocityExceeded, Tripped, CallVetoed]
    transparent: list[type[Exception]] = [LangChainRefusal]
    assert_type((roots, values), tuple[list[type[BursarError]], list[type[ValueError]]])
    assert_type((lookups, stores), tuple[list[type[LookupError]], list[type[StoreError]]])
    assert_type((refusals, transparent), tuple[list[type[BudgetExceeded]], list[type[Exception]]])


# -- testing ------------------------------------------------------------------------------------------


def answers(request: Request) -> Reply:
    """A function may stand for a reply."""
    assert_type(request.body, Mapping[str, Any])
    assert_type(request.model, str)
    assert_type(request.stream, bool)
    return Reply("hi", tool_calls=[ToolCall("look_up", {"place": "Oslo"})], usage="absent", drop="mid_stream")


rates = {"gpt-4o": Rate("2.50", 10, cached_input=1.25)}
with ScriptedProvider(rates=rates, snapshots={"gpt-4o": "gpt-4o-2024-08-06"}) as provider:
    assert_type(provider, ScriptedProvider)
    assert_type(provider.url, str)
    assert_type(provider.openai_url, str)
    assert_type(provider.anthropic_url, str)
    assert_type(provider.port, int)
    provider.script(
        Reply(output_tokens=6), answers, Reply(output_tokens="most"), Reply(status=503, billed=True)
    )
    provider.always(lambda _: Reply())
    provider.pause()
    provider.wait_for(hits=1, timeout=0.5)
    provider.wait_for(calls=1, in_flight=0)
    provider.resume()
    assert_type(provider.rates, dict[str, Rate])
    assert_type(provider.hits, int)
    assert_type(provider.calls, int)
    assert_type(provider.in_flight, int)
    assert_type(provider.bill, Decimal)
    assert_type(provider.bill_nanos, int)
    assert_type(provider.served, tuple[Served, ...])
    assert_type(provider.served[0].tokens, Tokens)
    assert_type(provider.served[0].cost_nanos, int)
    assert_type(provider.served[0].billed, bool)
    provider.reset()
    provider.script("a text")  # type: ignore[arg-type]
    Reply(drop="sometimes")  # type: ignore[arg-type]
assert_type(ScriptedProvider().start(), ScriptedProvider)
provider.stop()

clock = ManualClock(datetime(2026, 1, 1, tzinfo=timezone.utc))
clock.advance(90)
clock.advance(timedelta(minutes=1))
clock.set(0)
assert_type(clock.now(), float)
clock.advance("90s")  # type: ignore[arg-type]


class TestMyStore(StoreContract):
    """Users subclass it with their own store."""

    def open_store(self, clock: ManualClock) -> Store:
        """Any store, by its shape."""
        return MemoryStore(clock)


# -- LangChain ----------------------------------------------------------------------------------------


def listens(callback: BudgetCallback) -> None:
    """What a callback tells."""
    assert_type(BudgetCallback("$5"), BudgetCallback)
    assert_type(BudgetCallback(budget), BudgetCallback)
    assert_type(BudgetCallback(session), BudgetCallback)
    assert_type(
        BudgetCallback(budget, nodes={"a": "$1", "b": ("$1", "5 calls")}, tool_prices={"c": "$0.01"}),
        BudgetCallback,
    )
    assert_type(BudgetCallback(5, tenant="user_id").session_of("alice"), Session)
    assert_type(BudgetMiddleware("$5", exit_behavior="error", on_tool_denied="tell"), BudgetMiddleware)
    assert_type(
        BudgetMiddleware(callback, exit_behavior="downgrade", fallback_model="gpt-4o-mini").spent, Decimal
    )
    assert_type(BudgetMiddleware(session).get_report(), dict[str, Any])
    assert_type(install(callback), BudgetCallback)
    assert_type(install("$5", nodes={"a": 1}, tool_prices={"c": 0.01}, tenant="user_id"), BudgetCallback)
    assert_type(uninstall(), dict[str, Any] | None)
    assert_type(callback.session, Session)
    assert_type(callback.spent, Decimal)


assert_type(verify_webhook(b"{}", {"webhook-id": "1"}, ["one", "two"], tolerance="1min"), bool)
Budget("$1", alerts="inline", webhook_url=["https://example.com"], webhook_secret="text")
Budget("$1", alerts="later")  # type: ignore[arg-type]
