"""What a webhook adds to the call that causes an alert, however badly its receiver behaves."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

from rows import OURS, Row, figure, goal, minus
from timing import Case, by_turns

from bursar import Budget

ALONE = "an alert that nobody hears"


def run(done: Callable[[int], object]) -> Iterator[Row]:
    """A call that crosses a mark of its session, and what a webhook adds to it."""
    with ExitStack() as stack:
        found = by_turns(cases(stack), 40, 200, done)  # no more alerts than may wait for one webhook
    alone = found.pop(ALONE)
    for name, rounds in found.items():
        added = figure(OURS, minus(rounds, alone))
        yield Row(
            f"{name} adds to the call that causes an alert",
            "us",
            [added],
            [goal("at most +1000 us", 1_000, added.median)],
        )


def cases(stack: ExitStack) -> Iterator[Case]:
    """The same call with no webhook and with two that fail."""
    hanging, closed = (stack.enter_context(socket.socket()) for _ in range(2))
    for each in (hanging, closed):
        each.bind(("127.0.0.1", 0))
    hanging.listen(1)  # it answers nobody
    for name, endpoint in (
        (ALONE, None),
        ("a webhook that hangs", hanging),
        ("a webhook that refuses", closed),
    ):
        url = None if endpoint is None else f"http://127.0.0.1:{endpoint.getsockname()[1]}/"
        budget = Budget("$1", webhook_url=url, webhook_allow_private=url is not None)
        numbers = count()

        def cross(_: object, budget: Budget = budget, numbers: Iterator[int] = numbers) -> None:
            session = budget.session(id=f"run{next(numbers)}")
            session.reserve(cost="$0.95").settle(cost="$0.95")

        yield Case(name, cross)
