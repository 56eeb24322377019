"""What a test has spent is what the provider bills for it: in its session, in the summary and in the XML of JUnit."""

from __future__ import annotations

from decimal import Decimal
from xml.etree import ElementTree as ET

from bursar.testing import ScriptedProvider

from .conftest import ASK, Inner, money

pytest_plugins = ("pytester",)

SPENDING = (
    ASK
    + """
@pytest.fixture
def asks():
    ask()
    yield
    ask()

@pytest.mark.budget("$0.01")
def test_with_a_fixture(asks, bursar_session):
    ask()
    assert bursar.get_session() is bursar_session and bursar_session.calls == 2
    assert bursar_session.remaining == bursar.remaining() < bursar_session.spent + 1

def test_counts_alone(bursar_session):
    assert bursar_session.spent == 0 and bursar_session.remaining is None
    ask()
    bursar_session.track(None, "$0.25", "search")
    assert bursar_session.calls == 1

def test_asks_for_the_fixture_late(request):
    assert bursar.get_session() is None
    session = request.getfixturevalue("bursar_session")
    ask()
    assert session.spent > 0

@pytest.mark.budget("$0.01")
def test_is_free(bursar_session):
    assert bursar_session.spent == 0

@pytest.mark.budget("$0.01")
@pytest.mark.parametrize("own", ["init", "session", "wrapped"])
def test_has_a_budget_of_its_own(own, bursar_session):
    if own == "init":
        session = bursar.init("$1")
        ask()
        bursar.teardown()
    else:
        with bursar.Budget("$1").session() as session:
            ask()
    assert (session.calls, bursar_session.calls) == (1, 0)
    ask()
    assert bursar_session.calls == 1
"""
).replace('["init", "session", "wrapped"]', '["init", "session"]')


def test_a_line_for_each_costly_test(inner: Inner, provider: ScriptedProvider) -> None:
    """The dearest first, with all that its fixtures have spent; what it spends from a budget of its own is not in it."""
    ran = inner.run(SPENDING, "--junit-xml=junit.xml")
    assert set(ran.outcomes.values()) == {"PASSED"} and ran.status == 0
    one = provider.bill / 9  # all calls are alike
    assert provider.arrivals == 3 + 1 + 1 + 4
    costs = {
        "test_counts_alone": (one + Decimal("0.25"), 2),
        "test_with_a_fixture": (3 * one, 3),
        "test_asks_for_the_fixture_late": (one, 1),
        "test_has_a_budget_of_its_own[init]": (one, 1),
        "test_has_a_budget_of_its_own[session]": (one, 1),
    }
    assert [line.split() for line in ran.spent] == [
        [money(usd), str(calls), "call" if calls == 1 else "calls", f"test_it.py::{test}"]
        for test, (usd, calls) in costs.items()
    ]
    said = {}
    for case in ET.fromstring(inner.file("junit.xml")).iter("testcase"):
        found = {one.get("name"): one.get("value") for one in case.iter("property")}
        if found:
            said[case.get("name")] = Decimal(str(found["bursar_usd"])), int(str(found["bursar_calls"]))
    assert said == costs
