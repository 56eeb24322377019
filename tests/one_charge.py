"""Whatever of ours is combined around a call, it is charged once, to one session, at the provider's bill.

One table of rows for an SDK in miniature, for the real ones and for a framework: each describes itself by a
`Stage`, and plays each row on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Hold, Session, Usage
from bursar.integration import cover_later
from bursar.testing import ScriptedProvider

HELD: Any = {"input_tokens": 300, "max_output_tokens": 50}
ENOUGH, TOO_LITTLE = "$1", "$0.00001"


class Stage:
    """Who may pay, and how a call is made.

    Attributes:
        mine: pays in each row.
        other: has the money, and is to pay for nothing.
        model: the one that is asked, with at most 300 tokens, for at most 50.
    """

    def __init__(self, provider: ScriptedProvider, model: str, limit: str = ENOUGH, **settings: Any) -> None:
        self.provider = provider
        self.model = model
        self.mine = Budget(limit, **settings).session()
        self.other = Budget(ENOUGH, **settings).session()

    def call(self, client: Any = None) -> Any:
        """Ask once, with a new client or this one; returns the answer as its user has it, also of a stream."""
        raise NotImplementedError

    def wrapped(self, session: Session) -> Any:
        """A client of the session's own."""
        raise NotImplementedError

    def callback(self, session: Session) -> AbstractContextManager[object]:
        """What the callback of a framework does around a call, for its session."""
        return cover_later(session)

    def cover(self) -> None:
        """An SDK stays covered when the session that covered it has ended."""
        with self.other:
            """Entered, and left."""

    def hold(self) -> Hold:
        """One of mine that is enough for the call."""
        return self.mine.reserve(self.model, **HELD)

    def counts(self) -> dict[str, int]:
        """What the provider has billed, in tokens."""
        (served,) = self.provider.served
        return {"input_tokens": served.input_tokens, "output_tokens": served.output_tokens}


Row = Callable[[Stage], None]

# -- each makes one call, and `mine` pays -----------------------------------------------------------------


def in_session(on: Stage) -> None:
    with on.mine:
        on.call()


def in_session_and_wrap(on: Stage) -> None:
    with on.mine:
        answer = on.call()
        assert on.mine.wrap(answer) is answer


def hold_not_entered(on: Stage) -> None:
    with on.mine:
        hold = on.hold()
        on.call()
        assert hold.state == "settled" and hold.used


def hold_not_entered_and_settle_response(on: Stage) -> None:
    with on.mine:
        hold = on.hold()
        charge = hold.settle(on.call())
        assert charge == hold.charge


def hold_not_entered_and_settle_numbers(on: Stage) -> None:
    with on.mine:
        hold = on.hold()
        on.call()
        hold.settle(**on.counts())


def hold_not_entered_and_settle_other_numbers(on: Stage) -> None:
    with on.mine:
        hold = on.hold()
        on.call()
        hold.settle(input_tokens=1, output_tokens=1)


def in_hold(on: Stage) -> None:
    on.cover()
    with on.hold():
        on.call()


def in_hold_and_settle_response(on: Stage) -> None:
    with on.hold() as hold:
        hold.settle(on.call())


def in_hold_and_settle_numbers(on: Stage) -> None:
    with on.mine, on.hold() as hold:
        on.call()
        hold.settle(**on.counts())


def in_hold_within_another_session(on: Stage) -> None:
    with on.other, on.hold():
        on.call()


def callback_of_the_same_session(on: Stage) -> None:
    with on.mine, on.callback(on.mine):
        on.call()


def callback_of_another_session(on: Stage) -> None:
    with on.other, on.callback(on.mine):
        on.call()


def session_within_a_callback(on: Stage) -> None:
    with on.callback(on.mine), on.mine:
        on.call()


def callback_in_a_hold(on: Stage) -> None:
    with on.mine, on.hold() as hold, on.callback(on.mine):
        on.call()
    assert hold.state == "settled"


def callback_and_a_hold_not_entered(on: Stage) -> None:
    with on.mine:
        hold = on.hold()
        with on.callback(on.mine):
            on.call()
        hold.settle(**on.counts())


def child_session(on: Stage) -> None:
    with on.mine, on.mine.child_session("$0.50") as child:
        on.call()
    assert child.calls == 1


def session_of_a_child_budget(on: Stage) -> None:
    budget = on.mine.budget
    on.mine = budget.child("alice").session()
    with on.mine:
        on.call()
    assert budget.spent == on.mine.spent


def another_budget_within(on: Stage) -> None:
    with on.other, on.mine:
        on.call()


def wrapped_client(on: Stage) -> None:
    on.call(on.wrapped(on.mine))


def wrapped_client_within_another_session(on: Stage) -> None:
    with on.other:
        on.call(on.wrapped(on.mine))


def wrapped_client_within_a_callback(on: Stage) -> None:
    client = on.wrapped(on.mine)
    with on.callback(on.mine):
        on.call(client)


def wrapped_client_within_a_callback_of_another_session(on: Stage) -> None:
    client = on.wrapped(on.mine)
    with on.callback(on.other):
        on.call(client)


def wrapped_client_and_wrap(on: Stage) -> None:
    on.mine.wrap(on.call(on.wrapped(on.mine)))


def wrapped_client_and_a_hold_not_entered(on: Stage) -> None:
    hold = on.hold()
    on.call(on.wrapped(on.mine))
    hold.settle(**on.counts())


def wrapped_client_in_a_hold(on: Stage) -> None:
    with on.hold() as hold:
        on.call(on.wrapped(on.mine))
        hold.settle(**on.counts())


def not_covering_and_hold(on: Stage) -> None:
    on.cover()
    on.mine = on.mine.budget.session(cover=False)
    with on.mine:
        hold = on.hold()
        hold.settle(on.call())


def not_covering_and_record(on: Stage) -> None:
    on.cover()
    on.mine = on.mine.budget.session(cover=False)
    with on.mine:
        on.call()
        on.mine.record(on.model, **on.counts())


CALLBACKS = (
    *(callback_of_the_same_session, callback_of_another_session, session_within_a_callback),
    *(callback_in_a_hold, callback_and_a_hold_not_entered),
)
BEHIND: tuple[Row, ...] = (not_covering_and_record,)  # they book what was sent: there is nothing to refuse
ROWS: tuple[Row, ...] = (
    *(in_session, in_session_and_wrap, hold_not_entered, hold_not_entered_and_settle_response),
    *(hold_not_entered_and_settle_numbers, hold_not_entered_and_settle_other_numbers, in_hold),
    *(in_hold_and_settle_response, in_hold_and_settle_numbers, in_hold_within_another_session),
    *(*CALLBACKS, child_session, session_of_a_child_budget, another_budget_within, wrapped_client),
    *(wrapped_client_within_a_callback, wrapped_client_within_a_callback_of_another_session),
    *(wrapped_client_within_another_session, wrapped_client_and_wrap, wrapped_client_and_a_hold_not_entered),
    *(wrapped_client_in_a_hold, not_covering_and_hold, *BEHIND),
)


_EARLIER = ("was dropped", "is not covered")  # what earlier tests left to be collected, or have imported


def each(rows: Iterable[Row] = ROWS) -> pytest.MarkDecorator:
    """Each row with money enough, and with too little."""
    limits = {"paid": ENOUGH, "refused": TOO_LITTLE}
    taken = [
        pytest.param(row, limit, id=f"{row.__name__}-{name}")
        for row in rows
        for name, limit in limits.items()
        if limit == ENOUGH or row not in BEHIND
    ]
    return pytest.mark.parametrize(("row", "limit"), taken)


def assert_charged_once(row: Row, on: Stage, limit: str, caplog: pytest.LogCaptureFixture) -> None:
    """What is booked is the bill, nothing is held, no other session pays, and nobody is warned."""
    calls = int(limit == ENOUGH)
    if calls:
        row(on)
        said = [record.getMessage() for record in caplog.records if record.name == "bursar"]
        assert [text for text in said if not any(words in text for words in _EARLIER)] == []
    else:
        with pytest.raises(BudgetExceeded):
            row(on)
    assert on.provider.arrivals == on.provider.calls == calls
    assert (on.provider.bill > 0) == bool(calls)
    assert (on.mine.spent, on.mine.reserved) == (on.provider.bill, 0)
    assert (on.other.spent, on.other.reserved) == (0, 0)


# -- each makes one call that is charged, and books it by hand as well ------------------------------------


def recorded(on: Stage) -> Decimal:
    """By its counts, under the model asked for, or the one that answered."""
    with on.mine:
        on.call()
        on.mine.record(on.model, **on.counts())
        on.mine.record(on.model, usage=Usage(**on.counts()))
    return 3 * on.provider.bill


def tracked(on: Stage) -> Decimal:
    """By its id, or as the very object."""
    with on.mine:
        answer = on.call()
        assert on.mine.track(answer, "$0.01") is answer
        on.mine.track(answer, "$0.01")
    return on.provider.bill + Decimal("0.02")


BY_HAND = pytest.mark.parametrize("by_hand", [recorded, tracked], ids=lambda row: str(row.__name__))


def assert_booked_as_told(
    by_hand: Callable[[Stage], Decimal], on: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The bill, and what was told beside it; one warning names the way out."""
    booked = by_hand(on)
    assert (on.mine.spent, on.mine.reserved) == (booked, 0)
    assert caplog.text.count("was charged already") == 1 and "cover=False" in caplog.text
