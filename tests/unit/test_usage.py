"""Usage: token counts from outside, and what makes them unusable."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from bursar.values.usage import Usage


class Int(int):
    """An int that is more than an int."""


@pytest.mark.parametrize(
    "usage",
    [
        Usage(0, 0),
        Usage(800, 200),
        Usage(10**10, 10**10),
        Usage(100, 50, cached_input_tokens=40, cache_write_tokens=30, cache_write_1h_tokens=30),
        Usage(100, 50, audio_input_tokens=100, audio_output_tokens=50, reasoning_tokens=50),
        Usage(1, 1, requests={"web_search": 2}),
        Usage(1, 1, requests={}),
    ],
)
def test_plausible_usage_has_no_flaw(usage: Usage) -> None:
    """Counts whose parts fit into their whole are usable, up to the largest."""
    assert usage.flaw is None


@pytest.mark.parametrize(
    "count",
    [
        None, -1, 1.0, float("nan"), "5", True, 2**63, 10**10 + 1, Int(5), [], pytest.param(object(), id="object"),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(Usage) if field.name != "requests"]
)
def test_nonsense_count_is_a_flaw(name: str, count: Any) -> None:
    """A count that is no plain whole number in range is found in every field, without an exception."""
    usage = Usage(**{"input_tokens": 10**10, "output_tokens": 10**10, name: count})
    assert usage.flaw == "a count is not a whole number of tokens"


@pytest.mark.parametrize(
    ("requests", "flaw"),
    [
        (None, "requests are not counted by name"),
        ([("web_search", 1)], "requests are not counted by name"),
        ({"web_search": -1}, "a count is not a whole number of tokens"),
        ({"web_search": "1"}, "a count is not a whole number of tokens"),
        ({"web_search": None}, "a count is not a whole number of tokens"),
    ],
)
def test_nonsense_requests_are_a_flaw(requests: Any, flaw: str) -> None:
    """Hosted tools that are not counted by name make a usage unusable."""
    assert Usage(1, 1, requests=requests).flaw == flaw


@pytest.mark.parametrize(
    ("usage", "flaw"),
    [
        (Usage(100, 50, cached_input_tokens=101), "the parts of the input exceed the input"),
        (
            Usage(100, 50, cached_input_tokens=40, cache_write_tokens=30, cache_write_1h_tokens=31),
            "the parts of the input exceed the input",
        ),
        (Usage(100, 500, audio_input_tokens=101), "the parts of the input exceed the input"),
        (Usage(100, 50, reasoning_tokens=51), "a part of the output exceeds the output"),
        (Usage(100, 50, audio_output_tokens=51), "a part of the output exceeds the output"),
    ],
)
def test_parts_above_their_whole_are_a_flaw(usage: Usage, flaw: str) -> None:
    """One token more in the parts than in the whole makes a usage unusable."""
    assert usage.flaw == flaw


def test_details_are_parts() -> None:
    """The tokens of a call are input and output; the details are never added to them."""
    usage = Usage(100, 50, 40, 30, 30, 50, 100, 50, {"web_search": 2})
    assert usage.tokens == 150


def test_usage_is_a_value() -> None:
    """Equal usages are interchangeable, cannot be changed, and survive pickle, copy and `asdict`."""
    usage = Usage(1, 2)
    assert hash(usage) == hash(Usage(1, 2))
    assert pickle.loads(pickle.dumps(usage)) == copy.deepcopy(usage) == usage
    assert Usage(**dataclasses.asdict(usage)) == usage
    with pytest.raises(AttributeError):
        usage.input_tokens = 5  # type: ignore[misc]
    assert Usage(1, 2).requests is not usage.requests
