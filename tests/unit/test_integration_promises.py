"""Promises: a session pays for what a covered SDK is about to send, and is told what became of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, BursarError, UnknownModel, Usage
from bursar.integration import book_unclaimed, cover_later, covered_sdks, note_saved, promise_of_another
from bursar.testing import ScriptedProvider

from .toy_hooks import ASKED, Passes, Plugin, ask, budget

pytestmark = pytest.mark.usefixtures("_nobody_pays")


@pytest.fixture(autouse=True)
def _sdk(covered: Plugin) -> None:
    """The SDK is covered for good, as adapters have it."""
    assert covered_sdks() == {"openai"}


def test_each_promise_is_claimed_by_one_request(provider: ScriptedProvider) -> None:
    """The request that sends its texts; one more of the context is the session's, too."""
    one, two = budget(), budget()
    holds: list[Any] = []
    messages = [[{"role": "user", "content": text}] for text in ("first", "second")]
    first = cover_later(one, texts=["first"], on_hold=holds.append)
    second = cover_later(two, texts=["second"], on_hold=holds.append)
    with first, second:
        ask(provider, messages=messages[0])
        assert first.claimed and not second.claimed and two.spent == 0
        ask(provider, messages=messages[1])
        before = two.spent
        ask(provider, messages=messages[0])
        assert two.spent > before > 0
    assert one.spent + two.spent == provider.bill
    assert [hold.session for hold in holds] == [one, two, two]


@pytest.mark.parametrize("mixin", [None, Passes])
def test_a_refusal_reaches_the_caller_of_the_sdk(mixin: Any, provider: ScriptedProvider) -> None:
    """In the class that passes, if one was given, after the adapter was told; nothing is sent."""
    told: list[BursarError] = []
    with (
        cover_later(budget("$0.0000001"), raise_as=mixin, on_refusal=told.append),
        pytest.raises(BudgetExceeded) as refused,
    ):
        ask(provider)
    assert told == [refused.value] and isinstance(refused.value, Passes) is (mixin is not None)
    assert provider.arrivals == 0


def test_a_refusal_without_anybody_to_tell(provider: ScriptedProvider) -> None:
    """It is raised as it is."""
    with cover_later(budget("$0.0000001")), pytest.raises(BudgetExceeded):
        ask(provider)
    assert provider.arrivals == 0


def test_a_listener_that_fails_prevents_the_call(provider: ScriptedProvider) -> None:
    """What was held for it is given back."""
    session = budget()

    def fails(hold: object) -> None:
        raise ZeroDivisionError

    with cover_later(session, on_hold=fails), pytest.raises(ZeroDivisionError):
        ask(provider)
    assert (provider.arrivals, session.reserved, session.spent) == (0, 0, 0)


def test_one_account_promises_a_call_once() -> None:
    """Another account finds that promise, and makes one of its own for another call."""
    session, other = budget(), budget()
    with cover_later(session, call="a") as promise:
        assert cover_later(session, call="a") is promise
        assert cover_later(session, call="b") is not promise
        assert promise_of_another(session, "a") is None
        assert promise_of_another(other, "a") is promise
        assert promise_of_another(other, "c") is None


def test_an_answer_that_nobody_claimed_is_booked() -> None:
    """By its usage, by the model and tier that answered; without usage at the worst case."""
    session = budget()
    assert book_unclaimed(session, ASKED, Usage(10, 5)).cost == Decimal("0.000075")
    cheaper = book_unclaimed(session, ASKED, Usage(10, 5), model="gpt-4o-mini", tier="default")
    assert cheaper.cost == Decimal("0.0000045")
    worst = book_unclaimed(session, ASKED, None)
    assert worst.estimated and worst.cost > Decimal("0.0005")
    with pytest.raises(UnknownModel):
        book_unclaimed(session, {**ASKED, "model": "nobody-knows"}, Usage(1, 1))
    with pytest.raises(BudgetExceeded):
        book_unclaimed(budget("$0.00001"), ASKED, Usage(10, 5))


def test_what_a_cache_saved_is_free() -> None:
    """Counted, and not spent; nothing where there is no count."""
    session = Budget("$1").session()
    for usage in (Usage(10, 5), None):
        note_saved(session, ASKED, usage)
    assert (session.spent, session.report()["saved"]) == (0, 0.000075)
