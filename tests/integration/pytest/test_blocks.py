"""A test whose call does not fit fails with the words of the refusal, whoever swallowed it, and nothing is sent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bursar.testing import ScriptedProvider

from .conftest import ASK, Inner, money

pytest_plugins = ("pytester",)

KINDS = ("raised", "swallowed", "thread", "task", "fixture", "skipped", "other", "after_the_fact")
ENOUGH = (*(f"TestEnough::test_{kind}" for kind in KINDS if kind != "skipped"), "TestOld::test_enough")
LITTLE = (*(f"TestLittle::test_{kind}" for kind in KINDS), "TestOld::test_little")
MARKED = (
    ASK
    + """
little, enough = pytest.mark.budget("$0.000001"), pytest.mark.budget("$0.01")

@pytest.fixture
def asks():
    swallow()
    yield
    swallow()

def in_a_thread(act):
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()

class Each:
    def test_raised(self): ask()
    def test_swallowed(self): swallow()
    def test_thread(self): in_a_thread(swallow)
    def test_task(self): asyncio.run(asyncio.to_thread(swallow))
    def test_fixture(self, asks): pass
    def test_skipped(self):
        swallow()
        pytest.skip("no answer")
    def test_other(self):
        swallow()
        assert os.environ.get("NO") == "something else"
    def test_after_the_fact(self, bursar_session):
        try:
            bursar_session.track(None, "$0.002", "search")
        except bursar.BudgetExceeded:
            pass

@little
class TestLittle(Each): pass

@enough
class TestEnough(Each): pass

class TestOld(unittest.TestCase):
    @little
    def test_little(self): swallow()
    @enough
    def test_enough(self): swallow()

@pytest.mark.budget("$0.000001", refused=True)
def test_is_about_a_refusal(bursar_session):
    with pytest.raises(bursar.BudgetExceeded):
        ask()
    assert bursar_session.spent == 0

@pytest.mark.budget("$0.01", "1 call")
def test_of_several_limits_all_hold():
    ask()
    swallow()

def test_without_a_marker():
    assert bursar.get_session() is None and ask()
"""
)


def test_a_marked_test_fails_where_a_call_was_refused(inner: Inner, provider: ScriptedProvider) -> None:
    """Raised or swallowed, in threads, tasks and fixtures, by a skip or another failure; enough money lets it pass."""
    ran = inner.run(MARKED)
    little = {test: word for test, word in ran.outcomes.items() if "ittle" in test}
    assert little == dict.fromkeys(LITTLE, "FAILED") | {"TestLittle::test_fixture": "ERROR"}
    for test in little:
        assert "limit is " in ran.about(test.replace("::", ".")), test
    enough = {test: word for test, word in ran.outcomes.items() if "nough" in test}
    assert enough == dict.fromkeys(ENOUGH, "PASSED") | {"TestEnough::test_other": "FAILED"}
    assert "limit is " not in ran.about("TestEnough.test_other") and "no answer" in ran.text
    others = {test: ran.outcomes[test] for test in ran.outcomes if test not in (*little, *enough)}
    assert others == {
        "test_is_about_a_refusal": "PASSED",
        "test_of_several_limits_all_hold": "FAILED",
        "test_without_a_marker": "PASSED",
    }
    assert (
        "openai" in ran.about("TestLittle.test_raised") and "_reserve" not in ran.text
    )  # where it was raised
    assert provider.arrivals == 8 + 1 + 1 + 1  # enough money, the first of two calls, without a marker


WHOLE = (
    ASK
    + """
ask()  # while it is imported

@pytest.fixture(scope="session")
def shared():
    ask()
    yield
    ask()

@pytest.mark.parametrize("number", range(4))
def test_it(number, shared):
    ask()

def test_free():
    pass
"""
)


@pytest.mark.parametrize(("limit", "processes"), [("$0.01", "-n2"), ("$0.0001", "-n2"), ("$0.0001", "-n0")])
def test_a_run_never_spends_more_than_its_budget(
    limit: str, processes: str, inner: Inner, provider: ScriptedProvider
) -> None:
    """Whatever its tests, fixtures and modules send, from all processes of xdist; the rest is refused and fails."""
    ran = inner.run(WHOLE, "--budget", limit, processes)
    words = {word for test, word in ran.outcomes.items() if test != "test_free"}
    assert ran.spent[-1] == f"{money(provider.bill)} spent of {limit}"
    assert f"bursar: {limit} for all tests together" in ran.text
    assert provider.bill <= Decimal(limit[1:]) and inner.left() == []
    if limit == "$0.01":
        assert words == {"PASSED"} and ran.status == 0
        assert provider.arrivals in (
            8,
            10,
        )  # both processes import the file, and perhaps both have the fixture
    else:
        assert {"ERROR", "FAILED"} & words and ran.status == 1 and 3 <= provider.arrivals <= 5
        assert "limit of 'pytest/run' is left" in ran.text
