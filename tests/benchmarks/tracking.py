"""What is left to do once the answer is there: beside two libraries that only begin then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import agentbudget
import shekel
from reserving import MODEL, RICH
from shekel._patch import _extract_openai_tokens, _record
from timing import Case

from bursar import Budget

NEVER = 10**9
ANSWER = SimpleNamespace(
    model="gpt-4o-2024-08-06",
    usage=SimpleNamespace(prompt_tokens=640, completion_tokens=120),
)


def cases(stack: ExitStack) -> Iterator[Case]:
    """The same answer, booked by each; the first is what the others are compared with."""
    session = Budget(RICH).session()

    def reserve() -> object:
        return session.reserve(MODEL, input_tokens=800, max_output_tokens=200)

    yield Case("bursar: settle(answer)", lambda hold: hold.settle(ANSWER), reserve)

    def whole(_: object) -> None:
        session.reserve(MODEL, input_tokens=800, max_output_tokens=200).settle(ANSWER)

    yield Case("bursar: reserve + settle(answer)", whole)

    # By default ten calls to one model are a loop there, and nothing more would be measured.
    quiet = agentbudget.AgentBudget(RICH.replace(",", ""), max_repeated_calls=NEVER, loop_window_seconds=0)
    loops_off = stack.enter_context(quiet.session())
    yield Case("agentbudget: wrap(answer), no loop window", lambda _: loops_off.wrap(ANSWER))
    usual = agentbudget.AgentBudget(RICH.replace(",", ""), max_repeated_calls=NEVER)
    loops_on = stack.enter_context(usual.session())
    yield Case("agentbudget: wrap(answer), its window of 60 s", lambda _: loops_on.wrap(ANSWER))

    # What its patch of the SDKs does with an answer; there is no public way to hand it one.
    stack.enter_context(shekel.budget(max_usd=float(4_000_000)))
    yield Case("shekel: its patch, after the call", lambda _: _record(*_extract_openai_tokens(ANSWER)))
