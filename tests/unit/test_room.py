"""What an error answer says of the output cap that would be taken."""

from __future__ import annotations

import pytest

from bursar import Budget
from bursar.sdk.request import Sending
from bursar.sdk.room import room_left
from bursar.sdk.settlement import Background

from .sdk import Client, Options, read

_WINDOW = "This model's maximum context length is"


class BadRequest(Exception):
    """An error answer, with the body that an SDK keeps of it."""

    def __init__(self, message: str, status_code: object = 400, body: object = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.body = body


@pytest.mark.parametrize(
    ("message", "left"),
    [
        pytest.param(
            f"{_WINDOW} 8192 tokens. However, you requested 8256 tokens (64 in the messages, 8192 in the"
            " completion). Please reduce the length of the messages or completion.",
            8_128,
            id="openai",
        ),
        pytest.param(
            f"{_WINDOW} 8192 tokens. However, you requested 8500 tokens (64 in the messages, 244 in the"
            " functions, and 8192 in the completion).",
            7_884,
            id="openai-functions",
        ),
        pytest.param(
            f"{_WINDOW} 4097 tokens, however you requested 4116 tokens (3860 in your prompt; 256 for the"
            " completion). Please reduce your prompt; or completion length.",
            237,
            id="openai-completions",
        ),
        pytest.param(
            "max_tokens is too large: 40000. This model supports at most 16384 completion tokens, whereas you"
            " provided 40000.",
            16_384,
            id="openai-maximum",
        ),
        pytest.param(
            "max_output_tokens is too large: 40000. This model supports at most 16384 output tokens",
            16_384,
            id="responses-maximum",
        ),
        pytest.param(
            "Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 16384, but got 40000"
            " instead.",
            16_384,
            id="responses-range",
        ),
        pytest.param(
            "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8_192, id="deepseek"
        ),
        pytest.param(
            "max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens for claude-opus-4",
            32_000,
            id="anthropic-maximum",
        ),
        pytest.param(
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length"
            " or `max_tokens` and try again",
            11_760,
            id="anthropic",
        ),
        pytest.param(
            "'max_tokens' or 'max_completion_tokens' is too large: 64000. This model's maximum context length is"
            " 64001 tokens and your request has 24235 input tokens (64000 > 64001 - 24235). None",
            39_766,
            id="vllm",
        ),
        pytest.param(
            f"{_WINDOW} 128000 tokens. However, you requested 65535 output tokens and your prompt contains at"
            " least 62466 input tokens, for a total of at least 128001 tokens.",
            65_534,
            id="vllm-later",
        ),
        pytest.param(f"{_WINDOW} 8,192 tokens and your request has 1,192 input tokens", 7_000, id="commas"),
        pytest.param(f"{_WINDOW} 100 tokens and your request has 600 input tokens", None, id="no-room"),
        pytest.param(f"{_WINDOW} 100 tokens and your request has 100 input tokens", None, id="full"),
        pytest.param(f"{_WINDOW} 8192 tokens. Please reduce it.", None, id="no-prompt"),
        pytest.param("max_tokens is too large", None, id="no-number"),
        pytest.param("supports at most \u0669\u0669\u0669 completion tokens", None, id="other-digits"),
        pytest.param(f"supports at most 1{'0' * 99} completion tokens", None, id="a-huge-number"),
        pytest.param("supports at most ,,, completion tokens", None, id="commas-only"),
        pytest.param("Your input exceeds the context window of this model.", None, id="input-only"),
        pytest.param("", None, id="empty"),
    ],
)
def test_what_providers_say(message: str, left: int | None) -> None:
    """Read from the message, or from the body that the SDK keeps, in the words of each of them."""
    assert room_left(BadRequest(message)) == left
    assert room_left(BadRequest("Error code: 400", body={"error": {"message": message}})) == left


@pytest.mark.parametrize("status", [401, 422, 429, 500, None, "400"])
def test_another_error_says_nothing(status: object) -> None:
    """Only a request that was rejected may be repeated in another form."""
    message = "supports at most 500 completion tokens"
    assert room_left(BadRequest(message)) == 500
    assert room_left(BadRequest(message, status)) is None
    assert room_left(ValueError(message)) is None


def test_a_hostile_text_is_read_to_a_bounded_length() -> None:
    """However long it is, and whatever it repeats."""
    for piece in (f"{_WINDOW} 9 tokens", "9,", "exceed context limit: 9 + ", "9 > 9, which is the maximum"):
        assert room_left(BadRequest(piece * 200_000)) is None


class TooLarge(Exception):
    """The answer of a provider to a cap that it cannot give."""

    status_code = 400


@pytest.mark.parametrize(
    ("said", "repeated"),
    [
        ("This model's maximum context length is 400 tokens and your request has 100 input tokens", True),
        ("This model's maximum context length is 400 tokens and your request has 390 input tokens", False),
        ("This model supports at most 100000 completion tokens", False),
        ("Something else is wrong", False),
    ],
    ids=["room", "too little room", "more than is held", "another error"],
)
def test_a_request_is_sent_again_with_the_room_that_is_left(said: str, repeated: bool) -> None:
    """Once, on the same hold, where the cap was ours and what is left is of use."""
    session = Budget("$0.01").session()
    client = Client()
    options = Options("/chat/completions", model="gpt-4o", messages="hi")
    sending = Sending(client, session, read(client, options), options, Background(), read)
    sending.begin()
    held = sending.meter.hold
    assert sending.again(TooLarge(said)) is repeated
    if repeated:
        assert sending.options.json_data["max_tokens"] == 300 and sending.meter.hold is held
        assert sending.again(TooLarge(said)) is False
    sending.meter.abandon()
    assert session.reserved == 0


def test_a_cap_of_the_callers_that_is_too_large_stays_his() -> None:
    """Nothing was put in: the error is his."""
    session = Budget("$1").session()
    client = Client()
    options = Options("/chat/completions", model="gpt-4o", messages="hi", max_tokens=500)
    sending = Sending(client, session, read(client, options), options, Background(), read)
    sending.begin()
    said = "This model's maximum context length is 400 tokens and your request has 100 input tokens"
    assert sending.again(TooLarge(said)) is False
    sending.meter.abandon()
    assert session.reserved == 0
