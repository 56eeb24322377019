"""A call that does not fit is never sent, whichever way it is made."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from crewai import Crew
from crewai.events import stream_context
from crewai.hooks import HookAborted
from tests.integration.crewai import scenarios

from bursar import Budget, BudgetExceeded, BursarError, InvalidAmount, LoopDetected, UnknownModel
from bursar.store import MemoryStore
from bursar.testing import Reply
from bursar_crewai import BudgetMiddleware, CrewRefusal, budgeted

if TYPE_CHECKING:
    from tests.integration.crewai.conftest import Script

WAYS = [pytest.param(way, id=way.__name__) for way in scenarios.TRACES]
SEVERAL = [pytest.param(way, id=way.__name__) for way, trace in scenarios.TRACES.items() if len(trace) > 1]
NOTHING = "$0.00000001"


def root_errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """CrewAI logs what it takes for a failure of the provider as an error of the root logger."""
    at_root = [record for record in caplog.records if record.name == "root"]
    return [record.getMessage() for record in at_root if record.levelno >= logging.ERROR]


def assert_no_failure_of_the_provider(caplog: pytest.LogCaptureFixture) -> None:
    assert not [error for error in root_errors(caplog) if "was not made" in error]


@pytest.mark.parametrize("way", WAYS)
def test_enough_money_sends_every_request_and_charges_it(way: Any, provider: Script) -> None:
    """Each way makes its own requests, each of them is charged, and the ledger has the bill."""
    with BudgetMiddleware("$1") as budget:
        way(provider)
    roles, trace = provider.roles, scenarios.TRACES[way]
    assert (sorted(roles) if way in scenarios.AT_ONCE else roles) == trace
    assert budget.session.calls == provider.provider.calls == len(trace)
    provider.assert_exact(budget)


@pytest.mark.parametrize("way", SEVERAL)
def test_a_call_too_few_ends_the_run_before_the_last_request(
    way: Any, provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """A budget for all calls but the last serves those, and the run raises the refusal; nothing is held."""
    count = len(scenarios.TRACES[way]) - 1
    budget = BudgetMiddleware(f"{count} calls")
    with pytest.raises(BudgetExceeded) as refused, budget:
        way(provider)
    assert isinstance(refused.value, CrewRefusal)
    assert (refused.value.limit or "").startswith(f"{count} call")
    assert provider.sent == count
    assert_no_failure_of_the_provider(caplog)
    provider.assert_exact(budget)


@pytest.mark.parametrize("way", WAYS)
def test_no_money_sends_nothing(way: Any, provider: Script, caplog: pytest.LogCaptureFixture) -> None:
    """Not one request leaves, and the refusal has its type and its fields."""
    budget = BudgetMiddleware(NOTHING)
    with pytest.raises(BudgetExceeded) as refused, budget:
        way(provider)
    assert isinstance(refused.value, HookAborted)
    assert refused.value.limit == f"{NOTHING}/session"
    assert provider.sent == 0
    assert_no_failure_of_the_provider(caplog)
    provider.assert_exact(budget)


BRANDS = [(brand, streamed) for brand in ("openai", "anthropic", "litellm") for streamed in (False, True)]


@pytest.mark.parametrize(("brand", "streamed"), [*BRANDS, ("mistral", False)])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1), (NOTHING, 0)])
def test_brands_of_models(
    limit: str, sent: int, brand: str, streamed: bool, provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """The models of CrewAI's own, LiteLLM through a covered SDK, and LiteLLM around them: exact, and refused."""
    crew = provider.crew(brand=brand, llm={"stream": streamed})
    budget = BudgetMiddleware(limit)
    if sent == 2:
        with budget:
            assert crew.kickoff().raw == "ok"
    else:
        with pytest.raises(BudgetExceeded), budget:
            crew.kickoff()
    assert provider.sent == sent
    assert "did not send its request" not in caplog.text  # each was promised to who sent it, or held
    provider.assert_exact(budget)


@pytest.mark.parametrize(("brand", "streamed"), [*BRANDS, ("mistral", False)])
@pytest.mark.parametrize(("repeated", "sent"), [(5, 3), (2, 2)])
def test_a_refusal_that_only_the_sdk_can_know(
    repeated: int, sent: int, brand: str, streamed: bool, provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """A loop is found when the SDK reserves: the refusal leaves with its type, and is in no log as a failure."""
    agent = provider.agent(llm=provider.llm(brand, stream=streamed))
    budget = BudgetMiddleware(Budget("$1", max_repeated_calls=repeated))

    def run() -> None:
        for _ in range(3):
            Crew(agents=[agent], tasks=[provider.task(agent)]).kickoff()

    if sent == 3:
        with budget:
            run()
    else:
        with pytest.raises(LoopDetected) as refused, budget:
            run()
        assert isinstance(refused.value, CrewRefusal)
    assert provider.sent == sent
    assert not root_errors(caplog)
    provider.assert_exact(budget)


def test_a_failure_of_the_provider_stays_in_the_log(
    provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that is rejected is logged by CrewAI, within a budget as without one."""
    provider.fails(400)
    with BudgetMiddleware("$1"), pytest.raises(Exception, match="400"):
        provider.llm().call("Why?")
    assert "400" in str(root_errors(caplog))


def test_what_a_program_logs_of_a_refusal_stays_in_the_log(
    provider: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """Its own error, of the root logger and while the refusal is handled, is not CrewAI's."""
    with BudgetMiddleware("0 calls"):
        try:
            provider.llm().call("Why?")
        except BudgetExceeded:
            logging.error("no money")  # noqa: LOG015, TRY400 - as programs do
    assert root_errors(caplog) == ["no money"]


def test_a_covered_sdk_lowers_the_cap_to_what_is_left(provider: Script) -> None:
    """Money for less than the cap of a call sends it with a lower one, and the answer stays below it."""
    provider.says("ok", output_tokens="most")
    crew = provider.crew(llm={"max_tokens": 10_000})
    budget = BudgetMiddleware("$0.001")
    with pytest.raises(BudgetExceeded), budget:
        crew.kickoff()
    first = provider.bodies[0]
    assert 16 <= first["max_tokens"] < 10_000
    assert budget.spent <= budget.session.spent + budget.session.remaining
    provider.assert_exact(budget)


def test_an_unknown_model_is_refused(provider: Script) -> None:
    """A model without a price is not asked, and the error says so in its own class."""
    crew = provider.crew(llm={"model": "openai/gpt-4o-mini-of-mine", "is_litellm": True})
    with pytest.raises(UnknownModel) as refused, BudgetMiddleware("$1"):
        crew.kickoff()
    assert isinstance(refused.value, CrewRefusal)
    assert provider.sent == 0


@pytest.mark.parametrize(("limit", "calls"), [("$1", 4), ("3 calls", 3)])
def test_an_agent_has_its_own_limit(limit: str, calls: int, provider: Script) -> None:
    """The limit of a role holds over all runs; without it the crew goes on."""
    crew = provider.crew()
    budget = BudgetMiddleware("$1", agents={"Writer": "1 calls" if calls == 3 else limit})
    if calls == 4:
        with budget:
            crew.kickoff()
            crew.kickoff()
    else:
        with pytest.raises(BudgetExceeded) as refused, budget:
            crew.kickoff()
            crew.kickoff()
        assert "Writer" in str(refused.value.account)
    assert provider.sent == calls
    provider.assert_exact(budget)


@pytest.mark.parametrize("brand", ["openai", "mistral"])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 4), ("2 calls", 3), ("$0.00001", 1)])
def test_a_task_has_its_own_limit(limit: str, sent: int, brand: str, provider: Script) -> None:
    """What a task spends over all its agents and runs counts against its limit, beside that of the session."""
    first, second = (provider.agent(role, llm=provider.llm(brand)) for role in ("Researcher", "Writer"))
    tasks = [provider.task(first, "look"), provider.task(first, "write"), provider.task(second, "write")]
    tasks.append(provider.task(second, "write") if sent == 3 else provider.task(second, "look"))
    budget = BudgetMiddleware("$1", tasks={"write": limit})
    if sent == 4:
        with budget:
            Crew(agents=[first, second], tasks=tasks).kickoff()
    else:
        with pytest.raises(BudgetExceeded) as refused, budget:
            Crew(agents=[first, second], tasks=tasks).kickoff()
        assert (refused.value.account or "").endswith("/write")
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize(
    ("limit", "sent"), [("1 calls", 1), ("2 calls", 2), ("400 tokens", 1), ("2k tokens", 2)]
)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_limits_of_tasks_are_kept_by_the_store(
    limit: str, sent: int, store: str, provider: Script, tmp_path: Path
) -> None:
    """The run goes on elsewhere, by its store and its id: what its task spent before counts there, and no more."""
    url = MemoryStore() if store == "memory" else f"sqlite:///{tmp_path}/ledger.db"

    def run() -> BudgetMiddleware:
        session = Budget("$1", name="crew", store=url).session(id="run-7")
        budget = BudgetMiddleware(session, tasks={"write": limit})
        agent = provider.agent()
        with budget:
            Crew(agents=[agent], tasks=[provider.task(agent, "write")]).kickoff()
        return budget

    provider.provider.always(Reply("ok", input_tokens=40, output_tokens=1))
    budget = run()
    if sent == 2:
        run()
    else:
        with pytest.raises(BudgetExceeded) as refused:
            run()
        assert refused.value.account == "tasks of crew/run-7/write"
    assert provider.sent == sent
    provider.assert_exact(budget)


def test_on_budget_may_raise_the_limit(provider: Script) -> None:
    """What is asked about a refusal raises the limit: the call is tried once more, and sent."""
    told: list[BudgetExceeded] = []

    def more(refusal: BudgetExceeded) -> bool:
        told.append(refusal)
        limited.set_limit("5 calls")
        return True

    limited = Budget("1 calls")
    budget = BudgetMiddleware(limited, on_budget=more)
    with budget:
        provider.crew().kickoff()
    assert (len(told), provider.sent) == (1, 2)
    provider.assert_exact(budget)


def test_on_budget_that_declines_leaves_the_refusal(provider: Script) -> None:
    """Without a True the refusal stands, and it was asked once."""
    told: list[BudgetExceeded] = []
    with pytest.raises(BudgetExceeded), BudgetMiddleware("1 calls", on_budget=told.append):
        provider.crew().kickoff()
    assert (len(told), provider.sent) == (1, 1)


async def _later(refusal: BudgetExceeded) -> bool:
    return True


WRONG: list[tuple[type[Exception], dict[str, Any]]] = [
    (TypeError, {"on_budget": _later}),
    (ValueError, {"on_tool_denied": "shrug"}),
    (InvalidAmount, {"tool_prices": {"search": "cheap"}}),
    (InvalidAmount, {"agents": {"Researcher": "cheap"}}),
    (InvalidAmount, {"tasks": {"write": "cheap"}}),
    (ValueError, {"agents": "Researcher"}),
    (ValueError, {"tasks": "write"}),
]


@pytest.mark.parametrize(("error", "settings"), WRONG)
def test_a_wrong_setting_is_named(error: type[Exception], settings: dict[str, Any]) -> None:
    """What a setting cannot be is said at once, by its name."""
    (name,) = settings
    with pytest.raises(error, match=name.replace("tool_prices", "search")):
        BudgetMiddleware("$1", **settings)


def test_a_generator_is_not_decorated() -> None:
    """Its body would run outside of the budget."""

    def parts() -> Any:
        yield 1

    with pytest.raises(TypeError, match="parts is a generator"):
        BudgetMiddleware("$1")(parts)


def test_a_refusal_survives_pickle(provider: Script) -> None:
    """What leaves a crew crosses processes with its class and its fields."""
    with pytest.raises(BudgetExceeded) as refused, BudgetMiddleware(NOTHING):
        provider.llm().call("Why?")
    twin = pickle.loads(pickle.dumps(refused.value))
    assert isinstance(twin, BudgetExceeded) and isinstance(twin, CrewRefusal)
    assert (str(twin), twin.limit) == (str(refused.value), refused.value.limit)


def test_wrap_up_needs_a_budget() -> None:
    """A session does not tell of its soft limit."""
    with pytest.raises(ValueError, match="wrap_up="):
        BudgetMiddleware(Budget("$1").session(), wrap_up=True)


def test_a_crewai_without_sinks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CrewAI does not let its calls be held, the middleware does not start, and names what works."""
    monkeypatch.delattr(stream_context, "add_stream_sink")
    with pytest.raises(BursarError, match=r"no add_stream_sink.* 1\.15\.19"):
        BudgetMiddleware("$1")


def test_a_bug_before_a_call_prevents_it(provider: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong where money is reserved sends nothing, and the cause is kept."""
    budget = BudgetMiddleware("$1")
    monkeypatch.setattr("bursar_crewai._sink.read_request", lambda event: 1 / 0)
    with pytest.raises(BursarError) as failed, budget:
        provider.crew().kickoff()
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert provider.sent == 0


@pytest.mark.parametrize("place", ["_sink.read_result", "_breakdown.Scopes.begin"])
def test_a_bug_elsewhere_never_breaks_a_crew(
    place: str, provider: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong after a call, or beside it, is logged; the crew has its answer."""
    budget = BudgetMiddleware("$1")

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(f"bursar_crewai.{place}", broken)
    with budget:
        assert provider.crew(brand="mistral").kickoff().raw == "ok"
    assert provider.sent == 2
    assert "ZeroDivisionError" in caplog.text


def test_budgeted_guards_every_start(provider: Script) -> None:
    """A crew that was given a budget keeps to it however it is started; what was spent can be asked."""
    budget = BudgetMiddleware("3 calls")
    crew = budgeted(provider.crew(), budget)
    assert crew.kickoff().raw == "ok"
    with pytest.raises(BudgetExceeded):
        crew.kickoff_for_each(inputs=[{"a": 1}])
    assert provider.sent == 3
    provider.assert_exact(budget)
