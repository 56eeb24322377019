"""What a webhook adds to the call that causes an alert, however badly its receiver behaves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

from timing import Case

from bursar import Budget

CALLS = 1_000  # as many alerts as wait for one webhook


def cases(stack: ExitStack) -> Iterator[Case]:
    """A call that crosses a mark of its session; the first is what the others are compared with."""
    hanging, closed = (stack.enter_context(socket.socket()) for _ in range(2))
    for each in (hanging, closed):
        each.bind(("127.0.0.1", 0))
    hanging.listen(1)  # it answers nobody
    for name, endpoint in (
        ("an alert", None),
        ("and a webhook that hangs", hanging),
        ("and a webhook that refuses", closed),
    ):
        url = None if endpoint is None else f"http://127.0.0.1:{endpoint.getsockname()[1]}/"
        budget = Budget("$1", webhook_url=url, webhook_allow_private=url is not None)
        numbers = count()

        def cross(_: object, budget: Budget = budget, numbers: Iterator[int] = numbers) -> None:
            session = budget.session(id=f"run{next(numbers)}")
            session.reserve(cost="$0.95").settle(cost="$0.95")

        yield Case(name, cross)
