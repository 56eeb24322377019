"""A paid call through the public API: reserve its worst case, settle what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

from timing import Case

from bursar import Budget, Limit, Session

MODEL = "gpt-4o"
RICH = "$4,000,000"  # nothing is refused here
MESSAGES = [
    {"role": "system", "content": "You plan trips. Answer in one paragraph. " * 20},
    {"role": "user", "content": "When is the best time of the year to see Reykjavik, and why? " * 20},
]


def files(stack: ExitStack) -> Iterator[Case]:
    """The same budget in memory and in files, which are told apart by what survives."""
    folder = stack.enter_context(TemporaryDirectory())
    yield numbers("memory", Budget(RICH, f"{RICH}/total").child("tenant").session())
    for synchronous in ("normal", "full"):
        url = f"sqlite:///{folder}/{synchronous}.db?synchronous={synchronous}&timeout=60s"
        tenant = Budget(RICH, f"{RICH}/total", store=url).child("tenant")
        yield numbers(f"sqlite, {synchronous}", tenant.session())


def cases() -> Iterator[Case]:
    """From a session that only counts to one with everything."""
    yield numbers("no limit", Budget().session())
    yield numbers("one limit", Budget(RICH).session())
    several = (RICH, f"{RICH}/total", "4000M tokens/total", Limit(RICH, model=MODEL))
    yield numbers("four limits, one of them for the model", Budget(*several).session())
    company = Budget(RICH, f"{RICH}/total")
    tenant = company.child("tenant", f"{RICH}/total")
    yield numbers("budget, child and session", tenant.session())
    yield numbers("session in a session in a session", nested(company.session(), 2))
    yield messages("messages of 2 kB instead of a number", Budget(RICH).session())


def numbers(name: str, session: Session) -> Case:
    """The caller knows the sizes of the call."""

    def call(_: object) -> None:
        hold = session.reserve(MODEL, input_tokens=800, max_output_tokens=200)
        hold.settle(input_tokens=640, output_tokens=120)

    return Case(name, call)


def messages(name: str, session: Session) -> Case:
    """The input is bounded by what will be sent; never twice the same, which would be a loop."""
    numbers = count()

    def before() -> list[dict[str, str]]:
        return [*MESSAGES, {"role": "user", "content": f"Question {next(numbers)}"}]

    def call(sent: Any) -> None:
        hold = session.reserve(MODEL, messages=sent, max_output_tokens=200)
        hold.settle(input_tokens=640, output_tokens=120)

    return Case(name, call, before)


def nested(session: Session, depth: int) -> Session:
    """A session so many levels below, each with a limit of its own."""
    for _ in range(depth):
        session = session.child_session(RICH)
    return session
