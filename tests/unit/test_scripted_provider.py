"""The provider on this machine, asked over plain HTTP: its shapes, its rejections, its bill."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from bursar.testing import Rate, Reply, Request, ScriptedProvider, ToolCall
from bursar.testing._audio import Speech
from bursar.testing._openai import Embeddings, Images

CHAT, RESPONSES, EMBEDDINGS, MESSAGES = (
    *("/v1/chat/completions", "/v1/responses"),
    *("/v1/embeddings", "/v1/messages"),
)
QUESTION = "Why is the sky blue?"  # 20 bytes: 5 tokens, and 6 that frame one message
ASKED = [{"role": "user", "content": QUESTION}]
CHAT_BODY = {"model": "gpt-4o", "messages": ASKED}
RESPONSES_BODY = {"model": "gpt-4o", "input": QUESTION}
EMBEDDINGS_BODY = {"model": "text-embedding-3-small", "input": QUESTION}
MESSAGES_BODY = {"model": "claude-haiku-4-5", "messages": ASKED, "max_tokens": 100}
BODIES = {
    CHAT: CHAT_BODY,
    RESPONSES: RESPONSES_BODY,
    EMBEDDINGS: EMBEDDINGS_BODY,
    MESSAGES: MESSAGES_BODY,
}
KEY = {"Authorization": "Bearer none"}
TOOLS = [ToolCall("look_up", {"place": "Oslo"}), ToolCall("stop")]


class Client:
    """One connection that is kept alive."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=10)

    def send(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> tuple[int, Any]:
        """Status and document."""
        payload = body if isinstance(body, bytes | str) else json.dumps(body)
        self.connection.request(method, path, payload, {**KEY, **headers})
        with self.connection.getresponse() as answer:
            self.headers = answer.headers
            return answer.status, json.loads(answer.read())

    def stream(self, path: str, body: dict[str, Any]) -> list[Any]:
        """The data of each event; at a lost connection, of those that came through."""
        self.connection.request("POST", path, json.dumps({**body, "stream": True}), KEY)
        with self.connection.getresponse() as answer:
            assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream")
            try:
                payload = answer.read()
            except http.client.IncompleteRead as lost:
                payload = lost.partial + b"LOST\n\n"
                self.connection.close()
        texts = [event.rpartition("data: ")[2] for event in payload.decode().split("\n\n")[:-1]]
        return [json.loads(text) if text.startswith("{") else text for text in texts]

    def disappear(self) -> None:
        """Reset the connection: no goodbye."""
        assert self.connection.sock
        self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def ask(provider: ScriptedProvider, path: str, body: Any) -> tuple[int, Any]:
    """Status and document, over a connection of its own."""
    client = Client(provider)
    try:
        return client.send(path, body)
    finally:
        client.connection.close()


def talk(provider: ScriptedProvider, request: bytes) -> bytes:
    """All that comes back for these bytes, until the server has nothing more to say."""
    with socket.create_connection(("127.0.0.1", provider.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def client(provider: ScriptedProvider) -> Iterator[Client]:
    client = Client(provider)
    yield client
    client.connection.close()


# -- shapes ---------------------------------------------------------------------------------------


def test_a_chat_completion(client: Client) -> None:
    """Text, usage and finish reason where OpenAI's SDK looks for them."""
    status, answer = client.send(CHAT, CHAT_BODY)
    assert (status, answer["object"], answer["model"]) == (200, "chat.completion", "gpt-4o")
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["choices"][0]["message"]["content"].startswith("The sky")
    assert answer["usage"]["prompt_tokens"] == 11 and answer["usage"]["completion_tokens"] == 40
    assert "service_tier" not in answer


def test_a_response(client: Client) -> None:
    """An output message, and the usage in the words of Responses."""
    status, answer = client.send(RESPONSES, RESPONSES_BODY)
    assert (status, answer["object"], answer["status"]) == (200, "response", "completed")
    assert answer["output"][0]["content"][0]["text"].startswith("The sky")
    assert answer["usage"]["output_tokens"] == 40 and answer["incomplete_details"] is None


def test_a_message(client: Client, provider: ScriptedProvider) -> None:
    """Anthropic reports the input without what a cache read or wrote."""
    reply = Reply(
        input_tokens=1000, cached_input_tokens=300, cache_write_tokens=200, cache_write_1h_tokens=100
    )
    provider.script(reply)
    _, answer = client.send(MESSAGES, MESSAGES_BODY, **{"x-api-key": "none"})
    assert answer["stop_reason"] == "end_turn" and answer["content"][0]["type"] == "text"
    assert answer["usage"]["input_tokens"] == 400 and answer["usage"]["cache_read_input_tokens"] == 300
    assert answer["usage"]["cache_creation_input_tokens"] == 300
    served = provider.served[0]
    assert (served.cached_input_tokens, served.cache_write_tokens) == (300, 200)
    assert (served.cache_write_1h_tokens, served.reasoning_tokens) == (100, 0)


@pytest.mark.parametrize(
    ("given", "vectors"), [("a", 1), (["a", "b"], 2), ([7, 8, 9], 1), ([[7], [8, 9]], 2)]
)
def test_embeddings(client: Client, given: Any, vectors: int) -> None:
    """Text, texts, tokens and lists of tokens; floats, or base64 as the SDK asks for it."""
    _, answer = client.send(EMBEDDINGS, {**EMBEDDINGS_BODY, "input": given, "dimensions": 3})
    assert [one["embedding"] for one in answer["data"]] == [[1.0, 0.0, 0.0]] * vectors
    assert set(answer["usage"]) == {"prompt_tokens", "total_tokens"}
    _, answer = client.send(EMBEDDINGS, {**EMBEDDINGS_BODY, "input": given, "encoding_format": None})
    assert len(answer["data"][-1]["embedding"]) == 4
    _, answer = client.send(EMBEDDINGS, {**EMBEDDINGS_BODY, "input": given, "encoding_format": "base64"})
    packed = base64.b64decode(answer["data"][0]["embedding"])
    assert struct.unpack("<4f", packed) == (1.0, 0.0, 0.0, 0.0)


def test_embeddings_have_no_stream(client: Client, provider: ScriptedProvider) -> None:
    """A request for one is rejected before it is billed, so there are no events to send."""
    assert client.send(EMBEDDINGS, {**EMBEDDINGS_BODY, "stream": True})[0] == 400
    assert provider.calls == 0 and list(Embeddings().events(None)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [True, False])
def test_a_chat_stream_tells_its_usage_only_when_asked(client: Client, asked: bool) -> None:
    """Then each chunk has a null, and one more without choices has the counts."""
    *chunks, done = client.stream(CHAT, CHAT_BODY | {"stream_options": {"include_usage": asked}, "n": 2})
    assert done == "[DONE]" and chunks[0]["object"] == "chat.completion.chunk"
    counts = [chunk["usage"] for chunk in chunks if "usage" in chunk]
    if asked:
        assert counts[:-1] == [None] * (len(chunks) - 1) and chunks[-1]["choices"] == []
        assert counts[-1]["completion_tokens"] == 80
    else:
        assert counts == [] and chunks[-1]["choices"][0]["finish_reason"] == "stop"
    said = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == 1]
    assert "".join(choice["delta"].get("content", "") for choice in said) == Reply().text


def test_a_stream_of_responses_has_every_event(client: Client) -> None:
    """In order and numbered, with the usage in the last."""
    events = client.stream(RESPONSES, RESPONSES_BODY)
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *["output_text.delta"] * 5,
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["response"]["usage"] is None
    assert events[-1]["response"]["usage"]["output_tokens"] == 40


def test_a_stream_of_messages_has_every_event(client: Client) -> None:
    """The input is told at the start, all counts at the end."""
    events = client.stream(MESSAGES, MESSAGES_BODY)
    assert [event["type"] for event in events] == [
        *("message_start", "ping", "content_block_start"),
        *["content_block_delta"] * 5,
        *("content_block_stop", "message_delta", "message_stop"),
    ]
    assert events[0]["message"]["usage"]["output_tokens"] == 1
    assert events[-2]["usage"]["output_tokens"] == 40


def test_tools_are_called_on_every_surface(client: Client, provider: ScriptedProvider) -> None:
    """Names and arguments, whole and streamed."""
    provider.always(Reply(tool_calls=TOOLS))
    message = client.send(CHAT, CHAT_BODY)[1]["choices"][0]
    assert message["finish_reason"] == "tool_calls" and message["message"]["content"] is None
    assert json.loads(message["message"]["tool_calls"][0]["function"]["arguments"]) == {"place": "Oslo"}
    chunks = client.stream(CHAT, CHAT_BODY)
    calls = [call for chunk in chunks[1:3] for call in chunk["choices"][0]["delta"]["tool_calls"]]
    assert [(call["index"], call["function"]["name"]) for call in calls] == [(0, "look_up"), (1, "stop")]
    item = client.send(RESPONSES, RESPONSES_BODY)[1]["output"][0]
    assert item["type"] == "function_call" and json.loads(item["arguments"]) == {"place": "Oslo"}
    items = client.stream(RESPONSES, RESPONSES_BODY)[-1]["response"]["output"]
    assert [item["name"] for item in items] == ["look_up", "stop"]
    answer = client.send(MESSAGES, MESSAGES_BODY)[1]
    assert answer["stop_reason"] == "tool_use" and answer["content"][0]["input"] == {"place": "Oslo"}
    deltas = [
        event["delta"]
        for event in client.stream(MESSAGES, MESSAGES_BODY)
        if "index" in event and "delta" in event
    ]
    assert [json.loads(delta["partial_json"]) for delta in deltas] == [{"place": "Oslo"}, {}]


def test_the_models_are_listed_for_nothing(client: Client, provider: ScriptedProvider) -> None:
    """A free endpoint is neither a hit nor a call."""
    _, answer = client.send("/v1/models?limit=9", method="GET")
    assert {model["id"] for model in answer["data"]} == set(provider.rates)
    assert provider.hits == provider.calls == 0


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/audio/translations", "/v1/messages/batches"])
def test_unknown_paths_are_not_found(
    client: Client, provider: ScriptedProvider, method: str, path: str
) -> None:
    """As JSON, in the provider's shape; the connection stays good and nothing is counted."""
    status, answer = client.send(path, {"model": "gpt-4o"}, method)
    assert status == 404 and answer.get("type") == ("error" if "messages" in path else None)
    assert method in answer["error"]["message"] and provider.hits == 0
    assert client.send(CHAT, CHAT_BODY)[0] == 200


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize(("asked", "told"), [("flex", "flex"), ("auto", "default")])
def test_the_service_tier_is_told_when_it_is_asked_for(
    client: Client, path: str, asked: str, told: str
) -> None:
    """``auto`` comes back as the tier that it became."""
    assert client.send(path, BODIES[path] | {"service_tier": asked})[1]["service_tier"] == told


def test_the_script_may_say_another_tier(client: Client, provider: ScriptedProvider) -> None:
    """A provider may serve at another tier than the one asked for."""
    provider.always(Reply(service_tier="priority"))
    assert client.send(CHAT, CHAT_BODY | {"service_tier": "flex"})[1]["service_tier"] == "priority"
    assert client.send(MESSAGES, MESSAGES_BODY)[1]["usage"]["service_tier"] == "priority"


def test_a_snapshot_answers_and_costs_what_its_base_costs() -> None:
    """Configured, asked for by its date, or dated in Anthropic's way."""
    with ScriptedProvider(snapshots={"gpt-4o": "gpt-4o-latest"}) as provider:
        names = [
            ask(provider, CHAT, {**CHAT_BODY, "model": model})[1]["model"]
            for model in ("gpt-4o", "gpt-4o-latest", "gpt-4o-2024-08-06", "gpt-4o-20240806")
        ]
        assert names == ["gpt-4o-latest", "gpt-4o-latest", "gpt-4o-2024-08-06", "gpt-4o-20240806"]
        assert {served.cost_nanos for served in provider.served} == {427_500}


# -- rejections -------------------------------------------------------------------------------------

REJECTED: list[tuple[str, dict[str, Any], str]] = [
    (CHAT, {"model": None}, "model"),
    (CHAT, {"messages": []}, "messages"),
    (CHAT, {"messages": ["hello"]}, "role"),
    (CHAT, {"messages": [{"role": "oracle", "content": "hello"}]}, "role"),
    (CHAT, {"messages": [{"role": ["user"], "content": "hello"}]}, "role"),
    (CHAT, {"max_tokens": 5, "max_completion_tokens": 5}, "max_completion_tokens"),
    (CHAT, {"model": "o3", "max_tokens": 5}, "max_tokens"),
    (CHAT, {"max_completion_tokens": 0}, "max_completion_tokens"),
    (CHAT, {"n": 0}, "'n'"),
    (CHAT, {"n": True}, "'n'"),
    (CHAT, {"n": 129}, "'n'"),
    (CHAT, {"stream_options": {"include_usage": True}}, "stream_options"),
    (CHAT, {"stream_options": [], "stream": True}, "stream_options"),
    (CHAT, {"tools": {"name": "look_up"}}, "tools"),
    (RESPONSES, {"input": None}, "input"),
    (RESPONSES, {"input": 5}, "input"),
    (RESPONSES, {"max_output_tokens": "many"}, "max_output_tokens"),
    (RESPONSES, {"max_output_tokens": 15}, "max_output_tokens"),
    (EMBEDDINGS, {"input": ""}, "input"),
    (EMBEDDINGS, {"encoding_format": "hex"}, "encoding_format"),
    (EMBEDDINGS, {"encoding_format": []}, "encoding_format"),
    (EMBEDDINGS, {"dimensions": 0}, "dimensions"),
    (EMBEDDINGS, {"dimensions": 3073}, "dimensions"),
    (MESSAGES, {"messages": [{"role": "system", "content": "hello"}]}, "role"),
    (MESSAGES, {"max_tokens": None}, "max_tokens"),
    (MESSAGES, {"thinking": "hard"}, "thinking"),
    (MESSAGES, {"thinking": {"type": "enabled"}}, "budget_tokens"),
    (MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 1023}, "max_tokens": 5000}, "budget_tokens"),
    (MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2000}, "budget_tokens"),
]


@pytest.mark.parametrize(("path", "change", "named"), REJECTED)
def test_what_the_real_ones_reject_is_rejected(
    client: Client, provider: ScriptedProvider, path: str, change: dict[str, Any], named: str
) -> None:
    """With status 400 and the member's name; it is a hit, it takes no scripted reply, it costs nothing."""
    provider.script(Reply("scripted"))
    status, answer = client.send(path, BODIES[path] | change)
    assert status == 400 and named in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert (provider.hits, provider.calls, provider.served) == (1, 0, ())
    assert "scripted" in json.dumps(client.send(CHAT, CHAT_BODY)[1])


def test_thinking_within_the_cap_is_taken(client: Client) -> None:
    """From 1024 tokens on, below the cap; and thinking may be switched off."""
    for thinking in ({"type": "enabled", "budget_tokens": 1024}, {"type": "disabled"}):
        assert client.send(MESSAGES, MESSAGES_BODY | {"max_tokens": 1025, "thinking": thinking})[0] == 200


@pytest.mark.parametrize(
    ("path", "kind"), [(CHAT, "invalid_request_error"), (MESSAGES, "authentication_error")]
)
def test_a_key_is_asked_for(client: Client, path: str, kind: str) -> None:
    """An empty header is no key."""
    status, answer = client.send(path, BODIES[path], Authorization="")
    assert status == 401 and answer["error"]["type"] == kind


@pytest.mark.parametrize(("path", "kind"), [(CHAT, "invalid_request_error"), (MESSAGES, "not_found_error")])
def test_an_unlisted_model_is_not_found(client: Client, path: str, kind: str) -> None:
    """No price, no answer: nothing can be served that is not billed right."""
    status, answer = client.send(path, BODIES[path] | {"model": "gpt-99"})
    assert status == 404 and answer["error"]["type"] == kind
    assert answer["error"].get("code") == ("model_not_found" if path == CHAT else None)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff", b"NaN", b"[" * 100_000])
def test_only_a_json_object_is_a_request(client: Client, payload: bytes) -> None:
    """Everything else is a 400, however deep it is, and the connection stays good."""
    assert client.send(CHAT, payload)[0] == 400
    assert client.send(CHAT, CHAT_BODY)[0] == 200


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/models"])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: long", 400),
        (b"Content-Length: -5", 400),
        (b"Content-Length: 2\r\nContent-Length: 3", 400),
        (b"Content-Length: 67108865", 413),
        (b"Content-Length: " + b"9" * 5_000, 413),
        (b"Transfer-Encoding: chunked", 411),
    ],
)
def test_a_body_without_a_proper_length_ends_the_connection(
    provider: ScriptedProvider, path: str, head: bytes, status: int
) -> None:
    """It is not read, so nothing can follow it; it is no hit, and the next client is served."""
    method = b"GET" if path == "/v1/models" else b"POST"
    request = b"%s %s HTTP/1.1\r\nAuthorization: x\r\n%s\r\n\r\n" % (method, path.encode(), head)
    told = talk(provider, request)
    assert told.startswith(b"HTTP/1.1 %d " % status) and b"\r\nconnection: close\r\n" in told
    assert (b'"type": "error"' in told) is (path == MESSAGES)
    assert provider.hits == 0 and ask(provider, CHAT, CHAT_BODY)[0] == 200


def test_a_text_completion_of_anthropics_bills_and_does_not_say(
    client: Client, provider: ScriptedProvider
) -> None:
    """Whole, as a stream, and rejected without its cap."""
    body = {"model": MESSAGES_BODY["model"], "prompt": "Why is the sky blue?", "max_tokens_to_sample": 50}
    status, answer = client.send("/v1/complete", body)
    assert (status, answer["type"], "usage" in answer) == (200, "completion", False)
    assert answer["completion"].startswith("The sky") and provider.bill_nanos > 0
    events = client.stream("/v1/complete", body)
    assert "".join(event["completion"] for event in events) == answer["completion"]
    assert events[-1]["stop_reason"] == "stop_sequence" and provider.calls == 2
    status, answer = client.send("/v1/complete", body | {"max_tokens_to_sample": None})
    assert status == 400 and "max_tokens_to_sample" in answer["error"]["message"]


def test_anthropic_counts_tokens_for_nothing(client: Client, provider: ScriptedProvider) -> None:
    """It is no call, and costs nothing."""
    assert client.send("/v1/messages/count_tokens", MESSAGES_BODY)[1] == {"input_tokens": 12}
    assert (provider.calls, provider.bill_nanos) == (0, 0)


def test_a_refusal_of_anthropics_has_no_content(client: Client, provider: ScriptedProvider) -> None:
    """It says so by its reason alone."""
    provider.script(Reply("", finish_reason="refusal"))
    answer = client.send(MESSAGES, MESSAGES_BODY)[1]
    assert (answer["content"], answer["stop_reason"]) == ([], "refusal")


def test_an_error_within_a_stream(client: Client, provider: ScriptedProvider) -> None:
    """It is the last event of an answer that began well."""
    provider.script(Reply("The sky", drop="error_event"))
    events = client.stream(MESSAGES, MESSAGES_BODY)
    assert events[0]["type"] == "message_start"
    assert (events[-1]["type"], events[-1]["error"]["type"]) == ("error", "overloaded_error")


@pytest.mark.parametrize("path", [CHAT, "/v1/images/edits", "/v1/moderations"])
def test_half_a_request_is_none(provider: ScriptedProvider, path: str) -> None:
    """A client that leaves before the end of its body gets no answer and is no hit."""
    request = b"POST %s HTTP/1.1\r\nAuthorization: x\r\nContent-Length: 9\r\n\r\n{" % path.encode()
    assert talk(provider, request) == b"" and provider.hits == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"HEAD /v1/models HTTP/1.1\r\n\r\n", b"501"),
        (b"OPTIONS /v1/models HTTP/1.1\r\n\r\n", b"501"),
        (b"GET / HTTP/9\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\n", b"505"),
        (b"\x16\x03\x01\x02\r\n\r\n", b"400"),
        (b"\r\n", b""),
        (b"", b""),
    ],
)
def test_what_is_no_request_does_no_harm(
    provider: ScriptedProvider, capsys: pytest.CaptureFixture[str], request_: bytes, status: bytes
) -> None:
    """Other methods, other protocols, noise, nothing: an error at the most, and the next client is served."""
    assert status in talk(provider, request_)
    assert ask(provider, CHAT, CHAT_BODY)[0] == 200 and provider.hits == 1
    provider.stop()
    assert capsys.readouterr().err == ""


# -- counting and the bill ----------------------------------------------------------------------------


def test_the_bill_of_one_call_by_hand(client: Client, provider: ScriptedProvider) -> None:
    """11 x $2.50 and 40 x $10 per million are $0.0004275, on the bill as in the usage."""
    client.send(CHAT, CHAT_BODY)
    assert provider.bill_nanos == 11 * 2_500 + 40 * 10_000 == 427_500
    assert provider.bill == Decimal("0.0004275")
    (served,) = provider.served
    assert (served.path, served.model, served.stream, served.status) == (CHAT, "gpt-4o", False, 200)
    assert (served.input_tokens, served.output_tokens, served.billed) == (11, 40, True)
    assert served.body["messages"] == ASKED and served.dropped is None and served.at > 1_700_000_000


def test_every_class_of_tokens_has_its_own_rate(client: Client, provider: ScriptedProvider) -> None:
    """Fresh, cached, written for minutes, written for an hour; sound in and out."""
    provider.script(
        Reply(input_tokens=1000, cached_input_tokens=300, cache_write_tokens=200, cache_write_1h_tokens=100)
    )
    client.send(MESSAGES, MESSAGES_BODY)
    assert provider.bill_nanos == 400 * 1_000 + 300 * 100 + 200 * 1_250 + 100 * 2_000 + 40 * 5_000
    provider.reset()
    provider.rates["gpt-4o"] = Rate("1", "2", audio_input="10", audio_output="20")
    provider.script(
        Reply(input_tokens=100, audio_input_tokens=30, audio_output_tokens=10, reasoning_tokens=5)
    )
    usage = client.send(CHAT, CHAT_BODY)[1]["usage"]
    assert provider.bill_nanos == 70 * 1_000 + 30 * 10_000 + 30 * 2_000 + 10 * 20_000
    assert usage["prompt_tokens_details"]["audio_tokens"] == 30
    assert usage["completion_tokens_details"]["audio_tokens"] == 10
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 5


def test_the_bill_is_the_sum_of_its_calls(client: Client, provider: ScriptedProvider) -> None:
    """By exact fractions: awkward rates, three surfaces, each call rounded up by itself."""
    provider.rates = {
        "gpt-4o": Rate("0.333333333333", "1.1", cached_input=0.07),
        "claude-haiku-4-5": Rate("1e-4", "0.0007", cache_write="0.0003", cache_write_1h="0.0009"),
        "text-embedding-3-small": Rate("0.0000001", "0"),
    }
    provider.script(
        Reply(input_tokens=1_001, cached_input_tokens=333, output_tokens=7),
        Reply(input_tokens=999, cache_write_tokens=11, cache_write_1h_tokens=13, output_tokens=17),
        Reply(input_tokens=1),
    )
    for path in (CHAT, MESSAGES, EMBEDDINGS):
        client.send(path, BODIES[path])
    million = 10**6
    owed = [
        (668 * Fraction("0.333333333333") + 333 * Fraction("0.07") + 7 * Fraction("1.1")) / million,
        (975 * Fraction("1e-4") + 11 * Fraction("0.0003") + 13 * Fraction("0.0009") + 17 * Fraction("0.0007"))
        / million,
        Fraction("0.0000001") / million,
    ]
    nanos = [-(-usd.numerator * 10**9 // usd.denominator) for usd in owed]
    assert [served.cost_nanos for served in provider.served] == nanos == [253_677, 125, 1]
    assert provider.bill_nanos == 253_803 and provider.bill == Decimal("0.000253803")


def test_prices_may_change_on_the_fly(client: Client, provider: ScriptedProvider) -> None:
    """The next call costs the new price, and what is on the bill stays."""
    client.send(CHAT, CHAT_BODY)
    provider.rates["gpt-4o"] = Rate("5", "20")
    client.send(CHAT, CHAT_BODY)
    del provider.rates["gpt-4o"]
    assert client.send(CHAT, CHAT_BODY)[0] == 404
    assert [served.cost_nanos for served in provider.served] == [427_500, 855_000]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"input": "-1"}, "input is '-1'"), ({"cached_input": -0.5}, "cached_input"), ({"output": "$1"}, "1")],
)
def test_a_price_that_is_none_is_refused(wrong: dict[str, Any], why: str) -> None:
    """Where it is typed, and not in the middle of a call."""
    with pytest.raises(ValueError, match=why):
        Rate(**{"input": "1", "output": "2"} | wrong)


@pytest.mark.parametrize(
    ("path", "details"), [(CHAT, "prompt_tokens_details"), (RESPONSES, "input_tokens_details")]
)
def test_what_was_written_to_a_cache_is_told(
    client: Client, provider: ScriptedProvider, path: str, details: str
) -> None:
    """OpenAI tells one number, whatever the lifetime."""
    provider.script(Reply(cached_input_tokens=5, cache_write_tokens=20, cache_write_1h_tokens=3))
    told = client.send(path, BODIES[path])[1]["usage"][details]
    assert (told["cached_tokens"], told["cache_write_tokens"]) == (5, 23)


def test_a_rate_that_is_left_out_is_that_of_the_plain_tokens(
    client: Client, provider: ScriptedProvider
) -> None:
    """Cached input and sound cost what text costs, unless the price list says otherwise."""
    provider.rates["gpt-4o"] = Rate(1, 2)
    provider.script(
        Reply(input_tokens=100, cached_input_tokens=50, audio_input_tokens=30, audio_output_tokens=40)
    )
    client.send(CHAT, CHAT_BODY)
    assert provider.bill_nanos == 100 * 1_000 + 40 * 2_000


def test_a_call_is_rounded_up_once(client: Client, provider: ScriptedProvider) -> None:
    """11 tokens at a tenth of a nano-dollar and 3 at a third of one are 2.1, that is 3."""
    provider.rates["gpt-4o"] = Rate("0.0001", "0.000333333333333333333333")
    client.send(CHAT, {**CHAT_BODY, "max_tokens": 3})
    assert provider.bill_nanos == 3


def test_a_free_model_is_a_call_at_no_cost(client: Client, provider: ScriptedProvider) -> None:
    """It is on the bill, at $0."""
    provider.rates["home-made"] = Rate("0", "0")
    client.send(CHAT, {**CHAT_BODY, "model": "home-made"})
    assert (provider.calls, provider.bill) == (1, 0)


def test_who_answers_is_billed(client: Client, provider: ScriptedProvider) -> None:
    """A router that answers with a cheaper model bills the cheaper one; an unlisted name bills as asked."""
    provider.script(Reply(model="gpt-4o-mini-2024-07-18"), Reply(model="private"))
    assert client.send(CHAT, CHAT_BODY)[1]["model"] == "gpt-4o-mini-2024-07-18"
    assert client.send(CHAT, CHAT_BODY)[1]["model"] == "private"
    assert [served.cost_nanos for served in provider.served] == [11 * 150 + 40 * 600, 427_500]


@pytest.mark.parametrize(
    ("path", "cap", "where", "why"),
    [
        (CHAT, "max_tokens", "finish_reason", "length"),
        (CHAT, "max_completion_tokens", "finish_reason", "length"),
        (RESPONSES, "max_output_tokens", "status", "incomplete"),
        (MESSAGES, "max_tokens", "stop_reason", "max_tokens"),
    ],
)
def test_the_cap_cuts_the_output_off(
    client: Client, provider: ScriptedProvider, path: str, cap: str, where: str, why: str
) -> None:
    """One token short it is cut and says so; just long enough it is not."""
    for limit, cut in ((39, True), (40, False)):
        answer = client.send(path, BODIES[path] | {cap: limit})[1]
        said = answer["choices"][0] if path == CHAT else answer
        assert (said[where] == why) is cut and provider.served[-1].output_tokens == limit
    if path == RESPONSES:
        assert client.stream(path, BODIES[path] | {cap: 39})[-1]["type"] == "response.incomplete"


def test_each_choice_is_billed(client: Client, provider: ScriptedProvider) -> None:
    """The cap holds for each of n."""
    answer = client.send(CHAT, {**CHAT_BODY, "n": 3, "max_tokens": 10})[1]
    assert len(answer["choices"]) == 3 and answer["usage"]["completion_tokens"] == 30
    assert provider.served[0].output_tokens == 30


def test_hidden_reasoning_is_output(client: Client, provider: ScriptedProvider) -> None:
    """It is part of the output, makes it at least as long, and ends at the cap."""
    provider.always(Reply(output_tokens=10, reasoning_tokens=60))
    details = client.send(CHAT, CHAT_BODY)[1]["usage"]
    assert details["completion_tokens"] == details["completion_tokens_details"]["reasoning_tokens"] == 60
    client.send(CHAT, {**CHAT_BODY, "max_completion_tokens": 50})
    assert provider.served[-1].reasoning_tokens == provider.served[-1].output_tokens == 50


def test_the_input_is_counted_by_its_bytes() -> None:
    """UTF-8, tools and formats as compact JSON, pictures flat, 3 a message and 3 more."""
    tools = [{"type": "function", "function": {"name": "f"}}]  # 45 bytes as compact JSON
    picture = {"type": "image_url", "image_url": {"url": "data:," + "A" * 10_000}}
    bodies: list[tuple[Any, dict[str, Any], int]] = [
        ("Привет", {}, 12),
        ("\ud800", {}, 3),
        (None, {}, 0),
        ("", {"tools": tools}, 45),
        ("", {"response_format": {"type": "json_object"}}, 22),
        ([{"type": "text", "text": "four"}, picture], {}, 4 + 765),
        ([{"type": "image", "source": {"data": "A" * 10_000}}], {}, 765),
        ([{"type": "text", "text": 1234}], {}, 4),
        ([{"type": ["image"], "text": "four"}], {}, 4),
    ]
    with ScriptedProvider(bytes_per_token=1) as provider:
        for content, extra, tokens in bodies:
            ask(provider, CHAT, {**CHAT_BODY, "messages": [{"role": "user", "content": content}], **extra})
            assert provider.served[-1].input_tokens == tokens + 6
        provider.bytes_per_token = 2
        assert ask(provider, CHAT, CHAT_BODY)[1]["usage"]["prompt_tokens"] == 16
        ask(provider, MESSAGES, {**MESSAGES_BODY, "tools": [{"name": "f"}]})
        assert provider.served[-1].input_tokens == 10 + 7 + 9 + 346  # a preamble for tools


def test_the_parts_of_the_input_make_it_as_large() -> None:
    """A small request that read 5,000 tokens from a cache had 5,000 tokens."""
    with ScriptedProvider(output_tokens=7) as provider:
        provider.script(Reply(cached_input_tokens=5_000))
        usage = ask(provider, CHAT, CHAT_BODY)[1]["usage"]
    assert usage["prompt_tokens"] == usage["prompt_tokens_details"]["cached_tokens"] == 5_000
    assert usage["completion_tokens"] == 7


# -- scripts ------------------------------------------------------------------------------------------


def test_replies_are_used_in_order_and_then_the_default(client: Client, provider: ScriptedProvider) -> None:
    """A function of the request may stand for a reply, in the queue and as the default."""

    def echo(request: Request) -> Reply:
        return Reply(f"{request.path} {request.model} {request.stream} {len(request.body)}")

    provider.script(Reply("first"), echo)
    provider.always(Reply("default"))
    texts = [client.send(CHAT, CHAT_BODY)[1]["choices"][0]["message"]["content"] for _ in range(3)]
    assert texts == ["first", f"{CHAT} gpt-4o False 2", "default"]
    provider.always(echo)
    assert f"{CHAT} gpt-4o True 3" in "".join(
        chunk["choices"][0]["delta"].get("content", "") for chunk in client.stream(CHAT, CHAT_BODY)[:-1]
    )


def test_a_function_that_fails_is_told_to_the_client(client: Client, provider: ScriptedProvider) -> None:
    """The test that wrote it should see why; nothing is billed."""
    provider.script(lambda request: Reply(request.body["missing"]))
    status, answer = client.send(CHAT, CHAT_BODY)
    assert status == 500 and "KeyError('missing')" in answer["error"]["message"]
    assert provider.calls == 0
    provider.reset()


def fails(request: Request) -> Reply:
    raise KeyError(request.model)


def test_a_function_that_fails_fails_its_test() -> None:
    """Leaving the block raises the first error, whatever the client made of its status 500."""
    with pytest.raises(KeyError, match="gpt-4o-mini"), ScriptedProvider() as provider:
        provider.always(fails)
        for model in ("gpt-4o-mini", "gpt-4o"):
            assert ask(provider, CHAT, {**CHAT_BODY, "model": model})[0] == 500
    provider.stop()  # raised once


def test_a_failed_assertion_of_a_function_fails_its_test() -> None:
    """Also by `pytest.fail`, whose exception is no `Exception`."""
    with ScriptedProvider() as provider:
        provider.script(lambda _: pytest.fail("never to be sent"))
        assert ask(provider, CHAT, CHAT_BODY)[0] == 500
        with pytest.raises(pytest.fail.Exception, match="never to be sent"):
            provider.stop()


def test_a_function_that_fails_does_not_hide_the_error_of_the_test() -> None:
    """What the block raises is what the reader has to see."""
    with pytest.raises(ZeroDivisionError), ScriptedProvider() as provider:
        provider.script(fails)
        ask(provider, CHAT, CHAT_BODY)
        _ = 1 / 0


def test_only_replies_and_functions_are_scripted(client: Client, provider: ScriptedProvider) -> None:
    """Anything else is refused at once; a function that forgets its reply fails the test."""
    for put in (provider.script, provider.always):
        with pytest.raises(TypeError, match="'a text' is neither"):
            put("a text")  # type: ignore[arg-type]
    provider.script(lambda _: None)  # type: ignore[arg-type,return-value]
    assert client.send(CHAT, CHAT_BODY)[0] == 500
    with pytest.raises(TypeError, match="returned None, not a Reply"):
        provider.stop()


@pytest.mark.parametrize(
    ("usage", "told"), [("absent", "nothing"), ("null", None), ({"prompt_tokens": -1}, {"prompt_tokens": -1})]
)
@pytest.mark.parametrize("path", [CHAT, RESPONSES, EMBEDDINGS, MESSAGES])
def test_what_is_reported_may_be_wrong_but_never_the_bill(
    client: Client, provider: ScriptedProvider, path: str, usage: Any, told: Any
) -> None:
    """Absent, null or hostile usage reaches the client as it is; the bill keeps the true counts."""
    provider.script(Reply(usage=usage), Reply())
    assert client.send(path, BODIES[path])[1].get("usage", "nothing") == told
    client.send(path, BODIES[path])
    first, second = provider.served
    assert first.cost_nanos == second.cost_nanos > 0


@pytest.mark.parametrize(
    ("status", "openai", "anthropic"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (403, "invalid_request_error", "permission_error"),
        (413, "invalid_request_error", "request_too_large"),
        (429, "requests", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (529, "server_error", "overloaded_error"),
    ],
)
def test_a_scripted_error_is_not_billed(
    client: Client, provider: ScriptedProvider, status: int, openai: str, anthropic: str
) -> None:
    """It has the provider's shape and stands in `served`, without a cost."""
    provider.always(Reply(status=status))
    for path, kind in ((CHAT, openai), (MESSAGES, anthropic)):
        told, answer = client.send(path, BODIES[path])
        assert told == status and answer["error"]["type"] == kind
    assert [served.status for served in provider.served] == [status, status]
    assert (provider.hits, provider.calls, provider.bill_nanos) == (2, 0, 0)


def test_an_error_may_be_billed(client: Client, provider: ScriptedProvider) -> None:
    """When a gateway fails after the model has answered."""
    provider.script(Reply(status=502, billed=True))
    assert client.send(CHAT, CHAT_BODY)[0] == 502
    assert (provider.calls, provider.bill_nanos) == (1, 427_500)


def test_stream_options_may_be_refused(client: Client, provider: ScriptedProvider) -> None:
    """Like a host that does not know them: the request is rejected with them and served without."""
    provider.always(Reply(refuse_stream_options=True))
    body = {**CHAT_BODY, "stream": True, "stream_options": {"include_usage": True}}
    assert client.send(CHAT, body)[0] == 400
    assert client.stream(CHAT, CHAT_BODY)[-1] == "[DONE]" and provider.calls == 1


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_the_finish_reason_may_be_scripted(client: Client, provider: ScriptedProvider, path: str) -> None:
    """A refusal of the content filter, for one."""
    provider.always(Reply(finish_reason="content_filter"))
    whole = json.dumps(client.send(path, BODIES[path])[1])
    assert "content_filter" in whole and "content_filter" in json.dumps(client.stream(path, BODIES[path]))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"output_tokens": -1}, {"delay": -0.1}, {"input_tokens": 5, "cached_input_tokens": 6}),
        *({"drop": "sometimes"}, {"usage": "odd"}, {"bill_dropped": "half"}),
        *({"status": 302}, {"status": 600}, {"stream_chunks": 0}),
    ],
)
def test_a_reply_that_no_provider_gives_is_refused(wrong: dict[str, Any]) -> None:
    """At once and by name, so that a typing error does not pass for a well-behaved provider."""
    with pytest.raises(ValueError, match=next(iter(wrong)).partition("_tokens")[0]):
        Reply(**wrong)


@pytest.mark.parametrize("wrong", [{"bytes_per_token": 0}, {"output_tokens": -1}])
def test_a_provider_that_cannot_count_is_refused(wrong: dict[str, int]) -> None:
    """Its arguments are checked where they are given."""
    with pytest.raises(ValueError, match="at least"):
        ScriptedProvider(**wrong)


# -- lost connections ---------------------------------------------------------------------------------


def test_an_answer_that_is_lost_before_it_begins_is_billed(
    client: Client, provider: ScriptedProvider
) -> None:
    """The client knows nothing, and owes the whole of it."""
    provider.script(Reply(drop="before_headers"))
    with pytest.raises(http.client.RemoteDisconnected):
        client.send(CHAT, CHAT_BODY)
    assert provider.bill_nanos == 427_500 and provider.served[0].dropped == "before_headers"


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_a_stream_that_is_lost_in_the_middle_is_billed_in_full(
    client: Client, provider: ScriptedProvider, path: str
) -> None:
    """Half of the events come, and never the usage."""
    whole = client.stream(path, BODIES[path])
    provider.script(Reply(drop="mid_stream"))
    half = client.stream(path, BODIES[path])
    assert half[-1] == "LOST" and len(half) - 1 == len(whole) // 2
    assert provider.served[0].cost_nanos == provider.served[1].cost_nanos


@pytest.mark.parametrize(
    ("text", "after", "output"), [("x" * 10, 3, 16), ("x" * 10, 99, 40), ("x" * 10, 0, 0), ("", 2, 0)]
)
def test_a_lost_stream_may_cost_what_got_out(
    client: Client, provider: ScriptedProvider, text: str, after: int, output: int
) -> None:
    """In proportion to its pieces: 2 of 5 follow the first event of three."""
    reply = Reply(text, drop="mid_stream", drop_after=after, bill_dropped="generated", reasoning_tokens=20)
    provider.script(reply)
    assert client.stream(CHAT, CHAT_BODY)[-1] == "LOST"
    served = provider.served[0]
    assert (served.output_tokens, served.reasoning_tokens) == (output, min(output, 20))
    assert served.cost_nanos == 11 * 2_500 + output * 10_000


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_a_stream_may_be_lost_after_its_usage(client: Client, provider: ScriptedProvider, path: str) -> None:
    """The counts came through, the end did not."""
    provider.always(Reply(drop="after_final_usage"))
    extra = {"stream_options": {"include_usage": True}} if path == CHAT else {}
    *_, last, lost = client.stream(path, BODIES[path] | extra)
    assert lost == "LOST" and '_tokens": 40' in json.dumps(last)
    if path == CHAT:
        *_, last, lost = client.stream(path, CHAT_BODY)
        assert lost == "LOST" and last["choices"][0]["finish_reason"] == "stop"


def test_a_whole_answer_may_be_lost_as_well(client: Client, provider: ScriptedProvider) -> None:
    """Half of the document and then nothing, or all of it and then no connection."""
    provider.script(Reply(drop="mid_stream"), Reply(drop="after_final_usage"))
    with pytest.raises(http.client.IncompleteRead):
        client.send(CHAT, CHAT_BODY)
    client.connection.close()
    assert client.send(CHAT, CHAT_BODY)[0] == 200
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        client.send(CHAT, CHAT_BODY)
    assert provider.calls == 2


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_may_be_lost_as_well(client: Client, provider: ScriptedProvider, stream: bool) -> None:
    """In the middle; an error is never a stream."""
    provider.script(Reply(status=503, drop="mid_stream"))
    with pytest.raises(http.client.IncompleteRead):
        client.send(CHAT, {**CHAT_BODY, "stream": stream})


@pytest.mark.parametrize("reply", [{"gate": threading.Event()}, {"delay": 60}], ids=["gate", "delay"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_gives_up_waiting_is_noticed_and_pays(
    client: Client, provider: ScriptedProvider, reply: dict[str, Any], how: str
) -> None:
    """Nobody waits for the rest, and the bill stays."""
    provider.script(Reply(**reply))
    client.connection.request("POST", CHAT, json.dumps(CHAT_BODY), KEY)
    provider.wait_for(hits=1, in_flight=1)
    client.connection.close() if how == "close" else client.disappear()
    provider.wait_for(in_flight=0)
    assert provider.bill_nanos == 427_500


@pytest.mark.parametrize("reply", [{"chunk_delay": 0.2}, {"text": "x" * 20_000, "stream_chunks": 20_000}])
def test_a_client_that_leaves_a_stream_is_noticed_and_pays(
    client: Client, provider: ScriptedProvider, capsys: pytest.CaptureFixture[str], reply: dict[str, Any]
) -> None:
    """The server stops quietly, in a slow stream as in a fast one; all of the output is billed."""
    provider.script(Reply(**reply))
    client.connection.request("POST", CHAT, json.dumps(CHAT_BODY | {"stream": True}), KEY)
    answer = client.connection.getresponse()
    assert answer.fp.readline()
    answer.close()
    client.connection.close()
    provider.wait_for(in_flight=0)
    provider.stop()
    assert provider.bill_nanos == 427_500 and capsys.readouterr().err == ""


def test_a_fault_of_the_script_is_not_swallowed(capsys: pytest.CaptureFixture[str]) -> None:
    """Usage that is no JSON cannot be sent: the connection is lost, and `stop` says why."""
    with pytest.raises(TypeError, match="set is not JSON"), ScriptedProvider() as provider:
        provider.script(Reply(usage={"prompt_tokens": {1}}))
        with pytest.raises(http.client.RemoteDisconnected):
            ask(provider, CHAT, CHAT_BODY)
    assert capsys.readouterr().err == ""


# -- many at once -------------------------------------------------------------------------------------


def test_64_clients_at_once_are_served_and_billed(provider: ScriptedProvider) -> None:
    """All are there before the first is answered; four requests each on one connection."""
    provider.pause()

    def run(number: int) -> set[int]:
        client = Client(provider)
        path = (CHAT, RESPONSES)[number % 2]
        statuses = {client.send(path, BODIES[path] | {"model": "gpt-4o"})[0] for _ in range(4)}
        client.connection.close()
        return statuses

    with ThreadPoolExecutor(64) as pool:
        answers = pool.map(run, range(64))
        provider.wait_for(hits=64, calls=64, in_flight=64)
        provider.resume()
        assert set.union(*answers) == {200}
    assert (provider.hits, provider.calls, provider.in_flight) == (256, 256, 0)
    assert provider.bill_nanos == 128 * 427_500 + 128 * (427_500 + 3 * 2_500)


def test_300_connections_at_once_are_held_and_answered(provider: ScriptedProvider) -> None:
    """None is turned away, and the provider knows of each."""
    provider.pause()
    clients = [Client(provider) for _ in range(300)]
    for client in clients:
        client.connection.request("POST", CHAT, json.dumps(CHAT_BODY), KEY)
    provider.wait_for(hits=300, calls=300, in_flight=300)
    provider.resume()
    for client in clients:
        with client.connection.getresponse() as answer:
            assert answer.status == 200
        client.connection.close()
    assert (provider.calls, provider.in_flight, provider.bill_nanos) == (300, 0, 300 * 427_500)


def test_each_scripted_reply_is_used_once(provider: ScriptedProvider) -> None:
    """64 threads draw 64 replies, and none twice."""
    provider.script(*[Reply(str(number)) for number in range(64)])
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: ask(provider, CHAT, CHAT_BODY)[1], range(64)))
    texts = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert sorted(map(int, texts)) == list(range(64))
    assert len({answer["id"] for answer in answers}) == 64


def test_a_connection_is_kept_alive(client: Client, provider: ScriptedProvider) -> None:
    """After answers, rejections, errors and streams; each answer has an id of its own."""
    provider.script(Reply(), Reply(status=500), Reply(), Reply())
    assert client.send(CHAT, CHAT_BODY)[0] == 200
    first, connection = client.headers["x-request-id"], client.connection.sock
    assert first == client.headers["request-id"]
    assert [client.send(CHAT, CHAT_BODY)[0], client.send(CHAT, {})[0]] == [500, 400]
    client.stream(CHAT, CHAT_BODY)
    assert client.send(CHAT, CHAT_BODY)[0] == 200
    assert client.connection.sock is connection and client.headers["x-request-id"] != first


def test_a_request_may_follow_before_the_answer(provider: ScriptedProvider) -> None:
    """Two requests sent together are answered one after the other, a delay notwithstanding."""
    provider.always(Reply(delay=0.01))
    body = json.dumps(CHAT_BODY).encode()
    request = b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: %d\r\n" % (
        CHAT.encode(),
        len(body),
    )
    with socket.create_connection(("127.0.0.1", provider.port), timeout=10) as connection:
        connection.sendall(request + b"\r\n" + body)
        provider.wait_for(hits=1)
        connection.sendall(request + b"Connection: close\r\n\r\n" + body)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert received.count(b"HTTP/1.1 200") == 2 and provider.calls == 2


def test_a_request_that_waits_already_does_not_end_the_delay() -> None:
    """Both requests come in one packet: the second is in a buffer, or in the socket, and nobody is gone."""
    with ScriptedProvider() as provider:
        provider.always(Reply(delay=0.01))
        body = json.dumps({**CHAT_BODY, "user": "x" * 100_000}).encode()
        head = b"POST %s HTTP/1.1\r\nAuthorization: x\r\nContent-Length: %d\r\n" % (CHAT.encode(), len(body))
        with socket.create_connection(("127.0.0.1", provider.port), timeout=10) as connection:
            connection.sendall((head + b"\r\n" + body) + (head + b"Connection: close\r\n\r\n" + body))
            received = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert received.count(b"HTTP/1.1 200") == provider.calls == 2


def test_a_gate_holds_one_answer_and_a_pause_all(client: Client, provider: ScriptedProvider) -> None:
    """The request has arrived and is billed; the answer waits."""
    gate = threading.Event()
    provider.script(Reply("gated", gate=gate))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.send, CHAT, CHAT_BODY)
        provider.wait_for(hits=1)
        assert ask(provider, CHAT, CHAT_BODY)[0] == 200 and not waiting.done()
        gate.set()
        assert waiting.result()[1]["choices"][0]["message"]["content"] == "gated"


# -- from start to stop -------------------------------------------------------------------------------


def test_where_it_listens(provider: ScriptedProvider) -> None:
    """The addresses are those that the SDKs want."""
    assert provider.url == provider.anthropic_url == f"http://127.0.0.1:{provider.port}"
    assert provider.openai_url == f"{provider.url}/v1"


def test_it_is_started_and_stopped_by_hand() -> None:
    """Stopping twice is fine, starting twice is not; the bill outlives the server, and `reset` ends it."""
    provider = ScriptedProvider()
    provider.stop()
    with pytest.raises(RuntimeError, match="not listening"):
        _ = provider.url
    assert provider.start() is provider
    with pytest.raises(RuntimeError, match="listening already"):
        provider.start()
    ask(provider, CHAT, CHAT_BODY)
    provider.stop()
    provider.stop()
    assert provider.bill_nanos == 427_500
    with provider:
        assert ask(provider, CHAT, CHAT_BODY)[0] == 200
    assert provider.hits == 2
    provider.reset()
    assert (provider.hits, provider.calls, provider.bill_nanos, provider.served) == (0, 0, 0, ())


def test_stopping_loses_the_connections() -> None:
    """One that is idle and one that waits for its answer."""
    with ScriptedProvider() as provider, ThreadPoolExecutor(1) as pool:
        idle, held = Client(provider), Client(provider)
        idle.send(CHAT, CHAT_BODY)
        provider.pause()
        waiting = pool.submit(held.send, CHAT, CHAT_BODY)
        provider.wait_for(hits=2)
        provider.stop()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            waiting.result()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            idle.send(CHAT, CHAT_BODY)
        idle.connection.close()
        provider.wait_for(in_flight=0)


@pytest.mark.parametrize(
    "reply",
    [{"delay": 60}, {"gate": threading.Event()}, {"chunk_delay": 60}],
    ids=["delay", "gate", "stream"],
)
def test_stopping_does_not_wait_for_the_script(reply: dict[str, Any]) -> None:
    """It is quick, and the requests that were under way end."""
    with ScriptedProvider() as provider:
        provider.always(Reply(**reply))
        client = Client(provider)
        client.connection.request("POST", CHAT, json.dumps({**CHAT_BODY, "stream": True}), KEY)
        provider.wait_for(calls=1)
        began = time.monotonic()
        provider.stop()
        assert time.monotonic() - began < 5
        provider.wait_for(in_flight=0)
        client.connection.close()


def test_waiting_for_what_does_not_come_ends() -> None:
    """With the counts in the message."""
    with (
        ScriptedProvider() as provider,
        pytest.raises(TimeoutError, match=r"0 of 1 requests arrived, 0 of 2 are billed, 0 are in"),
    ):
        provider.wait_for(hits=1, timeout=0.01, calls=2)


def test_stopping_in_a_forked_child_ends_nothing() -> None:
    """A child, as the process number tells it, only lets go of the socket: what is open stays, and nobody waits."""
    provider = ScriptedProvider().start()
    client, server = Client(provider), provider._server
    assert server is not None and client.send(CHAT, CHAT_BODY)[0] == 200
    mine, server._process = server._process, -1
    provider.stop()
    assert client.send(CHAT, CHAT_BODY)[0] == 200  # on the connection that it had
    server._process = mine
    server.close()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        client.send(CHAT, CHAT_BODY)
    client.connection.close()


# -- surfaces that only some ask for ------------------------------------------------------------------


def test_completions(client: Client, provider: ScriptedProvider) -> None:
    """Each prompt has its choices; what is made of `best_of` is billed, and what is shown is `n` of it."""
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": QUESTION}
    answer = client.send("/v1/completions", body)[1]
    assert (answer["object"], answer["choices"][0]["finish_reason"]) == ("text_completion", "length")
    assert answer["usage"] | {"prompt_tokens_details": 0, "completion_tokens_details": 0} == {
        "prompt_tokens": 5, "completion_tokens": 16, "total_tokens": 21,
        "prompt_tokens_details": 0, "completion_tokens_details": 0,
    }  # fmt: skip
    several = {**body, "prompt": ["sky", "sea"], "best_of": 3, "n": 2, "max_tokens": 100}
    assert len(client.send("/v1/completions", several)[1]["choices"]) == 4
    tokens = {**body, "prompt": [[1, 2, 3], [4]], "max_tokens": 1}
    assert client.send("/v1/completions", tokens)[1]["usage"]["prompt_tokens"] == 4
    assert [served.output_tokens for served in provider.served] == [16, 6 * 40, 2]
    assert client.send("/v1/completions", {**body, "prompt": []})[0] == 400


@pytest.mark.parametrize("asked", [True, False])
def test_a_stream_of_completions(client: Client, asked: bool) -> None:
    """Its usage comes at the end, when it is asked for."""
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": "sky", "n": 2, "max_tokens": 50}
    events = client.stream("/v1/completions", {**body, "stream_options": {"include_usage": asked}})
    assert events.pop() == "[DONE]"
    assert (events[-1].get("usage") is not None) == asked
    assert {choice["index"] for event in events for choice in event["choices"]} == {0, 1}


def test_pictures(client: Client, provider: ScriptedProvider) -> None:
    """As many as are asked for, paid by the token, and never as a stream."""
    answer = client.send("/v1/images/generations", {"model": "gpt-image-1", "prompt": "sky", "n": 2})[1]
    assert len(answer["data"]) == 2 and answer["usage"]["output_tokens"] == 80
    assert provider.bill_nanos == answer["usage"]["input_tokens"] * 10_000 + 80 * 40_000
    assert list(Images().events(None)) == []  # type: ignore[arg-type]


def test_speech(client: Client, provider: ScriptedProvider) -> None:
    """Sound, paid by the character; no usage is told, and there is no stream of events."""
    client.connection.request(
        "POST", "/v1/audio/speech", json.dumps({"model": "tts-1", "input": "sky blue"}), KEY
    )
    with client.connection.getresponse() as answer:
        assert (answer.status, answer.headers["content-type"], answer.read(3)) == (200, "audio/mpeg", b"ID3")
    assert provider.bill_nanos == 8 * 15_000
    assert list(Speech().events(None)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("stream", ["true", "false"])
def test_transcriptions(stream: str, client: Client, provider: ScriptedProvider) -> None:
    """A form with a file, whose bytes are the input; most of it is sound, which costs what text does here."""
    provider.always(Reply("blue", output_tokens=2, input_tokens=100, audio_input_tokens=90))
    fields = {"model": "gpt-4o-transcribe", "stream": stream}
    parts = [f'content-disposition: form-data; name="{name}"\r\n\r\n{text}' for name, text in fields.items()]
    parts.append('content-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF')
    payload = "".join(f"--cut\r\n{part}\r\n" for part in parts) + "--cut--\r\n"
    sent = {**KEY, "content-type": "multipart/form-data; boundary=cut"}
    client.connection.request("POST", "/v1/audio/transcriptions", payload, sent)
    with client.connection.getresponse() as answer:
        said = answer.read()
    assert b'"audio_tokens": 90' in said and (b"transcript.text.delta" in said) == (stream == "true")
    (served,) = provider.served
    assert served.body == {"model": "gpt-4o-transcribe", "stream": stream == "true", "file": 4}
    assert provider.bill_nanos == 100 * 2_500 + 2 * 10_000


def test_a_conversation_is_made_shorter(client: Client, provider: ScriptedProvider) -> None:
    """Paid like a response, of which it takes neither the cap nor the stream; to count the input is free."""
    answer = client.send("/v1/responses/compact", RESPONSES_BODY)[1]
    assert answer["output"][0]["type"] == "compaction" and answer["usage"]["output_tokens"] == 40
    assert provider.calls == 1 and provider.bill_nanos == answer["usage"]["input_tokens"] * 2_500 + 400_000
    for name in ("max_output_tokens", "stream"):
        status, error = client.send("/v1/responses/compact", {**RESPONSES_BODY, name: 1})
        assert (status, error["error"]["param"]) == (400, name)
    assert client.send("/v1/responses/input_tokens", RESPONSES_BODY)[1]["input_tokens"] > 0
    assert provider.calls == 1


def test_moderations_are_free(client: Client, provider: ScriptedProvider) -> None:
    """They arrive, and are no calls."""
    assert client.send("/v1/moderations", {"input": "sky"})[0] == 200
    assert (provider.arrivals, provider.hits, provider.calls) == (1, 0, 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/openai/deployments/prod/chat/completions?api-version=1", 200),
        ("/openai/deployments/gpt-4o/chat/completions", 200),
        ("/openai/deployments/other/chat/completions", 404),
        ("/openai/v1/chat/completions", 200),
        ("/openai/chat/completions", 200),
        ("/openai/deployments/prod/chat/elsewhere", 404),
    ],
)
def test_the_paths_of_azure(path: str, status: int) -> None:
    """A deployment is a name for a model, whatever the body says; the key comes in a header of its own."""
    with ScriptedProvider(deployments={"prod": "gpt-4o-mini"}) as provider:
        connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=10)
        connection.request("POST", path, json.dumps(CHAT_BODY), {"api-key": "none"})
        assert connection.getresponse().status == status
        connection.close()
        assert [served.model for served in provider.served] == [
            "gpt-4o-mini" if "prod" in path else "gpt-4o" for _ in range(status == 200)
        ]


def test_what_was_said_before_is_input_again(client: Client, provider: ScriptedProvider) -> None:
    """Of the response before, and of all that a conversation had; a response that is not there is rejected."""
    first = client.send(RESPONSES, RESPONSES_BODY)[1]
    client.send(RESPONSES, {**RESPONSES_BODY, "previous_response_id": first["id"]})
    for conversation in ("conv_1", {"id": "conv_1"}, "conv_2"):
        client.send(RESPONSES, {**RESPONSES_BODY, "conversation": conversation})
    alone = first["usage"]["input_tokens"]
    assert [served.input_tokens - alone for served in provider.served] == [0, alone + 40, 0, alone + 40, 0]
    status, error = client.send(RESPONSES, {**RESPONSES_BODY, "previous_response_id": "resp_99"})
    assert (status, error["error"]["param"]) == (400, "previous_response_id")


def test_tools_of_the_provider(client: Client, provider: ScriptedProvider) -> None:
    """Each run reads the input once more, is listed, and has a fee; there are no more than the request allows."""
    provider.always(Reply(hidden_tokens=100, runs={"web_search": 2, "file_search": 2}))
    answer = client.send(RESPONSES, {**RESPONSES_BODY, "max_tool_calls": 3})[1]
    assert [item["type"] for item in answer["output"]] == [
        "web_search_call", "web_search_call", "file_search_call", "message"
    ]  # fmt: skip
    (served,) = provider.served
    assert served.tokens.runs == {"web_search": 2, "file_search": 1}
    assert served.cost_nanos == served.input_tokens * 2_500 + 40 * 10_000 + 2 * 10_000_000 + 2_500_000
    assert served.input_tokens == 4 * (100 + 11 + 3)
    assert [event["item"]["type"] for event in client.stream(RESPONSES, RESPONSES_BODY)
            if event["type"] == "response.output_item.added"] == [
        "web_search_call", "web_search_call", "file_search_call", "file_search_call", "message"
    ]  # fmt: skip


def test_an_answer_in_the_background(client: Client, provider: ScriptedProvider) -> None:
    """Billed at once, and there after so many polls, as a whole or as a stream; stopped, it never comes."""
    provider.script(Reply(polls=2))
    queued = client.send(RESPONSES, {**RESPONSES_BODY, "background": True})[1]
    assert (queued["status"], queued["usage"], provider.calls) == ("queued", None, 1)
    path = f"{RESPONSES}/{queued['id']}"
    told = [client.send(path, method="GET")[1]["status"] for _ in range(3)]
    assert told == ["in_progress", "in_progress", "completed"]
    assert client.send(path, method="GET")[1]["usage"]["output_tokens"] == 40
    client.connection.request("GET", f"{path}?stream=true", headers=KEY)
    assert b"response.completed" in client.connection.getresponse().read()
    assert client.send(f"{path}/cancel")[1]["status"] == "cancelled"
    assert client.send(path, method="GET")[1]["status"] == "cancelled"
    assert client.send(f"{path}/cancel", method="GET")[0] == 404
    assert client.send(path)[0] == 404
    assert client.send(f"{RESPONSES}/resp_999", method="GET")[0] == 404
    assert (provider.hits, provider.calls) == (1, 1)
