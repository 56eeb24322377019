"""An answer that was charged is not charged again."""

from __future__ import annotations

from typing import Any

import pytest

from bursar import Budget, Usage
from bursar.answer import Answer
from bursar.paid import Paid

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "created": 1_790_000_000,
    "model": "gpt-4o",
    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
}


def test_a_second_hold_is_given_back() -> None:
    """Its settle answers with the charge that there is; what is in doubt stays in doubt."""
    session = Budget("$1").session()
    first, second, doubtful = (
        session.reserve("gpt-4o", input_tokens=100, max_output_tokens=10) for _ in range(3)
    )
    charge = first.settle(CHAT)
    assert first.settle(CHAT).id == charge.id
    assert second.settle(CHAT).id == charge.id and second.state == "released"
    doubtful.settle_unknown()
    assert doubtful.settle(CHAT).id == charge.id and doubtful.state == "in_doubt"
    assert session.spent == charge.cost + doubtful.amount and session.reserved == 0


@pytest.mark.parametrize(
    "other",
    [
        {"id": "chatcmpl-2"},
        {"created": 1_790_000_001},
        {"usage": {"prompt_tokens": 100, "completion_tokens": 11}},
        {"id": None},
        {"usage": {"prompt_tokens": -1, "completion_tokens": 10}},
    ],
)
def test_another_answer_is_charged(other: dict[str, Any]) -> None:
    """Also one of the same name, made at another moment or of another size; and one that cannot be told apart."""
    session = Budget("$1").session()
    for answer in (CHAT, {**CHAT, **other}, {**CHAT, **other} if other in ({"id": None},) else CHAT):
        session.reserve("gpt-4o", input_tokens=100, max_output_tokens=20).settle(answer)
    assert session.calls == (3 if other == {"id": None} else 2)


def test_only_the_newest_are_remembered() -> None:
    """A thousand answers are enough to find the one that was charged a moment ago."""
    paid = Paid()
    charge = Budget().session().reserve(cost="$0.01").settle()
    for number in range(2_000):
        paid.add(Answer(Usage(1, 1), id=(str(number), None)), charge)
    assert paid.get(Answer(Usage(1, 1), id=("1999", None))) is charge
    assert paid.get(Answer(Usage(1, 1), id=("0", None))) is None
    assert paid.get(Answer(None, id=("1999", None))) is None
    assert len(paid._charges) == 1_024
