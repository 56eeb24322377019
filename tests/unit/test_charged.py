"""Which answers are paid for already."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest

from bursar.ledger import deduplication as charged
from bursar.ledger.deduplication import forget, remember, was_charged


class Answer:
    """An object that looks equal to all others of its kind, and cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer)


def test_this_very_object_is_remembered() -> None:
    """Not one that is equal to it."""
    paid, other = Answer(), Answer()
    assert not was_charged(paid)
    remember(paid)
    remember(paid)
    assert was_charged(paid) and not was_charged(other)


def test_an_answer_is_not_kept_alive() -> None:
    """Nothing is left of it once nobody has it, so that the next object in its place is a new one."""
    before = len(charged._charged)
    for _ in range(1_000):
        answer = Answer()
        assert not was_charged(answer)
        remember(answer)
    answer.itself = answer  # type: ignore[attr-defined]
    del answer
    gc.collect()
    assert len(charged._charged) == before


def test_what_is_forgotten_is_still_to_be_paid() -> None:
    """And forgetting what was never known does no harm."""
    answer = Answer()
    forget(answer)
    remember(answer)
    forget(answer)
    assert not was_charged(answer)


@pytest.mark.parametrize("answer", [{"id": "x"}, SimpleNamespace(id="x"), (1, 2), "text", 5, None])
def test_what_cannot_be_remembered_is_booked_each_time(answer: object) -> None:
    """Rather than kept alive, or taken for another one."""
    remember(answer)
    assert not was_charged(answer)
