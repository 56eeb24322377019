"""A host, such as a test runner, pays for what the programs that it runs do not pay for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator

import pytest

import bursar
from bursar import Budget, BudgetExceeded, BursarError, coverage, get_session, plugins
from bursar.integration import pays_otherwise
from bursar.ledger.context import is_somebody_inside
from bursar.testing import ScriptedProvider

from .toy_hooks import Plugin, ask


@pytest.fixture
def sdk(covered: Plugin, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """There is one, in miniature, and it is as nobody has left it."""
    monkeypatch.setattr(coverage, "find_spec", lambda name: name if name == "openai" else None)
    yield
    bursar.teardown()


def in_a_thread(act: Callable[[], object]) -> None:
    """One that knows nothing of the context of this one."""
    thread = threading.Thread(target=contextvars.Context().run, args=(act,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("where", [lambda act: act(), in_a_thread], ids=["here", "thread"])
@pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.0001", 0)])
def test_a_host_pays_where_nobody_else_does(
    where: Callable[..., None], limit: str, requests: int, sdk: None, provider: ScriptedProvider
) -> None:
    """For calls of a covered SDK, in any thread, and not a call longer; what does not fit is not sent."""
    session, refusals = Budget(limit).session(swallow=True), list[BudgetExceeded]()

    def call() -> None:
        try:
            ask(provider)
        except BudgetExceeded as refusal:
            refusals.append(refusal)

    with pays_otherwise(session):
        where(call)
    assert (provider.arrivals, len(refusals)) == (requests, 1 - requests)
    assert session.spent == provider.bill
    where(call)
    assert (provider.arrivals, session.calls) == (requests + 1, requests)


def test_the_inner_of_two_hosts_pays(sdk: None) -> None:
    """And after it the outer one again; the context of the caller has entered neither."""
    outer, inner = Budget().session(), Budget().session()
    with pays_otherwise(outer) as first:
        assert first is outer is get_session()
        with pays_otherwise(inner):
            assert get_session() is inner
            later = contextvars.copy_context()
        assert get_session() is outer is later.run(get_session)
    assert get_session() is None


@pytest.mark.parametrize("own", ["entered", "init"])
def test_a_program_that_pays_for_itself_does(own: str, sdk: None, provider: ScriptedProvider) -> None:
    """From the session that it enters or gives to `init`; its `teardown` leaves the SDKs to the host."""
    session, programs = Budget("$1").session(), Budget("$1").session()
    with pays_otherwise(session):
        if own == "entered":
            with programs:
                ask(provider)
        else:
            bursar.init(programs)
            ask(provider)
            bursar.teardown()
        assert (session.calls, programs.calls) == (0, 1)
        ask(provider)
    assert (session.calls, programs.calls) == (1, 1) and session.spent + programs.spent == provider.bill


def test_no_host_pays_where_nothing_covers_an_sdk(sdk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would spend unseen: an error that names what to install, and nobody pays; with a package all is well."""
    with monkeypatch.context() as without:
        without.setattr(plugins, "_installed", lambda: ())
        with (
            pytest.raises(BursarError, match="pip install bursar-openai"),
            pays_otherwise(Budget().session()),
        ):
            pass
        assert get_session() is None and not is_somebody_inside()
    with pays_otherwise(Budget().session()) as session:
        assert get_session() is session
