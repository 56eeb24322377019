"""What an integration makes of a request, and what becomes of its body."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bursar import Budget
from bursar.sdk import (
    Allowed,
    Demand,
    Reading,
    Unbounded,
    body_of,
    listed,
    text_bytes,
    text_of,
    whole,
    with_members,
)
from bursar.values.call import Call


def options(body: Any = None, extra: Any = None) -> Any:
    return SimpleNamespace(json_data=body, extra_json=extra)


@pytest.mark.parametrize(
    ("body", "extra", "merged"),
    [
        ({"a": 1}, None, {"a": 1}),
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        (None, {"b": 3}, {"b": 3}),
        (None, None, {}),
        (b"{}", None, None),
        ([1], None, None),
        ({"a": 1}, "odd", None),
    ],
)
def test_the_body_that_is_sent(body: Any, extra: Any, merged: Any) -> None:
    """The extra members win; what is no object has no members."""
    assert body_of(options(body, extra)) == merged


@pytest.mark.parametrize(
    ("body", "extra", "members"),
    [
        ({"cap": 50}, None, {"cap": 20}),
        ({"cap": 50}, {"cap": 40}, {"cap": 20}),
        ({"cap": 50}, {"other": 1}, {"cap": 20, "new": True}),
        (None, {"cap": 40}, {"cap": 20, "new": True}),
        ({"cap": 50}, None, {}),
    ],
)
def test_members_are_set_where_they_count(body: Any, extra: Any, members: dict[str, Any]) -> None:
    """In a copy: the dicts of the caller stay as they are."""
    given, before = options(body, extra), repr((body, extra))
    changed = with_members(given, members)
    assert body_of(changed) == {**(body_of(given) or {}), **members}
    assert repr((body, extra)) == before
    assert (changed is given) == (not members)


def test_a_demand_that_says_nothing_is_free() -> None:
    """It has no price and no words, sends what it was given, and takes errors as they are."""
    demand, given = Demand(polled="resp_1"), options({})
    assert demand.free and demand.polled == "resp_1"
    assert demand.fit(given, Allowed(5)) is given and demand.again(ValueError()) is None
    assert not Demand({"model": "m"}).free and not Demand(endpoint="audio").free
    with pytest.raises(NotImplementedError):
        demand.reading()


@pytest.mark.parametrize("word", ["audio", None])
@pytest.mark.parametrize("model", ["tts-1", None])
def test_a_demand_that_nothing_bounds(model: str | None, word: str | None) -> None:
    """It is asked for by the model and its texts, where there is a model; what it tells is read all the same."""
    demand = Unbounded({"model": model, "input": "sky", "speed": 2}, "openai", word)
    assert demand.endpoint == (word or "other") and not demand.free
    assert (demand.ask.get("model"), demand.ask.get("provider")) == (model, model and "openai")
    reading = demand.reading()
    assert reading.event(b"data: {}\n\n") == b"data: {}\n\n" and reading.answer is None
    reading.event(b'data: {"usage": {"input_tokens": 3, "output_tokens": 2}}\n\n')
    assert reading.answer is not None and reading.answer.usage is not None
    assert reading.answer.usage.input_tokens == 3
    reading.body(b'{"usage": {"input_tokens": 5}}')
    assert reading.answer.usage.input_tokens == 5


@pytest.mark.parametrize(
    ("given", "count"),
    [(5, 5), ("5", 5), (5.0, 5), (-1, None), (0, None), ("no", None), (float("inf"), None), (True, None),
     (None, None), ([5], None)],
)  # fmt: skip
def test_a_count_as_it_may_be_written(given: Any, count: int | None) -> None:
    """Or none at all, such as -1 for "no limit"."""
    assert whole(given) == count


def test_what_should_be_a_list() -> None:
    """Is one, also where it is one thing, or nothing."""
    assert [listed(one) for one in ([1], (1,), None, "a", {"b": 1})] == [[1], (1,), [], ["a"], [{"b": 1}]]


def test_a_reading_learns_its_words_elsewhere() -> None:
    """A body that is no object says nothing; one that is goes to the integration."""
    reading = Reading()
    for payload in (b"", b"<html>", b"[1]", b"[" * 100_000):
        reading.body(payload)
    assert reading.ended and reading.answer is None
    with pytest.raises(NotImplementedError):
        reading.body(b"{}")
    with pytest.raises(NotImplementedError):
        reading.event(b"data: 1\n\n")


@pytest.mark.parametrize(
    ("n", "cap", "seen", "hidden", "output"),
    [
        (1, 100, 20, False, 36),
        (2, 100, 20, False, 52),
        (1, 30, 20, False, 30),
        (1, 0, 20, False, 0),
        (1, 100, 20, True, None),
    ],
)
def test_an_estimate(n: int, cap: int, seen: int, hidden: bool, output: int | None) -> None:
    """All that could be seen, and the marks around it, up to the cap; nothing where output may be hidden."""
    reading = Reading(hidden=hidden)
    reading.visible_bytes = seen
    usage = reading.estimate(Call("1", "model", input_tokens=7, max_output_tokens=cap, n=n))
    assert (usage and (usage.input_tokens, usage.output_tokens)) == (None if output is None else (7, output))


@pytest.mark.parametrize(
    ("usage", "counted"), [(None, False), ({"input_tokens": 3}, False), ({"output_tokens": 2}, True)]
)
def test_text_is_asked_for_where_no_output_is_counted(usage: Any, counted: bool) -> None:
    """An answer without usage, or with input alone, has output all the same."""
    reading = Reading()
    assert not reading.counted
    reading.report({}, usage)
    assert reading.counted is counted


def test_text_is_counted_by_its_bytes() -> None:
    """However deep it is, and only text."""
    assert text_bytes({"a": ["x", {"b": "yz"}], "c": 5, "d": None, "e": "ä\ud800"}) == 3 + 5


def test_a_budget_lists_what_it_allows() -> None:
    """Words of endpoints, with a hyphen or an underscore; anything else is named in the error."""
    assert Budget(allow=("audio", "fine-tuning"))._ledger.policy.allow == {"audio", "fine_tuning"}
    assert Budget(allow=["images"])._ledger.policy.allow == {"images"}
    wrong: Any
    for wrong in ("audio", ("audio", "smell"), (5,), 5, None):
        with pytest.raises(ValueError, match="allow="):
            Budget(allow=wrong)


def test_the_text_of_a_body_is_all_that_may_be_input() -> None:
    """Whatever its members are, but for those that are named; also what JSON has no form for is counted."""
    body = {"a": "sky", "stream": True, "b": [1, {"c": None}], "d": Budget}
    text = text_of(body, without={"stream"})
    assert text.startswith('{"a": "sky", "b": [1, {"c": null}], "d": ') and "Budget" in text
    assert "stream" not in text
