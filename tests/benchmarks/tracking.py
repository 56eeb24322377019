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


class Answer:
    """An answer, as attributes; a new one each time, because bursar charges none twice."""

    def __init__(self) -> None:
        self.model = "gpt-4o-2024-08-06"
        self.usage = SimpleNamespace(prompt_tokens=640, completion_tokens=120)


def answer(_: object = None) -> Answer:
    """What the provider said."""
    return Answer()


def cases(stack: ExitStack) -> Iterator[Case]:
    """The same answer, booked by each; the first is what the others are compared with."""
    session = Budget(RICH).session()

    def reserve() -> object:
        return session.reserve(MODEL, input_tokens=800, max_output_tokens=200)

    def whole(_: object) -> None:
        session.reserve(MODEL, input_tokens=800, max_output_tokens=200).settle(answer())

    yield Case("bursar: wrap(answer)", session.wrap, answer)
    yield Case("bursar: record(model, input, output)", lambda _: session.record(MODEL, 640, 120))
    yield Case("bursar: track(result, cost)", lambda _: session.track(None, 0.0028, "search"))
    yield Case("bursar: settle(answer) of a hold", lambda hold: hold.settle(answer()), reserve)
    yield Case("bursar: reserve + settle(answer)", whole)

    # By default ten calls to one model are a loop there, and nothing more would be measured.
    quiet = agentbudget.AgentBudget(RICH.replace(",", ""), max_repeated_calls=NEVER, loop_window_seconds=0)
    loops_off = stack.enter_context(quiet.session())
    yield Case("agentbudget: wrap(answer), no loop window", loops_off.wrap, answer)
    usual = agentbudget.AgentBudget(RICH.replace(",", ""), max_repeated_calls=NEVER)
    loops_on = stack.enter_context(usual.session())
    yield Case("agentbudget: wrap(answer), its window of 60 s", loops_on.wrap, answer)

    # What its patch of the SDKs does with an answer; there is no public way to hand it one.
    stack.enter_context(shekel.budget(max_usd=float(4_000_000)))
    yield Case("shekel: its patch, after the call", lambda got: _record(*_extract_openai_tokens(got)), answer)
