"""Each library as its own documentation shows it: a budget of one dollar around an OpenAI client.

All have the settings that suit them: loops are not looked for, threads inherit the context that a
library keeps its budget in, and where one has a store for processes, it is used.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_USD = 1
NEVER = 10**9


@dataclass(frozen=True)
class Budgeted:
    """A client that a library watches.

    Attributes:
        send: makes one chat completion; raises what the library raises.
        reported: tells how many dollars the library has counted.
    """

    send: Callable[..., Any]
    reported: Callable[[], float]


@contextmanager
def bursar(client: Any, shared: Path | None) -> Iterator[Budgeted]:
    """A session that pays for a wrapped client; processes share a file."""
    from bursar import Budget, wrap_client

    store = None if shared is None else f"sqlite:///{shared}"
    budget = Budget(f"${LIMIT_USD}/total", name="overspend", store=store, wait=1, max_repeated_calls=None)
    session = budget.session(cover=False)
    watched = wrap_client(client, session)
    yield Budgeted(watched.chat.completions.create, lambda: float(budget.spent + budget.reserved))


@contextmanager
def agentbudget(client: Any, shared: Path | None) -> Iterator[Budgeted]:
    """A session around a wrapped client; it has no store, so each process has a dollar of its own."""
    import agentbudget as library

    budget = library.AgentBudget(LIMIT_USD, max_repeated_calls=NEVER, loop_window_seconds=0)
    session = budget.session().__enter__()  # its end raises what a call has raised before
    library.wrap_client(client, session)
    yield Budgeted(client.chat.completions.create, lambda: float(session.spent))


@contextmanager
def shekel(client: Any, shared: Path | None) -> Iterator[Budgeted]:
    """A budget in the context; its store for processes is a Redis, which no process here has."""
    import shekel as library

    budget = library.budget(max_usd=LIMIT_USD)
    with suppress(library.BudgetExceededError), budget:
        context = contextvars.copy_context()

        def send(**request: Any) -> Any:
            return context.copy().run(client.chat.completions.create, **request)

        yield Budgeted(send, lambda: float(budget.spent))


@contextmanager
def floe_guard(client: Any, shared: Path | None) -> Iterator[Budgeted]:
    """Its adapter of the OpenAI SDK, with a ceiling; processes share a file."""
    from floe_guard import BudgetGuard, SqliteStore
    from floe_guard.integrations.openai import guarded_completion

    several = {} if shared is None else {"window": "utc-day", "store": SqliteStore(str(shared))}
    guard = BudgetGuard(limit_usd=float(LIMIT_USD), **several)

    def send(**request: Any) -> Any:
        return guarded_completion(guard, client, **request)

    yield Budgeted(send, lambda: float(guard.spent_usd))


LIBRARIES = {"bursar": bursar, "agentbudget": agentbudget, "shekel": shekel, "floe-guard": floe_guard}
