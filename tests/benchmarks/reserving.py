"""A paid call through the public API: reserve its worst case, settle what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from rows import OURS, Row, row
from timing import Case, by_turns

from bursar import Budget, Limit, Session

MODEL = "gpt-4o"
RICH = "$4,000,000"  # nothing is refused here
COST = 0.0028  # USD: 640 tokens at $2.50 a million, and 120 at $10
MESSAGES = [
    {"role": "system", "content": "You plan trips. Answer in one paragraph. " * 20},
    {"role": "user", "content": "When is the best time of the year to see Reykjavik, and why? " * 20},
]


def run(done: Callable[[int], object]) -> Iterator[Row]:
    """A row for each."""
    for name, rounds in by_turns(cases(), 500, 2_000, done).items():
        yield row(f"memory: {name}", {OURS: rounds})


def cases() -> Iterator[Case]:
    """From a session that only counts to one with everything."""
    yield numbers("no limit", Budget().session())
    several = (RICH, f"{RICH}/total", "4000M tokens/total", Limit(RICH, model=MODEL))
    yield numbers("four limits, one of them for the model", Budget(*several).session())
    company = Budget(RICH, f"{RICH}/total")
    tenant = company.child("tenant", f"{RICH}/total")
    yield numbers("budget, child and session", tenant.session())
    yield numbers("session in a session in a session", nested(company.session(), 2))


def numbers(name: str, session: Session) -> Case:
    """The caller knows the sizes of the call."""

    def call(_: object) -> None:
        hold = session.reserve(MODEL, input_tokens=800, max_output_tokens=200)
        hold.settle(input_tokens=640, output_tokens=120)

    return Case(name, call, cost=COST, spent=lambda: session.spent)


def messages(name: str, session: Session) -> Case:
    """The input is bounded by what will be sent; never twice the same, which would be a loop."""
    numbers = count()

    def before() -> list[dict[str, str]]:
        return [*MESSAGES, {"role": "user", "content": f"Question {next(numbers)}"}]

    def call(sent: Any) -> None:
        hold = session.reserve(MODEL, messages=sent, max_output_tokens=200)
        hold.settle(input_tokens=640, output_tokens=120)

    return Case(name, call, before, COST, lambda: session.spent)


def nested(session: Session, depth: int) -> Session:
    """A session so many levels below, each with a limit of its own."""
    for _ in range(depth):
        session = session.child_session(RICH)
    return session
