"""The arguments of a reserve, checked before anything else happens."""

from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import InvalidAmount
from bursar.pricing.request import CallRequest


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": "gpt-4o"},
        {"tool": "web_search"},
        {"cost": 0},
        {"cost": "$0.02"},
        {
            "model": "gpt-4o",
            "tool": "web_search",
            "cost": 1,
            "provider": "openai",
            "key": "k",
            "tier": "flex",
        },
        {"model": "m" * 200},
        {"model": "gpt-4o", "input_tokens": 0, "max_output_tokens": 0, "n": 1},
        {"model": "gpt-4o", "input_tokens": 10**10, "max_output_tokens": 10**10, "n": 10**10},
    ],
)
def test_plausible_ask_is_accepted(arguments: dict[str, Any]) -> None:
    """A call to a model, a run of a tool or a bare cost is kept as it was asked for."""
    ask = CallRequest(**arguments)
    assert {name: getattr(ask, name) for name in arguments} == arguments


@pytest.mark.parametrize(
    "arguments", [{}, {"input_tokens": 5}, {"messages": []}, {"provider": "openai"}, {"key": "k"}]
)
def test_ask_for_nothing_is_refused(arguments: dict[str, Any]) -> None:
    """Without a model, a tool or a cost there is nothing to pay for."""
    with pytest.raises(TypeError, match="needs a model"):
        CallRequest(**arguments)


@pytest.mark.parametrize("name", ["model", "provider", "tool", "key"])
@pytest.mark.parametrize(
    "value", ["", "a\nb", "\x00", "\ud800", "x" * 201, 5, b"gpt-4o", ["gpt-4o"]], ids=repr
)
def test_what_is_no_name_is_refused(name: str, value: Any) -> None:
    """A name that is empty, too long, unprintable or no text is a `ValueError` that says which."""
    with pytest.raises(ValueError, match=name):
        CallRequest(**{"cost": 1, name: value})


@pytest.mark.parametrize("name", ["input_tokens", "max_output_tokens", "n", "floor"])
@pytest.mark.parametrize(
    "value",
    [
        -1, 1.0, float("nan"), "5", True, 10**10 + 1, 2**63, [], pytest.param(b"5", id="bytes"),
        pytest.param(10**5000, id="huge"), pytest.param(-(10**5000), id="-huge"),
    ],
)  # fmt: skip
def test_what_is_no_count_is_refused(name: str, value: Any) -> None:
    """A count that is no plain whole number in range is a `ValueError` that names it."""
    with pytest.raises(ValueError, match=f"^{name}=.*is not a whole number"):
        CallRequest(**{"model": "gpt-4o", name: value})


@pytest.mark.parametrize("n", [0, None])
def test_choices_are_one_or_more(n: Any) -> None:
    """A call has at least one choice."""
    with pytest.raises(ValueError, match="n="):
        CallRequest(model="gpt-4o", n=n)


@pytest.mark.parametrize(
    ("cost", "nanos"), [("$0.02", 20_000_000), (0, 0), (1.5, 1_500_000_000), (None, None)]
)
def test_cost_in_nanos(cost: Any, nanos: int | None) -> None:
    """An explicit cost is read as money; none is None, which is not $0."""
    assert CallRequest(model="gpt-4o", cost=cost).cost_nanos == nanos


@pytest.mark.parametrize("cost", [-1, "abc", float("nan"), True])
def test_what_is_no_cost_is_refused(cost: Any) -> None:
    """A cost that is no amount is `InvalidAmount`."""
    with pytest.raises(InvalidAmount):
        _ = CallRequest(model="gpt-4o", cost=cost).cost_nanos


def test_ask_reads_no_messages() -> None:
    """An iterator would be used up by the bound and then sent empty: it is refused untouched, a list is not."""
    for setting in ("messages", "tools"):
        items = iter([{"role": "user"}])
        with pytest.raises(TypeError, match=f"{setting}= takes a list"):
            CallRequest(model="gpt-4o", **{setting: items})
        assert next(items) == {"role": "user"}
        CallRequest(model="gpt-4o", **{setting: [{"role": "user"}]})


@pytest.mark.parametrize(
    "wrong",
    [{"windows": 0}, {"windows": None}, {"requests": {"web_search": -1}}, {"requests": {"": 1}},
     {"requests": {"web_search": 1.5}}, {"stored_tokens": -1}],
)  # fmt: skip
def test_what_a_provider_may_do_by_itself_is_counted(wrong: dict[str, Any]) -> None:
    """Context windows are one or more, runs of its tools none or more, by name."""
    with pytest.raises(ValueError, match="windows|requests|tool|stored_tokens"):
        CallRequest(model="gpt-4o", **wrong)
    assert CallRequest(model="gpt-4o", windows=3, requests={"web_search": 2}, stored_tokens=5).windows == 3
