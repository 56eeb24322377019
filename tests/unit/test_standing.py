"""Where the accounts of a path stand, from a snapshot of the store."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bursar.reports.balance import BalanceView, account_views, balance, by_kind, by_parent
from bursar.store.views import EMPTY_VIEW, AccountView, LimitView, Snapshot
from bursar.values.account import Account
from bursar.values.amounts import Amounts
from bursar.values.call import Subject
from bursar.values.limits import Limit

GPT = Subject("model", ("gpt-4o",))
MINI = Subject("model", ("gpt-4o-mini",))
SEARCH = Subject("tool", (), None, "web_search")
BOTH = Subject("model", ("gpt-4o",), None, "web_search")


def view(key: str, *limits: LimitView, **facts: object) -> AccountView:
    return replace(EMPTY_VIEW, key=key, limits=limits, **facts)  # type: ignore[arg-type]


def in_force(*views: AccountView) -> list[list[str]]:
    return [[str(limit.limit) for limit in view.limits] for view in views]


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ([], None),
        ([LimitView(Limit("$5"), 1_500_000_000, 500_000_000)], Decimal(3)),
        ([LimitView(Limit("$5"), 0, 0), LimitView(Limit("$4/total"), 0, 0)], Decimal(4)),
        ([LimitView(Limit("$5"), 6_000_000_000, 0)], Decimal(-1)),
        ([LimitView(Limit("$5", model="gpt-4o"), 0, 0)], None),
        ([LimitView(Limit("$5", tool="*"), 0, 0), LimitView(Limit("$9"), 0, 0)], Decimal(9)),
        ([LimitView(Limit("10 tokens"), 0, 0), LimitView(Limit("10 calls"), 0, 0)], None),
    ],
)
def test_remaining_is_the_smallest_plain_dollar_limit(limits: list[LimitView], left: Decimal | None) -> None:
    """Limits of other units or with a selector have no say in what remains; a debt is negative."""
    assert balance((view("a", *limits),)).remaining == left


def test_ancestors_limit_what_remains_but_not_what_was_spent() -> None:
    """What remains is the smallest along the path; what was spent is the leaf's own."""
    root = view("a", LimitView(Limit("$10/total"), 9_000_000_000, 0), spent=Amounts(9_000_000_000, 90, 9))
    leaf = view(
        "a/@run",
        LimitView(Limit("$5"), 2_000_000_000, 500_000_000),
        spent=Amounts(2_000_000_000, 20, 4),
        reserved=Amounts(500_000_000, 50, 1),
        subjects={
            GPT: (Amounts(1_500_000_000, 12, 1), Amounts(500_000_000, 50, 1)),
            MINI: (Amounts(400_000_000, 8, 1), Amounts()),
            SEARCH: (Amounts(100_000_000, 0, 2), Amounts()),
        },
    )
    assert balance((root, leaf)) == BalanceView(Decimal(2), Decimal("0.5"), Decimal(1), 20, 2)


def test_by_kind_separates_models_and_tools() -> None:
    """Spending on models and on runs of tools is told apart; a call to a model for a tool is one to a model."""
    subjects = {
        GPT: (Amounts(5, 50, 1), Amounts(7, 70, 1)),
        BOTH: (Amounts(3, 30, 1), Amounts()),
        SEARCH: (Amounts(2, 0, 4), Amounts(9, 0, 9)),
    }
    assert by_kind(view("a", subjects=subjects), "model") == Amounts(8, 80, 2)
    assert by_kind(view("a", subjects=subjects), "tool") == Amounts(2, 0, 4)
    assert by_kind(view("a"), "model") == Amounts(0, 0, 0)


def test_accounts_without_use_have_what_they_declare() -> None:
    """Before the store has met them, budgets hold their total limits, and a session those for sessions of all above."""
    path = (
        Account("acme", (Limit("$5"), Limit("$100/total"), Limit("10 calls"))),
        Account("acme/alice", (Limit("$3"), Limit("$20/total"))),
        Account("acme/alice/@run", (Limit("$1"), Limit("$2/total"))),
        Account("acme/alice/@run/@inner", (Limit("$0.5"),)),
    )
    views = account_views(Snapshot(1_700_000_000_000, {}), path)
    assert [one.key for one in views] == [account.key for account in path]
    assert in_force(*views) == [
        ["$100/total"],
        ["$20/total"],
        ["$1/session", "$2/total", "$5/session", "10 calls/session", "$3/session"],
        ["$0.50/session"],
    ]
    assert {one.opened_ms for one in views} == {1_700_000_000_000}
    assert balance(views[:3]) == BalanceView(Decimal(0), Decimal(0), Decimal(1), 0, 0)
    assert balance(views).remaining == Decimal("0.5")


def test_limits_keep_their_order() -> None:
    """Limits are listed as they were declared, whatever the hashes of this process."""
    limits = tuple(Limit(f"${amount}", model=f"m{amount}") for amount in range(1, 30))
    _, session = account_views(Snapshot(0, {}), (Account("a", limits), Account("a/@run")))
    assert [one.limit for one in session.limits] == list(limits)


def test_store_knows_better() -> None:
    """For an account that the store has met its own view counts, not what is declared here."""
    met = view("a", LimitView(Limit("$50/total"), 7, 0), for_sessions=(Limit("$7"),), opened_ms=5)
    root, session = account_views(
        Snapshot(9, {"a": met}), (Account("a", (Limit("$5"), Limit("$1/total"))), Account("a/@run"))
    )
    assert root is met
    assert in_force(session) == [["$7/session"]]


def test_met_session_below_unmet_budget() -> None:
    """The view of a session that the store has met is passed on as it is."""
    met = view("a/@run", LimitView(Limit("$5"), 1, 0))
    views = account_views(Snapshot(0, {"a/@run": met}), (Account("a", (Limit("$9"),)), Account("a/@run")))
    assert views[1] is met
    assert in_force(views[0]) == [[]]


def test_children_are_those_right_below() -> None:
    """Neither grandchildren, nor an account whose name begins alike, nor the account itself is a child."""
    accounts = {key: view(key) for key in ("a", "a/b", "a/@run", "a/b/c", "a/@run/@inner", "ab", "ab/c")}
    snapshot = Snapshot(0, accounts)
    below = {key: [view.key for view in views] for key, views in by_parent(snapshot).items()}
    assert below["a"] == ["a/b", "a/@run"] and below["a/@run"] == ["a/@run/@inner"]
    assert "a/b/c" not in below
