"""Whose money a call is, by its place and its tenant; and what an adapter shows of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, BursarError, InvalidAmount, Limit, Session
from bursar.integration import Costs, OpenCall, Payee, Payers, payers

from .toy_hooks import Hooks

pytestmark = pytest.mark.usefixtures("_nobody_pays")


def spend(session: Session, usd: str) -> None:
    session.reserve(cost=usd).settle(cost=usd)


def test_a_place_pays_from_its_limit_and_from_those_around_it() -> None:
    """A task of an agent has the limits of both, and of the session."""
    pays = Payers("$1", {"agents": {"writer": "$0.50"}, "tasks": {"draft": ["$0.20", "100 calls"]}})
    draft = pays.payer(("writer", "draft")).account
    spend(draft, "$0.15")
    with pytest.raises(BudgetExceeded, match=r"\$0\.20"):
        draft.reserve(cost="$0.10")
    writer = pays.payer(("writer",))
    with pytest.raises(BudgetExceeded, match=r"\$0\.50"):
        writer.account.reserve(cost="$0.40")
    assert writer.session is pays.session is pays.payee and writer.account is not pays.session
    assert pays.payer() == (pays.session, pays.session)
    assert pays.report("agents")["agents"] == {"writer": 0.15, "writer|draft": 0.15}


def test_a_limit_holds_wherever_its_name_is() -> None:
    """In any place, and whatever is around it."""
    pays = Payers("$1", {"agents": {"writer": "$0.10"}})
    for place in (("writer",), ("crew", "writer")):
        with pytest.raises(BudgetExceeded):
            pays.payer(place).account.reserve(cost="$0.15")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Senior\nWriter\n", "Senior Writer"),
        ("x" * 300, "x" * 200),
        (" a\x00b ", "a b"),
        ("y" * 199 + " z", "y" * 199),
    ],
)
def test_names_that_were_written_for_people_are_names_too(given: str, kept: str) -> None:
    """On one line, and cut: the limit and the place are fitted alike; an empty one is left out."""
    pays = Payers("$1", {"agents": {given: "$0.10"}})
    account = pays.payer(("", given, "\n")).account
    assert account.id == kept
    with pytest.raises(BudgetExceeded):
        account.reserve(cost="$0.15")


def test_views_of_places_are_kept_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same place is the same view until there are too many; balances live in the store."""
    monkeypatch.setattr(payers, "_KEPT", 2)
    pays = Payers("$1")
    first = pays.payer(("a",))
    assert pays.payer(("a",)) is first
    spend(first.account, "$0.10")
    for name in "bcd":
        pays.payer((name,))
    again = pays.payer(("a",))
    assert again is not first and again.account.spent == Decimal("0.10")


def test_two_adapters_of_a_session_share_its_places() -> None:
    """Limits of either hold in both, from when they are said; two that differ are a mistake."""
    session = Budget("$1").session()
    one = Payers(session)
    one.payer(("writer",)).account.reserve(cost="$0.50").release()
    Payers(session, {"agents": {"writer": "$0.10"}})
    with pytest.raises(BudgetExceeded):
        one.payer(("writer",)).account.reserve(cost="$0.50")
    with pytest.raises(ValueError, match=r"agents\['writer'\] has other limits in another adapter"):
        Payers(session, {"agents": {"writer": "$0.20"}})


def test_each_tenant_pays_from_a_child_of_the_budget() -> None:
    """With a session and places of its own; the budget's limit holds for all together."""
    budget = Budget("$1/day")
    pays = Payers(budget, {"agents": {"writer": "$0.30"}}, tenant=True)
    for tenant, usd in (("ann", "$0.20"), ("bob", "$0.10")):
        spend(pays.payer(("writer",), tenant).account, usd)
    assert pays.session_of("ann").spent == Decimal("0.20")
    assert pays.payer((), "ann").session is pays.session_of("ann")
    assert pays.payee is budget and budget.spent == Decimal("0.30")
    assert pays.report("agents")["tenants"] == {"ann": 0.2, "bob": 0.1}
    with pytest.raises(BudgetExceeded):
        pays.payer(("writer",), "ann").account.reserve(cost="$0.20")


@pytest.mark.parametrize("tenant", [None, "ann"])
def test_each_run_has_a_session_of_its_own(tenant: str | None) -> None:
    """Each may spend the session's limit; its places are its own, and its end closes its session."""
    budget = Budget("$1")
    pays = Payers(budget, tenant=tenant is not None, per_run=True)
    first, second = (pays.payer(("writer",), tenant, run) for run in "ab")
    for payer in (first, second):
        spend(payer.account, "$0.75")
    assert first.session is not second.session
    assert pays.payer((), tenant, "a").session is first.session
    with pytest.raises(BudgetExceeded):
        first.session.reserve(cost="$0.75")
    pays.close("a")
    pays.close("a")
    assert pays.payer((), tenant, "a").session is not first.session
    assert pays.payee is budget and budget.spent == Decimal("1.50")
    assert ("tenants" in pays.report("agents")) is (tenant is not None)
    with pytest.raises(BursarError, match="each run has a session of its own"):
        _ = pays.session
    with pytest.raises(BursarError, match="each run of a tenant" if tenant else "no tenants here"):
        pays.session_of("ann")


def test_the_end_of_a_run_is_nothing_to_a_session_that_they_share() -> None:
    """Whatever the run, the session is one; a session cannot be one for each run."""
    pays = Payers("$1")
    assert pays.payer((), None, "a") is pays.payer((), None, "b")
    pays.close("a")
    pays.session.reserve(cost="$0.10").release()
    with pytest.raises(ValueError, match="per_run= needs a limit or a Budget"):
        Payers(Budget("$1").session(), per_run=True)


@pytest.mark.parametrize("tenant", [None, ""])
def test_a_call_that_names_no_tenant_is_refused(tenant: str | None) -> None:
    """Nobody would pay for it, whatever its place."""
    for place in ((), ("writer",)):
        with pytest.raises(BursarError, match="names no tenant"):
            Payers("$1", tenant=True).payer(place, tenant)


def test_who_has_tenants_has_no_session_of_its_own() -> None:
    """And who has none knows no tenant; both errors name the other word."""
    with pytest.raises(BursarError, match="session_of"):
        _ = Payers("$1", tenant=True).session
    with pytest.raises(BursarError, match="ask for session"):
        Payers("$1").session_of("ann")
    with pytest.raises(ValueError, match="needs a limit or a Budget"):
        Payers(Budget("$1").session(), tenant=True)


@pytest.mark.parametrize(
    ("limits", "error", "says"),
    [
        ({"agents": "$1"}, ValueError, "agents= takes a mapping"),
        ({"agents": {"a|b": "$1"}}, ValueError, "'a|b', which is not a name"),
        ({"agents": {" ": "$1"}}, ValueError, "which is not a name"),
        ({"agents": {1: "$1"}}, ValueError, "which is not a name"),
        ({"agents": {"a": ()}}, ValueError, r"agents\['a'\] has no limit"),
        ({"agents": {"a": "much"}}, InvalidAmount, r"agents\['a'\]: "),
        ({"agents": {"a": "$1"}, "tasks": {"a": "$2"}}, ValueError, r"tasks\['a'\] has other limits"),
    ],
)
def test_wrong_limits_are_named(limits: Any, error: type[Exception], says: str) -> None:
    """By the argument of the adapter and the name in it, when it is made."""
    with pytest.raises(error, match=says):
        Payers("$1", limits)


def test_limits_may_be_left_out_or_said_twice_alike() -> None:
    """None is no limit; the same limits in two arguments are no contradiction."""
    limit = Limit("$0.10")
    pays = Payers("$1", {"agents": None, "tasks": {"a": limit}, "crews": {"a": (limit,)}})
    with pytest.raises(BudgetExceeded):
        pays.payer(("a",)).account.reserve(cost="$0.15")


class Adapter(Payee):
    places = "agents"

    def __init__(self, budget: Any, *, tenant: bool = False) -> None:
        self.payers = Payers(budget, tenant=tenant)
        self.costs = Costs()


def test_what_every_adapter_shows() -> None:
    """The figures of the session; its report has the places and the runs."""
    adapter = Adapter("$1")
    account = adapter.payers.payer(("writer",)).account
    adapter.costs.open("run", None, "chat").pays(account.reserve(cost="$0.25"))
    assert (adapter.spent, adapter.reserved, adapter.remaining) == (0, Decimal("0.25"), Decimal("0.75"))
    report = adapter.report()
    assert report["agents"] == {"writer": 0.0} and report["total_spent"] == 0
    assert report["runs"] == [{"run_id": "run", "name": "chat", "total_spent": 0.0, "calls": 0}]
    assert adapter.get_report().keys() == report.keys() and adapter.payee is adapter.session


def test_what_an_adapter_with_tenants_shows() -> None:
    """The figures of all of them; each has its session."""
    adapter = Adapter("$1/day", tenant=True)
    spend(adapter.session_of("ann"), "$0.25")
    assert adapter.spent == Decimal("0.25") and adapter.payee.spent == adapter.spent
    assert adapter.report()["tenants"] == {"ann": 0.25}
    assert Adapter(Budget()).remaining is None


def test_a_place_of_a_call_is_in_the_report() -> None:
    """Calls that an adapter admits at a place are the place's."""
    hooks = Hooks("$1")
    payer = hooks.payers.payer(("writer",))
    hooks.admission.admit(OpenCall("run"), payer, {"tool": "search", "cost": "$0.10"}, name="search")
    call = hooks.calls.take("run")
    assert call is not None and call.account is payer.account
    call.pay()
    assert hooks.payers.report("agents")["agents"] == {"writer": 0.1}
