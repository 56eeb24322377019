"""Parts of a session: accounts of their own, and no runs of their own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bursar import Budget, BudgetExceeded, BursarError
from bursar.integration import Run


def test_a_part_has_its_limit_and_that_of_the_whole() -> None:
    """What it spends counts in both; the smaller rest decides; the same name is the same part."""
    session = Budget("$1").session()
    part = session.part("research", "$0.40")
    part.reserve(cost="$0.30").settle(cost="$0.30")
    assert (part.spent, session.spent, part.remaining) == (Decimal("0.30"), Decimal("0.30"), Decimal("0.10"))
    with pytest.raises(BudgetExceeded, match=r"\$0\.40"):
        session.part("research").reserve(cost="$0.20")
    session.reserve(cost="$0.65").settle(cost="$0.65")
    with pytest.raises(BudgetExceeded, match=r"\$1"):
        part.reserve(cost="$0.06")
    part.reserve(cost="$0.05").settle(cost="$0.05")
    assert session.remaining == 0


def test_its_calls_are_calls_of_the_whole() -> None:
    """Events and the end of the last call are noted there, from a part of a part, too."""
    session = Budget("$1").session()
    inner = session.part("research").part("search", "$0.10")
    with pytest.raises(BudgetExceeded):
        inner.reserve(cost="$0.20")
    assert session.terminated_by == inner.terminated_by == "budget_exhausted"
    inner.reserve(cost="$0.05").settle(cost="$0.05")
    assert session.terminated_by is None
    report = session.report()
    assert [event["event"] for event in report["events"]] == ["refusal", "charge"]
    (research,) = report["children"]
    (search,) = research["children"]
    assert (search["session_id"], search["total_spent"]) == ("search", 0.05)


@pytest.mark.parametrize("later", [True, False])
def test_a_call_of_a_part_makes_up_for_a_swallowed_refusal(later: bool) -> None:
    """The session raises what a run swallowed at its end, unless one of its parts made a call in the run since."""
    session = Budget("$1").session()

    def run() -> None:
        with session:
            part = session.part("research")
            framework = Run()
            with pytest.raises(BudgetExceeded) as refused:
                part.reserve(cost="$2")
            session.surface(refused.value)
            if later:
                part.reserve(cost="$0.01")
            framework.close()

    if later:
        run()
    else:
        with pytest.raises(BudgetExceeded):
            run()


def test_a_charge_after_the_fact_ends_the_whole() -> None:
    """What a part books above a limit is the end of the session, too."""
    session = Budget("$1").session()
    with pytest.raises(BudgetExceeded):
        session.part("research", "$0.10").track("result", "$0.20")
    assert session.terminated_by == "budget_exhausted"


def test_a_part_of_a_closed_session_is_closed() -> None:
    """It admits no call; before that it did."""
    session = Budget("$1").session()
    part = session.part("research")
    part.reserve(cost="$0.01").release()
    session.close()
    with pytest.raises(BursarError, match="closed"):
        part.reserve(cost="$0.01")


@pytest.mark.parametrize(("reserve", "kept"), [(0, False), (0.1, True), ("$0.10", True), ("$0", False)])
def test_whether_a_reserve_is_kept(reserve: float | str, kept: bool) -> None:
    """A session says whether finalize() has more to spend than others; a part has it as well."""
    session = Budget("$1", finalization_reserve=reserve).session()
    assert session.keeps_reserve is session.part("research").keeps_reserve is kept
    with session.finalize():
        session.part("research").reserve(cost="$1").release()
    if kept:
        with pytest.raises(BudgetExceeded):
            session.part("research").reserve(cost="$1")


@pytest.mark.parametrize("raised", [True, False])
def test_limits_of_a_running_session_and_its_parts(raised: bool) -> None:
    """They can be changed while it runs; who still declares the old one goes on under the new one."""
    session = Budget("$1").session()
    session.part("research", "$0.10").reserve(cost="$0.10").settle(cost="$0.10")
    if raised:
        session.part("research").set_limit("$0.30")
        session.part("research", "$0.10").reserve(cost="$0.20").release()
        session.set_limit("$0.25")
        session.drop_limit("2 calls")
    with pytest.raises(BudgetExceeded) as refused:
        session.part("research", "$0.10").reserve(cost="$0.20")
    assert refused.value.limit == ("$0.25/session" if raised else "$0.10/session")
