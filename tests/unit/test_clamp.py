"""An output cap that the budget lowers is seen: in the hold, the charge, the report, the events and the log."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from bursar import Budget, Hold, Price, register_model
from bursar.errors import BudgetExceeded
from bursar.pricing.overrides import as_rates
from bursar.pricing.response import read_answer

# gpt-4o: $2.50 in, $10 out a million. $0.004 pays for 800 tokens of input and 200 of output.
CALL: dict[str, Any] = {"input_tokens": 800, "max_output_tokens": 500}
USAGE = {"usage": {"prompt_tokens": 800, "completion_tokens": 200}}
CUT: list[dict[str, Any]] = [
    {"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}], **USAGE},
    {"stop_reason": "max_tokens", **USAGE},
    {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, **USAGE},
]
WHOLE: list[dict[str, Any]] = [
    {"choices": [{"finish_reason": "stop"}], **USAGE},
    {"choices": [{"finish_reason": None}, {}, None], **USAGE},
    {"choices": "length", **USAGE},
    {"choices": [{"finish_reason": ["length"]}], **USAGE},
    {"stop_reason": "end_turn", **USAGE},
    {"incomplete_details": {"reason": "content_filter"}, **USAGE},
    {"incomplete_details": None, **USAGE},
    USAGE,
]


def lowered(**settings: Any) -> Hold:
    return Budget("$0.004", **settings).session().reserve("gpt-4o", **CALL)


@pytest.mark.parametrize("answer", CUT)
def test_an_answer_that_ended_at_its_cap_says_so(answer: dict[str, Any]) -> None:
    """In the words of chat and completions, of messages, and of Responses."""
    assert read_answer(answer).cut is True


@pytest.mark.parametrize("answer", WHOLE)
def test_any_other_answer_does_not(answer: dict[str, Any]) -> None:
    """Nor one that makes no sense."""
    assert read_answer(answer).cut is False


@pytest.mark.parametrize("url", [None, "sqlite:///{}/ledger.db"], ids=["memory", "sqlite"])
@pytest.mark.parametrize(
    ("answer", "truncated"), [(CUT[0], True), (CUT[1], True), (CUT[2], True), (WHOLE[0], False)]
)
def test_a_lowered_cap_is_counted(
    answer: dict[str, Any], truncated: bool, url: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the hold, the charge, the report of the session and of the budget, an event, and the log with both caps."""
    caplog.set_level(logging.INFO, "bursar")
    budget = Budget("$0.004", store=url and url.format(tmp_path))
    session = budget.session()
    hold = session.reserve("gpt-4o", **CALL)
    assert (hold.clamped, hold.max_output_tokens, hold.wanted_output_tokens) == (True, 200, 500)
    charge = hold.settle(answer)
    assert (charge.clamped, charge.truncated) == (True, truncated)
    for report in (session.report(), budget.report()):
        assert (report["clamped"], report["truncated"]) == (1, int(truncated))
    clamp, booked = session.report()["events"]
    assert (clamp["event"], clamp["wanted_output_tokens"], clamp["max_output_tokens"]) == ("clamp", 500, 200)
    assert (booked["clamped"], booked.get("truncated", False)) == (True, truncated)
    assert "output cap lowered from 500 to 200" in caplog.text
    assert ("was cut at 200 output tokens" in caplog.text) is truncated


@pytest.mark.parametrize("answer", CUT)
def test_a_cap_that_was_not_lowered_is_the_callers(
    answer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What ends at it is neither clamped nor truncated, and nobody is told of it."""
    caplog.set_level(logging.INFO, "bursar")
    session = Budget("$1").session()
    hold = session.reserve("gpt-4o", **CALL)
    charge = hold.settle(answer)
    assert (hold.clamped, charge.clamped, charge.truncated) == (False, False, False)
    assert (session.report()["clamped"], session.report()["truncated"]) == (0, 0)
    assert [event["event"] for event in session.report()["events"]] == ["charge"]
    assert not [record for record in caplog.records if "cap" in record.message or "cut" in record.message]


def test_a_released_hold_is_not_counted() -> None:
    """No call was made at the lowered cap."""
    session = Budget("$0.004").session()
    session.reserve("gpt-4o", **CALL).release()
    assert session.report()["clamped"] == 0


def test_a_late_settle_counts_once() -> None:
    """A call in doubt is counted as lowered, and as cut only once its answer is known."""
    session = Budget("$0.004").session()
    hold = session.reserve("gpt-4o", **CALL)
    hold.settle_unknown()
    assert (session.report()["clamped"], session.report()["truncated"]) == (1, 0)
    hold.settle(CUT[0])
    assert (session.report()["clamped"], session.report()["truncated"]) == (1, 1)


def test_a_cut_that_is_told_by_hand_counts_too() -> None:
    """`cut=` goes with counts, as a response does."""
    hold = lowered()
    assert hold.settle(input_tokens=800, output_tokens=200, cut=True).truncated
    assert not lowered().settle(input_tokens=800, output_tokens=200).truncated


def test_a_repeated_reserve_is_no_second_clamp() -> None:
    """The same key finds the same hold, with the cap that it was granted."""
    session = Budget("$0.004").session()
    first = session.reserve("gpt-4o", key="a", **CALL)
    again = session.reserve("gpt-4o", key="a", **CALL)
    assert (again.repeated, again.max_output_tokens, again.clamped) == (True, first.max_output_tokens, True)
    assert [event["event"] for event in session.report()["events"]] == ["clamp"]


def test_each_session_is_warned_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its parts are of the same session."""
    budget = Budget("$1")
    for _ in range(2):
        caplog.clear()
        session = budget.session("$0.0039")
        for payer in (session, session.part("research")):
            payer.reserve("gpt-4o", input_tokens=400, max_output_tokens=9_000).settle(
                {**CUT[0], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
            )
        assert session.report()["truncated"] == 2
        warned = [record for record in caplog.records if "was cut at" in record.message]
        assert [record.levelname for record in warned] == ["WARNING"]


@pytest.mark.parametrize("noted", [True, False], ids=["notes", "no-notes"])
def test_an_error_is_explained(noted: bool) -> None:
    """Where errors have notes, by one that names the budget; an error of Python 3.10 stays as it is."""

    class Plain(Exception):
        add_note = property() if not noted else getattr(Exception, "add_note", property())

    hold = lowered(name="support")
    hold.explain(error := Plain("no JSON"))  # it is not settled yet
    assert not hasattr(error, "__notes__")
    hold.settle(CUT[0])
    hold.explain(error)
    notes = getattr(error, "__notes__", [])
    assert len(notes) == int(noted and sys.version_info >= (3, 11))
    assert all("'support' had lowered the cap from 500" in note for note in notes)


@pytest.mark.parametrize(
    ("clamp", "formatted", "granted"),
    [("text", False, 200), ("text", True, None), (True, True, 200), (100, True, 200), (300, False, None)],
)
def test_text_only(clamp: Any, formatted: bool, granted: int | None) -> None:
    """`clamp="text"` lowers text, and refuses an answer that is to have a format; the same fits where it is not lowered."""
    session = Budget("$0.004", clamp=clamp).session()
    if granted is None:
        with pytest.raises(BudgetExceeded):
            session.reserve("gpt-4o", **CALL, formatted=formatted)
    else:
        assert session.reserve("gpt-4o", **CALL, formatted=formatted).max_output_tokens == granted
    whole = Budget("$0.007", clamp=clamp).session().reserve("gpt-4o", **CALL, formatted=formatted)
    assert whole.max_output_tokens == 500 and not whole.clamped


@pytest.mark.parametrize(
    ("model", "cap", "binding"),
    [
        ("gpt-4o", None, None),  # its provider enforces the maximum
        ("gpt-4o", 100, 100),
        ("gpt-4o", 16_384, None),
        ("gpt-4o", 20_000, None),
        ("told", None, 900),  # nobody does
        ("told", 100, 100),
        ("told", 2_000, 2_000),
        ("windowed", None, None),  # nothing passes a window
        ("windowed", 9_000, None),
        ("windowed", 100, 100),
        ("bare", 100, 100),
    ],
)
def test_the_cap_that_a_request_without_one_has_to_carry(
    model: str, cap: int | None, binding: int | None
) -> None:
    """None where the provider lets no answer grow above what is held."""
    prices = {
        "told": Price(1, 2, context_window=8_000, max_output_tokens=900),
        "windowed": Price(1, 2, context_window=8_000),
        "bare": (1, 2),
    }
    session = Budget("$9", prices=prices).session()
    assert session.reserve(model, input_tokens=10, max_output_tokens=cap).binding_cap == binding


def test_only_the_bundled_table_is_enforced_by_providers() -> None:
    """A maximum of the user's, registered or of a budget, is told to nobody else."""
    assert Budget()._ledger.prices.rates("gpt-4o").published
    register_model("mine-for-a-test", 1, 2, max_output_tokens=700)
    assert Budget("$1").session().reserve("mine-for-a-test", input_tokens=1).binding_cap == 700
    assert not as_rates("prices=", {"m": (1, 2)})["m"].published


def test_a_charge_made_by_hand_is_neither() -> None:
    """The two new fields come last, and are False by default."""
    charge = Budget("$1").session().record("gpt-4o", 800, 200)
    assert (charge.clamped, charge.truncated) == (False, False)
    assert [field.name for field in dataclasses.fields(charge)][-3:] == ["at", "clamped", "truncated"]
