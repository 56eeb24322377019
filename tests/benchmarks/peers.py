"""The same call in memory, booked by each: $0.0028 for 640 tokens in and 120 out, under one limit."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import agentbudget
import shekel
from floe_guard import BudgetGuard
from reserving import COST, RICH, messages, numbers
from rows import OURS, Row, goal, ratio, row
from shekel._patch import _extract_openai_tokens, _record
from timing import Case, by_turns, times_ns

from bursar import Budget

RICH_USD = float(4_000_000)
TOOL_COST, WORST = 0.01, 0.004
WARM, KEPT, PART = 40_000, 40_000, 200
NEVER = 10**9
QUIET, LOOPS, FLOE, SHEKEL = "agentbudget", "agentbudget, loops on", "floe-guard", "shekel"
Done = Callable[[int], object]


class Answer:
    """An answer, as attributes; a new one each time, because bursar charges none twice."""

    def __init__(self) -> None:
        self.model = "gpt-4o-2024-08-06"
        self.usage = SimpleNamespace(prompt_tokens=640, completion_tokens=120)


def quiet() -> agentbudget.BudgetSession:
    """It looks for no loops; by default ten calls to one model are one, and nothing more would be measured."""
    return agentbudget.AgentBudget(
        RICH.replace(",", ""), max_repeated_calls=NEVER, loop_window_seconds=0
    ).session()


def floe(name: str = FLOE) -> Case:
    """It is told the worst case in dollars, where bursar works it out from tokens."""
    guard = BudgetGuard(RICH_USD)

    def call(_: object) -> None:
        guard.settle("gpt-4o", 640, 120, reserved=guard.reserve(WORST))

    return Case(name, call, cost=COST, spent=lambda: guard.spent_usd)


def agent(name: str, session: agentbudget.BudgetSession) -> Case:
    """It books an answer; nothing is held before the call."""
    return Case(name, session.wrap, Answer, cost=COST, spent=lambda: session.spent)


def in_shekel(name: str = SHEKEL) -> Case:
    """What its patch of the SDKs does with an answer: there is no public way to hand it one."""
    budget = shekel.budget(max_usd=RICH_USD)

    @contextmanager
    def entered() -> Iterator[None]:
        with budget:
            yield

    def call(got: Answer) -> None:
        _record(*_extract_openai_tokens(got))

    return Case(name, call, Answer, cost=COST, spent=lambda: budget.spent, around=entered)


def reserving(done: Done) -> Iterator[Row]:
    """Reserve and settle beside what the others do for a call."""
    window = agentbudget.AgentBudget(RICH.replace(",", ""), max_repeated_calls=NEVER).session()
    cases = (
        numbers(OURS, Budget(RICH).session()), messages("2 kB", Budget(RICH).session()),
        floe(), agent(QUIET, quiet()), agent(LOOPS, window), in_shekel(),
    )  # fmt: skip
    found = by_turns(cases, 500, 2_000, done)
    ours, long = found[OURS], found.pop("2 kB")
    goals = (ratio("floe-guard's", 1, ours, found[FLOE]), ratio("agentbudget's", 3, ours, found[QUIET]))
    yield row("memory: reserve + settle, one limit", found, *goals)
    beside = {OURS: long, "sizes as numbers": ours}
    yield row("the same with messages of 2 kB", beside, ratio("the line above", 1.5, long, ours))


def booking(done: Done) -> Iterator[Row]:
    """A call that is over, booked: by its answer, by its numbers, by its cost."""
    session = quiet()
    wrap, record, track = (Budget(RICH).session() for _ in range(3))
    tool = quiet()
    cases = (
        Case("wrap", wrap.wrap, Answer, COST, lambda: wrap.spent),
        Case("record", lambda _: record.record("gpt-4o", 640, 120), cost=COST, spent=lambda: record.spent),
        Case("track", lambda _: track.track(None, TOOL_COST, "search"), cost=TOOL_COST, spent=lambda: track.spent),
        agent(QUIET, session),
        Case("its track", lambda _: tool.track(None, TOOL_COST, "search"), cost=TOOL_COST, spent=lambda: tool.spent),
        in_shekel(),
    )  # fmt: skip
    found = by_turns(cases, 500, 2_000, done)
    for work, name, beside in (
        ("`wrap(answer)`", "wrap", QUIET),
        ("`record(model, 640, 120)`", "record", QUIET),
        ("`track(result, cost, name)`", "track", "its track"),
    ):
        each = {OURS: found[name], QUIET: found[beside]}
        if beside == QUIET:
            each[SHEKEL] = found[SHEKEL]
        yield row(f"memory: {work}", each, ratio("agentbudget's", 2, found[name], found[beside]))


def least_held(case: Case, calls: int) -> int:
    """The fewest bytes in use during so many calls: what has ended is cleared away from time to time."""
    held = []
    for _ in range(calls // PART):
        times_ns(case, PART)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    return min(held)


def kept(done: Done) -> Iterator[Row]:
    """Bytes that a call leaves behind, counted by `tracemalloc` once everything is warm."""
    found = {}
    ours = (numbers(OURS, Budget(RICH).session()), 8 * KEPT)  # it keeps 10,000 records, which come and go
    for case, calls in (ours, (agent(QUIET, quiet()), KEPT), (in_shekel(), KEPT), (floe(), KEPT)):
        with case.around():
            tracemalloc.start()
            times_ns(case, WARM)
            before = least_held(case, KEPT)
            times_ns(case, calls - KEPT)
            after = least_held(case, KEPT)
            tracemalloc.stop()
        found[case.name] = [(after - before) / calls] * 2
        done(1)
    left = found[OURS][0]
    yield row("memory that a call leaves behind", found, goal("0 bytes a call", 0.5, left), unit="bytes")
