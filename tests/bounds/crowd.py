"""A budget with very many sessions, and what people and alerts read of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bursar import Budget
from bursar.store import Amounts, Entry, Store, Subject
from bursar.values.account import child_account, root_account, session_account

GPT = Subject("model", ("gpt-4o",), "openai")


def fill(store: Store, sessions: int, begin: int = 0, tenants: int = 5) -> None:
    """Let so many sessions spend, below the tenants in turn; and a seventh of them below the root itself."""
    root = root_account("default", ())
    budgets = [child_account(root, f"tenant {number}", ()) for number in range(tenants)]
    for number in range(begin, sessions):
        above = (root,) if number % 7 == 0 else (root, budgets[number % tenants])
        path = (*above, session_account(above[-1], f"s{number}", ()))
        store.book(Entry(f"b{number}", path, GPT, Amounts(1_000, 1, 1)))


def readings(store: Store) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each thing that is read, by its name."""
    budget = Budget(name="default", store=store, on_soft_limit=lambda report: None)
    tenant = budget.child("tenant 3")
    session = tenant.session("$1000", id="reader")
    inner = session.child_session("$0.001", name="inner")
    yield "report of a budget", budget.report
    yield "report of a tenant", tenant.report
    yield "tree", budget.tree
    yield "summary", budget.summary
    yield "children", budget.children
    yield "report of a session", session.report
    yield "spent", lambda: session.spent
    yield "an alert", lambda: inner.track(None, "0.0001") if inner.spent < 9 else None
    yield "doctor", budget.doctor
    yield "history", budget.history
    yield "history of a tenant", lambda: tenant.history(days=400)
    yield "holds", lambda: store.holds("default")  # type: ignore[attr-defined]
