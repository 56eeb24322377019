"""The provider knows how much each model reads and writes: it writes all of it if told to, and refuses more."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from bursar.pricing.bundled import bundled
from bursar.testing import Rate, Reply, ScriptedProvider
from bursar.testing._bill import LIST_PRICES

from .test_scripted_provider import CHAT, MESSAGES, QUESTION, RESPONSES, Client

COMPLETIONS = "/v1/completions"
ASKED = [{"role": "user", "content": QUESTION}]  # 11 tokens
INSTRUCT = {"model": "gpt-3.5-turbo-instruct", "prompt": QUESTION}  # 5 tokens


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(output_tokens="most") as provider:
        yield provider


@pytest.fixture
def client(provider: ScriptedProvider) -> Iterator[Client]:
    client = Client(provider)
    yield client
    client.connection.close()


def words(tokens: int) -> str:
    """Text that counts as so many tokens, where 4 bytes are one."""
    return "word" * tokens


# -- the price list -----------------------------------------------------------------------------------

NAMED = [
    *("gpt-5.2", "gpt-5.1", "gpt-5", "gpt-5-mini", "gpt-5-nano", "o1", "o1-mini", "o3", "o3-mini", "o3-pro"),
    *("o4-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini", "gpt-4-turbo", "gpt-4"),
    *("gpt-3.5-turbo", "gpt-35-turbo", "gpt-3.5-turbo-instruct", "claude-opus-4-6", "claude-opus-4-5"),
    *("claude-opus-4-1", "claude-opus-4", "claude-sonnet-4-6", "claude-sonnet-4-5", "claude-sonnet-4"),
    *("claude-haiku-4-5", "claude-3-7-sonnet", "claude-3-5-sonnet", "claude-3-5-haiku", "claude-3-opus"),
    *("claude-3-sonnet", "claude-3-haiku"),
]
MEMBERS = ("input", "output", "cached_input", "cache_write", "cache_write_1h", "audio_input")
SIZES = ("context_window", "max_output_tokens")

# What the two may disagree on: model -> member -> why.
DIFFERENT: dict[str, dict[str, str]] = {
    "claude-3-7-sonnet": {"max_output_tokens": "64,000, and 128,000 with the header of a beta"},
    "claude-3-sonnet": dict.fromkeys(
        ("cached_input", "cache_write", "cache_write_1h"), "it has no cache; the table prices one"
    ),
    "claude-sonnet-4-5": {"tiers": "above 200,000 tokens, which take the header of a beta"},
    "gpt-3.5-turbo-instruct": {"context_window": "the table has that of gpt-3.5-turbo"},
    "gpt-4o-transcribe": dict.fromkeys(SIZES, "a recording has no text to be counted"),
    "gpt-image-1": {"cached_input": "pictures are not made from a cache here"},
    "text-embedding-3-small": {"context_window": "an embedding is not refused here"},
}
UNLISTED = {"tts-1": "by the character; the table has prices by the token"}


def test_every_model_that_pages_name_is_on_the_list() -> None:
    """Those of chats and texts have both sizes; the list of them here is the list there."""
    sized = [name for name, rate in LIST_PRICES.items() if rate.context_window and rate.max_output_tokens]
    assert sized == NAMED


@pytest.mark.parametrize("model", [name for name in LIST_PRICES if name not in UNLISTED])
def test_the_list_differs_from_the_price_table_for_named_reasons_only(model: str) -> None:
    """Typed by hand and made from data sets: they agree but for what is named, and each reason is in use."""
    typed = LIST_PRICES[model]
    listed = bundled("anthropic" if model.startswith("claude") else "openai", model, None)
    assert listed is not None
    here: dict[str, Any] = {name: typed.usd(name) for name in MEMBERS}
    here |= {name: getattr(typed, name) for name in SIZES} | {"tiers": ()}
    there: dict[str, Any] = {name: getattr(listed, name) for name in (*SIZES, "tiers")}
    for name in MEMBERS:
        price = getattr(listed, name)
        there[name] = Fraction((listed.input or 0) if price is None else price, 10**12)
    assert {name for name in here if here[name] != there[name]} == set(DIFFERENT.get(model, ()))
    assert all(Fraction(usd) * 10**9 == listed.requests[tool] for tool, usd in typed.runs.items())


def test_a_rate_without_sizes_has_those_of_the_list(client: Client, provider: ScriptedProvider) -> None:
    """A changed price changes nothing else; sizes of its own count; a dated name has those of its base."""
    provider.rates["gpt-4o"] = Rate("5", "15")
    assert (
        client.send(CHAT, {"model": "gpt-4o", "messages": ASKED})[1]["usage"]["completion_tokens"] == 16_384
    )
    provider.rates["gpt-4o"] = Rate("5", "15", max_output_tokens=99)
    dated = {"model": "gpt-4o-2024-08-06", "messages": ASKED}
    assert client.send(CHAT, dated)[1]["usage"]["completion_tokens"] == 99
    for size in ("context_window", "max_output_tokens"):
        with pytest.raises(ValueError, match=f"{size} is -1, below one"):
            Rate("5", "15", **{size: -1})


# -- as much as each request allows -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "written"),
    [
        (CHAT, {"model": "gpt-5.2", "messages": ASKED}, 128_000),
        (CHAT, {"model": "gpt-5.2", "messages": ASKED, "max_completion_tokens": 500}, 500),
        (CHAT, {"model": "gpt-4o", "messages": ASKED, "max_tokens": 500, "n": 2}, 1_000),
        (CHAT, {"model": "gpt-4", "messages": ASKED}, 8_192 - 11),
        (COMPLETIONS, INSTRUCT, 16),
        (COMPLETIONS, {**INSTRUCT, "max_tokens": 4_092}, 4_092),
        (COMPLETIONS, {**INSTRUCT, "prompt": [QUESTION, "sky"], "max_tokens": 4_000}, 8_000),
        (RESPONSES, {"model": "o4-mini", "input": QUESTION}, 100_000),
        (RESPONSES, {"model": "o4-mini", "input": QUESTION, "max_output_tokens": 500}, 500),
        (MESSAGES, {"model": "claude-opus-4-1", "messages": ASKED, "max_tokens": 32_000}, 32_000),
        (MESSAGES, {"model": "claude-3-haiku-20240307", "messages": ASKED, "max_tokens": 1}, 1),
    ],
)
def test_it_writes_the_most_that_a_request_allows(
    path: str, body: dict[str, Any], written: int, client: Client, provider: ScriptedProvider
) -> None:
    """The cap, else the most of the model, else what is left of its window; whole and streamed, and cut off there."""
    whole = client.send(path, body)[1]
    asked = {"stream_options": {"include_usage": True}} if path in (CHAT, COMPLETIONS) else {}
    events = [event for event in client.stream(path, {**body, **asked}) if isinstance(event, dict)]
    assert [served.output_tokens for served in provider.served] == [written, written]
    if path in (CHAT, COMPLETIONS):
        assert {choice["finish_reason"] for choice in whole["choices"]} == {"length"}
        assert whole["usage"]["completion_tokens"] == events[-1]["usage"]["completion_tokens"] == written
        ends = {choice["finish_reason"] for event in events for choice in event["choices"]}
        assert ends == {None, "length"}
    elif path == RESPONSES:
        assert whole["incomplete_details"] == {"reason": "max_output_tokens"}
        last = events[-1]
        assert (last["type"], last["response"]["usage"]["output_tokens"]) == ("response.incomplete", written)
    else:
        assert (whole["stop_reason"], whole["usage"]["output_tokens"]) == ("max_tokens", written)
        last = next(event for event in events if event["type"] == "message_delta")
        assert (last["delta"]["stop_reason"], last["usage"]["output_tokens"]) == ("max_tokens", written)


def test_one_reply_may_write_the_most() -> None:
    """A script says so of one answer, and what was hidden in its input leaves less room."""
    with ScriptedProvider() as provider:
        client = Client(provider)
        provider.script(
            Reply("short", output_tokens="most"), Reply(output_tokens="most", hidden_tokens=150_000)
        )
        body = {"model": "o3", "messages": ASKED}
        written = [client.send(CHAT, body)[1]["usage"]["completion_tokens"] for _ in range(3)]
        assert written == [100_000, 200_000 - 150_000 - 11, 40]
        client.connection.close()


def test_the_end_of_the_window_has_a_word_of_its_own(client: Client, provider: ScriptedProvider) -> None:
    """Claude from 4.5 on takes a cap that reaches beyond its window, writes up to there, and says so."""
    long = [{"role": "user", "content": words(150_000)}]
    body = {"model": "claude-opus-4-5", "messages": long, "max_tokens": 64_000}
    answer = client.send(MESSAGES, body)[1]
    assert answer["stop_reason"] == "model_context_window_exceeded"
    assert answer["usage"]["input_tokens"] + answer["usage"]["output_tokens"] == 200_000
    provider.script(Reply(output_tokens="most", input_tokens=250_000))
    assert client.send(MESSAGES, {**body, "messages": ASKED})[1]["usage"]["output_tokens"] == 0


def test_what_writes_nothing_writes_nothing(client: Client) -> None:
    """An embedding has no output, however much it is told to write."""
    answer = client.send("/v1/embeddings", {"model": "text-embedding-3-small", "input": QUESTION})[1]
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"]


def test_the_most_of_an_unknown_size_is_a_fault_of_the_test() -> None:
    """Nothing bounds it: the request fails, and so does the `with` block, with what to write instead."""
    with pytest.raises(ValueError, match="home-made.*max_output_tokens"), ScriptedProvider() as provider:
        provider.rates["home-made"] = Rate("1", "1")
        provider.always(Reply(output_tokens="most"))
        client = Client(provider)
        body = {"model": "home-made", "messages": ASKED}
        assert client.send(CHAT, {**body, "max_tokens": 7})[1]["usage"]["completion_tokens"] == 7
        assert client.send(CHAT, body)[0] == 500
        client.connection.close()


def test_only_numbers_and_most_are_outputs() -> None:
    """Of a reply and of a provider."""
    with pytest.raises(ValueError, match="'much', neither a number nor 'most'"):
        Reply(output_tokens="much")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'most'"):
        ScriptedProvider(output_tokens=-1)


# -- what a model cannot do ---------------------------------------------------------------------------

LARGE = "is too large: {0}. This model supports at most {1} {2} tokens, whereas you provided {0}."
CONTEXT = "This model's maximum context length is {} tokens. However, "


@pytest.mark.parametrize(
    ("path", "body", "message", "param", "code"),
    [
        pytest.param(
            CHAT,
            {"model": "gpt-4o", "messages": ASKED, "max_tokens": 16_385},
            "max_tokens " + LARGE.format(16_385, 16_384, "completion"),
            "max_tokens",
            "invalid_value",
            id="chat-cap",
        ),
        pytest.param(
            CHAT,
            {"model": "gpt-5-mini", "messages": ASKED, "max_completion_tokens": 128_001},
            "max_completion_tokens " + LARGE.format(128_001, 128_000, "completion"),
            "max_completion_tokens",
            "invalid_value",
            id="chat-completion-cap",
        ),
        pytest.param(
            RESPONSES,
            {"model": "o1", "input": QUESTION, "max_output_tokens": 100_001},
            "max_output_tokens " + LARGE.format(100_001, 100_000, "output"),
            "max_output_tokens",
            "invalid_value",
            id="responses-cap",
        ),
        pytest.param(
            CHAT,
            {"model": "gpt-4", "messages": ASKED, "max_tokens": 8_192},
            CONTEXT.format(8_192)
            + "you requested 8203 tokens (11 in the messages, 8192 in the completion). "
            + "Please reduce the length of the messages or completion.",
            "messages",
            "context_length_exceeded",
            id="chat-prompt-and-cap",
        ),
        pytest.param(
            CHAT,
            {"model": "gpt-4", "messages": [{"role": "user", "content": words(8_187)}], "max_tokens": 1},
            CONTEXT.format(8_192)
            + "your messages resulted in 8193 tokens. Please reduce the length of the messages.",
            "messages",
            "context_length_exceeded",
            id="chat-prompt",
        ),
        pytest.param(
            CHAT,
            {"model": "gpt-5.2", "messages": [{"role": "user", "content": words(299_994)}]},
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens. "
            "Please reduce the length of the messages.",
            "messages",
            "context_length_exceeded",
            id="chat-input",
        ),
        pytest.param(
            COMPLETIONS,
            {**INSTRUCT, "prompt": [QUESTION, "sky"], "max_tokens": 4_096},
            "This model's maximum context length is 4097 tokens, however you requested 4101 tokens (5 in your "
            "prompt; 4096 for the completion). Please reduce your prompt; or completion length.",
            None,
            None,
            id="completions",
        ),
        pytest.param(
            RESPONSES,
            {"model": "gpt-5.2", "input": words(272_000)},
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "input",
            "context_length_exceeded",
            id="responses-input",
        ),
        *(
            pytest.param(
                CHAT,
                {"model": model, "messages": ASKED, "max_tokens": 10},
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "max_tokens",
                "unsupported_parameter",
                id=model,
            )
            for model in ("o1", "o3-mini", "o4-mini", "gpt-5", "gpt-5.2-2025-12-11")
        ),
    ],
)
def test_openai_refuses_it_in_its_own_words(
    path: str, body: dict[str, Any], message: str, param: str | None, code: str | None, client: Client,
    provider: ScriptedProvider,
) -> None:  # fmt: skip
    """Status 400, nothing on the bill, and no scripted reply is used up."""
    provider.script(Reply("for the next"))
    told = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    assert client.send(path, body) == (400, {"error": told})
    assert (provider.hits, provider.calls) == (1, 0) and len(provider._queue) == 1


@pytest.mark.parametrize(
    ("model", "content", "cap", "message"),
    [
        (
            "claude-opus-4-5-20251101",
            QUESTION,
            64_001,
            "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for {model}",
        ),
        ("claude-haiku-4-5", words(200_000), 1, "prompt is too long: 200009 tokens > 200000 maximum"),
        (
            "claude-sonnet-4-20250514",
            words(150_000),
            64_000,
            "input length and `max_tokens` exceed context limit: 150009 + 64000 > 200000, decrease input length or `max_tokens` and try again",
        ),
    ],
    ids=["cap", "prompt", "prompt-and-cap"],
)
def test_anthropic_refuses_it_in_its_own_words(
    model: str, content: str, cap: int, message: str, client: Client, provider: ScriptedProvider
) -> None:
    """Status 400, and nothing on the bill."""
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": cap}
    status, error = client.send(MESSAGES, body)
    told = {"type": "invalid_request_error", "message": message.format(model=model)}
    assert (status, error["error"]) == (400, told)
    assert provider.calls == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"model": "gpt-4", "messages": ASKED, "max_tokens": 8_192 - 11}),
        (CHAT, {"model": "gpt-4", "messages": [{"role": "user", "content": words(8_185)}]}),
        (CHAT, {"model": "gpt-5.2", "messages": [{"role": "user", "content": words(271_994)}]}),
        (COMPLETIONS, {**INSTRUCT, "max_tokens": 4_092}),
        (COMPLETIONS, {**INSTRUCT, "prompt": ["word" * 3_000] * 2, "max_tokens": 1_000}),
        (RESPONSES, {"model": "gpt-4o", "input": words(120_000), "max_output_tokens": 16_384}),
        (MESSAGES, {"model": "claude-opus-4-1", "messages": ASKED, "max_tokens": 32_000}),
        (MESSAGES, {"model": "claude-sonnet-4-5", "messages": ASKED, "max_tokens": 64_000}),
    ],
)
def test_what_just_fits_is_answered(path: str, body: dict[str, Any], client: Client) -> None:
    """One token less than what is refused; several prompts have a window each."""
    assert client.send(path, body)[0] == 200


def test_a_deployment_has_the_sizes_and_the_words_of_its_model() -> None:
    """Whatever name is in the body: Azure's client sends that of the deployment."""
    with ScriptedProvider(deployments={"my-thinker": "o3-mini"}, output_tokens="most") as provider:
        client = Client(provider)
        path = "/openai/deployments/my-thinker/chat/completions"
        body = {"model": "my-thinker", "messages": ASKED}
        status, error = client.send(path, {**body, "max_tokens": 10})
        assert (status, error["error"]["code"]) == (400, "unsupported_parameter")
        assert client.send(path, body)[1]["usage"]["completion_tokens"] == 100_000
        client.connection.close()
