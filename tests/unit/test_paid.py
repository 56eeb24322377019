"""An answer that was charged is not charged again."""

from __future__ import annotations

from typing import Any

import pytest

from bursar import Budget, Session, Usage
from bursar.integration import read_answer
from bursar.ledger.deduplication import ChargedAnswers
from bursar.pricing.response import Answer

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "created": 1_790_000_000,
    "model": "gpt-4o",
    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
}


@pytest.fixture
def session() -> Session:
    """One that a covered client has paid from, for the answer above."""
    session = Budget("$1").session()
    charge = session.reserve("gpt-4o", input_tokens=100, max_output_tokens=10).settle(CHAT)
    session._ledger.charged.add(read_answer(CHAT), charge)
    return session


def test_a_hold_for_it_is_given_back(session: Session) -> None:
    """Nothing is booked for it again: a hold is released, one in doubt stays in doubt, one released stays so."""
    spent = session.spent
    held, doubtful, released = (
        session.reserve("gpt-4o", input_tokens=100, max_output_tokens=10) for _ in range(3)
    )
    doubt = doubtful.settle_unknown()
    released.release()
    assert held.settle(CHAT).cost == 0 and held.state == "released"
    assert doubtful.settle(CHAT) is doubt and doubtful.state == "in_doubt"
    assert released.settle(CHAT).cost == 0
    assert session.wrap(CHAT) is CHAT
    assert session.spent == spent + doubt.cost and session.reserved == 0


@pytest.mark.parametrize(
    "other",
    [
        {"id": "chatcmpl-2"},
        {"created": 1_790_000_001},
        {"usage": {"prompt_tokens": 100, "completion_tokens": 11}},
        {"id": None},
    ],
)
def test_another_answer_is_charged(other: dict[str, Any], session: Session) -> None:
    """Also one of the same name, made at another moment or of another size; and one without a name, each time."""
    session.reserve("gpt-4o", input_tokens=100, max_output_tokens=20).settle({**CHAT, **other})
    session.wrap({**CHAT, **other})
    assert session.calls == 3


def test_only_the_newest_are_remembered() -> None:
    """A thousand answers are enough to find the one that was charged a moment ago."""
    paid = ChargedAnswers()
    charge = Budget().session().reserve(cost="$0.01").settle()
    for number in range(2_000):
        paid.add(Answer(Usage(1, 1), id=(str(number), None)), charge)
    assert paid.get(Answer(Usage(1, 1), id=("1999", None))) is charge
    assert paid.get(Answer(Usage(1, 1), id=("0", None))) is None
    assert paid.get(Answer(None, id=("1999", None))) is None
    assert len(paid._charges) == 1_024
