"""What the parameters of a request say about its worst case."""

from __future__ import annotations

from typing import Any

import pytest

from bursar import Budget
from bursar.integration import CallParams, read_params


def test_parameters_that_say_nothing() -> None:
    """The model's own cap, one choice, and output that may be hidden, as nobody knows the model."""
    assert read_params({}) == CallParams("unknown")


@pytest.mark.parametrize(
    ("params", "cap"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 5}, 5),
        ({"max_output_tokens": 5}, 5),
        ({"num_predict": 5, "extra_body": {"max_new_tokens": 9}}, 9),
        ({"max_tokens": True}, 70),
        ({"max_tokens": -1}, 70),
        ({"extra_body": "text"}, 70),
    ],
)
def test_the_largest_cap_counts(params: dict[str, Any], cap: int) -> None:
    """Whatever it is called; what is no number is no cap, and then the client's own counts."""
    assert read_params(params, max_tokens=70).max_output_tokens == cap
    assert read_params({}, max_tokens=None).max_output_tokens is None


@pytest.mark.parametrize(
    ("params", "n"),
    [({"n": 3}, 3), ({"best_of": 2, "n": 1}, 2), ({"extra_body": {"candidate_count": 4}}, 4), ({"n": 0}, 1)],
)
def test_the_most_choices_count(params: dict[str, Any], n: int) -> None:
    """Of all the words for it; none is one."""
    assert read_params(params).n == n


@pytest.mark.parametrize(
    ("params", "tier"),
    [
        ({"service_tier": "flex"}, "flex"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "auto"}, None),
        ({"speed": "fast", "service_tier": "flex"}, "fast"),
    ],
)
def test_a_tier_that_has_a_price_counts(params: dict[str, Any], tier: str | None) -> None:
    """Others are served at the price of the standard one, or say so in the answer."""
    assert read_params(params).tier == tier


def test_tools_of_the_provider_are_tools() -> None:
    """They run there, and are billed there."""
    params = {"tools": [{"name": "mine"}], "web_search_options": {"a": 1}, "extra_body": {"mcp_servers": [1]}}
    assert read_params(params).tools == [
        {"name": "mine"},
        {"type": "web_search_options"},
        {"type": "mcp_servers"},
    ]


def test_what_is_sent_beside_the_prompts_is_input() -> None:
    """As text, at least as long as it can be written; what only the provider has is not known."""
    read = read_params({"system": "Be brief", "response_format": {"ü": 1}}, ["hello"])
    assert read.messages == ["hello", '{"\\u00fc": 1}', '"Be brief"']
    for key in ("previous_response_id", "conversation", "prompt"):
        assert read_params({"extra_body": {key: "id"}}, ["hello"]).messages is None


@pytest.mark.parametrize(
    ("params", "given", "sent"),
    [
        ({"messages": [{"content": "a"}]}, (), [{"content": "a"}]),
        ({"input": "a"}, (), ["a"]),
        ({"input": "other"}, "a", ["a"]),
        ({}, ("a", "b"), ["a", "b"]),
    ],
)
def test_prompts_are_given_or_among_the_parameters(
    params: dict[str, Any], given: Any, sent: list[Any]
) -> None:
    """Those that are given say more: the framework knows what it sends."""
    assert read_params(params, given).messages == sent


@pytest.mark.parametrize(
    ("params", "model", "name", "hidden"),
    [
        ({"model": "gpt-4o"}, "other", "gpt-4o", False),
        ({"model": ""}, "openrouter/claude-haiku-4-5", "openrouter/claude-haiku-4-5", False),
        ({"model": 5}, "o3", "o3", True),
        ({"model": "claude-haiku-4-5", "thinking": {"type": "enabled"}}, None, "claude-haiku-4-5", True),
        ({"model": "gpt-4o", "extra_body": {"reasoning_effort": "low"}}, None, "gpt-4o", True),
        ({"model": "my-gpt-4"}, None, "my-gpt-4", True),
    ],
)
def test_a_model_that_thinks_bills_what_it_does_not_show(
    params: dict[str, Any], model: str | None, name: str, hidden: bool
) -> None:
    """A family that shows all it bills, unless it is asked to think; of any other nobody knows."""
    read = read_params(params, model=model)
    assert (read.model, read.hidden_output) == (name, hidden)


@pytest.mark.parametrize(
    ("client", "provider"),
    [("openai", "openai"), ("amazon_bedrock", "bedrock"), ("somebody", None), (None, None), ([], None)],
)
def test_who_bills_is_known_by_the_client(client: object, provider: str | None) -> None:
    """A client that may talk to anybody says nothing."""
    assert read_params({}, client=client).provider == provider


def test_a_cache_of_an_hour_is_seen_wherever_it_is_asked_for() -> None:
    """In the parameters, or deep in the messages."""
    cached = {"content": ({"type": "text", "cache_control": {"type": "ephemeral", "ttl": "1h"}},)}
    assert read_params({"system": [cached]}).hour_cache and read_params({}, [cached]).hour_cache
    assert not read_params({}, [{"content": "1h"}]).hour_cache


def test_what_is_read_can_be_reserved() -> None:
    """It names the arguments of `Session.reserve`; several calls are so many choices."""
    read = read_params(
        {"model": "gpt-4o", "max_tokens": 5, "n": 2, "service_tier": "flex"}, "hello", client="openai"
    )
    hold = Budget().session().reserve(**read.asked(calls=3))
    assert (hold.call.n, hold.call.max_output_tokens, hold.call.tier) == (6, 5, "flex")
    assert hold.call.provider == "openai"
    hold.release()
