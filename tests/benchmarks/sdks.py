"""What each adds to a call of the OpenAI SDK whose transport answers at once; nothing is sent anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any

import agentbudget
import openai
import shekel
from floe_guard import BudgetGuard
from floe_guard.integrations.openai import guarded_completion
from peers import FLOE, QUIET, RICH_USD, SHEKEL, quiet
from reserving import COST, MESSAGES, RICH
from rows import OURS, Row, figure, goal, minus
from timing import Case, by_turns

from bursar import Budget, wrap_client

PIECES, MOST_US = 20, 60
USAGE = {"prompt_tokens": 640, "completion_tokens": 120, "total_tokens": 760}
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-2024-08-06"}
ANSWER = {
    **HEAD, "object": "chat.completion", "usage": USAGE,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "In June."}}],
}  # fmt: skip


def piece(usage: object, *choices: object) -> str:
    """One event of a stream."""
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return f"data: {json.dumps(chunk)}\n\n"


def stream() -> bytes:
    """An answer of so many pieces, and its usage."""
    text = {"index": 0, "delta": {"content": "In June. "}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return "".join([piece(None, text) * PIECES, piece(None, end), piece(USAGE), "data: [DONE]\n\n"]).encode()


def client(streams: bool) -> openai.OpenAI:
    """One of its own for each column, so that no library sees the calls of another."""
    http = __import__(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])  # httpx, or its next
    kind = "text/event-stream" if streams else "application/json"
    body = stream() if streams else json.dumps(ANSWER).encode()
    transport = http.MockTransport(lambda _: http.Response(200, content=body, headers={"content-type": kind}))
    plain = openai.DefaultHttpxClient(transport=transport)
    return openai.OpenAI(api_key="none", base_url="http://127.0.0.1/v1", http_client=plain, max_retries=0)


def columns(streams: bool) -> Iterator[Case]:
    """The same request with each library, and without one; a stream is read to its end."""
    numbers = count()

    def before() -> list[dict[str, str]]:
        return [*MESSAGES, {"role": "user", "content": f"Question {next(numbers)}"}]

    more = {"stream": True, "stream_options": {"include_usage": True}} if streams else {}

    def case(name: str, create: Callable[..., Any], spent: Any = None, around: Any = nullcontext) -> Case:
        def call(messages: Any) -> None:
            answer = create(model="gpt-4o", messages=messages, max_tokens=200, **more)
            if streams:
                for _ in answer:
                    pass

        return Case(name, call, before, COST, spent, around)

    yield case("no budget", client(streams).chat.completions.create)
    session = Budget(RICH).session(cover=False)
    yield case(OURS, wrap_client(client(streams), session).chat.completions.create, lambda: session.spent)
    watched, theirs = client(streams), quiet()
    agentbudget.wrap_client(watched, theirs)
    yield case(QUIET, watched.chat.completions.create, lambda: theirs.spent)
    patched, budget = client(streams), shekel.budget(max_usd=RICH_USD)

    @contextmanager
    def entered() -> Iterator[None]:
        with budget:
            yield

    def create(**sent: Any) -> Any:  # looked up at each call: the class is patched only while it is entered
        return patched.chat.completions.create(**sent)

    yield case(SHEKEL, create, lambda: budget.spent, entered)
    if not streams:  # it refuses them
        guard, plain = BudgetGuard(RICH_USD), client(streams)
        yield case(FLOE, lambda **sent: guarded_completion(guard, plain, **sent), lambda: guard.spent_usd)


def run(done: Callable[[int], object]) -> Iterator[Row]:
    """What each adds: its rounds less those without a budget."""
    for work, streams in (("an answer", False), (f"a stream of {PIECES} pieces", True)):
        found = by_turns(columns(streams), 60, 200, done)
        floor = found.pop("no budget")
        added = [figure(name, minus(rounds, floor)) for name, rounds in found.items()]
        reached = goal(f"at most +{MOST_US} us", MOST_US, added[0].median)
        note = f"the call without a budget: {figure('', floor).median:,.0f} us"
        yield Row(f"a covered SDK call adds, {work}", "us", added, [reached], note)
