"""Everything that the SDK can send is paid for, refused, or known to be free."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from inspect import signature
from typing import Any

import openai
import openai.resources
import pytest

import bursar
from bursar import Budget, BudgetExceeded, UnknownModel, UnpriceableCall
from bursar.testing import Rate, Reply, ScriptedProvider

from ..client_contract.bench import Bench
from ..client_contract.fixtures import WORD
from ..client_contract.sdk import ClientSdk
from ..client_contract.surfaces import Surfaces, http_libraries
from .reflection import Sent, Walker, httpx, methods, resources
from .sdk import UNBOUNDED
from .surfaces import ASKED, CHAT, EMBEDDING, PRICES, RESPONSE, SOUND, Surface


class TestSurfaces(Surfaces):
    """What nothing bounds, what is free, and other ways to a client."""


# -- the whole SDK ------------------------------------------------------------------------------------

# Methods that made-up arguments do not bring to send anything.
SILENT = {
    ("Webhooks", "unwrap"): "verifies by itself",
    ("Webhooks", "verify_signature"): "verifies by itself",
    ("Artifacts", "for_result"): "takes a result, and asks `list`",
    ("Files", "prepare"): "looks at the disk",
    ("Files", "prepare_directory"): "looks at the disk",
    ("Files", "upload"): "takes what `prepare` found, and asks `create`",
}
NOT_THERE = OSError  # nothing listens
GONE = "http://127.0.0.1:9"
REFUSALS = (BudgetExceeded, UnknownModel, UnpriceableCall)


def free(verb: str, path: str) -> bool:
    """Whether it is known that nothing is billed."""
    from bursar_openai._surfaces import PATHS

    return verb in ("GET", "DELETE") or PATHS.find(path) == ("free", None)


def looked_at(bare: Sent, covered: Sent) -> str | None:
    """Whether a method is covered, refused or known to be free; or what is wrong with it."""
    from bursar_openai._surfaces import PATHS

    unknown = [path for verb, path in bare.requests if not free(verb, path) and PATHS.find(path) is None]
    paid = [request for request in bare.requests if not free(*request)]
    if unknown:
        return f"nobody has looked at {unknown[0]}"
    if any(not free(*request) for request in covered.requests):
        return "something that is not free was sent"
    if (paid or bare.socket) and not isinstance(covered.error, REFUSALS):
        return f"it was not refused, but {covered.error!r}"
    if not paid and not bare.socket and isinstance(covered.error, REFUSALS):
        return "something that is free was refused"
    return None if bare.requests or bare.socket else "it sends nothing"


def penniless(client: Any) -> Any:
    """A client that may spend nothing."""
    return bursar.wrap_client(client, Budget("$0").session())


def walk(methods: Iterable[tuple[type, str]]) -> dict[tuple[str, str], str]:
    """What is wrong with methods of resources, whose client may spend nothing."""
    wrong = {}
    with Walker() as bare, Walker(penniless) as covered:
        for cls, name in methods:
            why = looked_at(bare.call(cls, name), covered.call(cls, name))
            if why is not None:
                wrong[cls.__name__.removeprefix("Async"), name] = why
    return wrong


@pytest.mark.seam
def test_every_method_of_the_installed_sdk_is_known() -> None:
    """Each one that ends in a request is covered, refused, or listed as free; one that nobody looked at fails here."""
    all_methods = list(methods())
    assert len(all_methods) > 200
    wrong = walk(all_methods)
    assert {method: why for method, why in wrong.items() if method not in SILENT} == {}
    assert set(wrong.values()) <= {"it sends nothing"}


@pytest.mark.parametrize("kind", [openai.resources.Embeddings, openai.resources.AsyncEmbeddings])
def test_a_method_that_nobody_knows_is_found(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted into the SDK: one that sends to a new path, and is refused all the same; one to a path below another."""

    def divine(self: Any) -> Any:
        return self._post("/oracle", body={"model": "gpt-4o"}, cast_to=object)

    def compress(self: Any) -> Any:
        return self._post("/files/file_1/summaries", body={"model": "gpt-4o"}, cast_to=object)

    monkeypatch.setattr(kind, "divine", divine, raising=False)
    monkeypatch.setattr(kind, "compress", compress, raising=False)
    planted = [(cls, name) for cls, name in methods() if name in ("divine", "compress")]
    assert planted == [(kind, "divine"), (kind, "compress")]
    assert list(walk(planted).values()) == [
        "nobody has looked at /v1/oracle",
        "nobody has looked at /v1/files/file_1/summaries",
    ]
    with Walker(penniless) as walker:
        covered = walker.call(kind, "divine")
    assert isinstance(covered.error, UnpriceableCall) and covered.requests == []


@pytest.mark.seam
def test_every_websocket_of_the_installed_sdk_is_guarded(sync_bench: Bench) -> None:
    """Whatever resource has a `connect`, sync or async, imported early or late, in a covered process."""
    bursar.init("$1")
    client = sync_bench.client()
    connects = [cls for cls in resources() if "connect" in vars(cls)]
    assert connects
    for cls in connects:
        resource = object.__new__(cls)
        resource._client = client  # type: ignore[attr-defined]
        with pytest.raises(UnpriceableCall, match="realtime"):
            resource.connect(model="gpt-realtime")  # type: ignore[attr-defined]


@pytest.mark.seam
@pytest.mark.parametrize("azure", [False, True], ids=["openai", "azure"])
def test_every_websocket_of_a_wrapped_client_is_guarded(azure: bool, sync_bench: Bench) -> None:
    """Where it is opened, sync or async; the same resource of a client that nobody wraps opens it."""
    for cls in (cls for cls in resources() if "connect" in vars(cls)):
        asynchronous = cls.__name__.startswith("Async")
        kind = sync_bench.sdk.kind("AzureOpenAI" if azure else "", asynchronous=asynchronous)
        for wrapped in (True, False):
            given = (
                {"api_version": "2025-04-01", "azure_endpoint": GONE} if azure else {"base_url": f"{GONE}/v1"}
            )
            client = kind(api_key="none", **given)
            if wrapped:
                bursar.wrap_client(client, Budget("$1").session())
            resource = object.__new__(cls)
            resource._client = client  # type: ignore[attr-defined]
            _, *taken = signature(vars(cls)["connect"]).parameters.values()
            named = {
                one.name: "gpt-realtime" for one in taken if one.name == "model" or one.default is one.empty
            }
            opened = resource.connect(**named)  # type: ignore[attr-defined]
            with pytest.raises(UnpriceableCall if wrapped else NOT_THERE):
                asyncio.run(opened.__aenter__()) if asynchronous else opened.__enter__()
            asyncio.run(client.close()) if asynchronous else client.close()


@pytest.mark.parametrize("cover", ["wrap", "init", None])
def test_a_connection_that_was_prepared_before_the_cover(cover: str | None, sync_bench: Bench) -> None:
    """A bound `connect`, and what it returned, from before `init` or `wrap_client`: entering it is refused, too."""
    client = sync_bench.client(base_url="http://127.0.0.1:9/v1")
    connect = client.beta.realtime.connect
    manager = connect(model="gpt-realtime")
    if cover == "wrap":
        bursar.wrap_client(client, Budget("$1").session())
    elif cover == "init":
        bursar.init("$1")
    for opened in (manager, connect(model="gpt-realtime")):
        with pytest.raises(NOT_THERE if cover is None else UnpriceableCall), opened:
            """Never open."""


@pytest.mark.parametrize("cover", ["wrap", "init"])
@pytest.mark.parametrize("address", [None, "ws://127.0.0.1:9/v1"])
def test_websockets_of_others_are_left_alone(address: str | None, cover: str, sync_bench: Bench) -> None:
    """A client that nobody pays for connects as before; so does one whose budget allows it, or pays beforehand."""

    def opened(client: Any) -> Any:
        return client.beta.realtime.connect(model="gpt-realtime")

    sync_bench.cover = cover
    client, session = sync_bench.paid("$1", client={"base_url": f"{GONE}/v1", "websocket_base_url": address})
    assert client.copy().websocket_base_url == client.websocket_base_url == address
    with pytest.raises(UnpriceableCall), opened(client):
        """Never open."""
    with session.reserve(cost="$0.10") as hold, pytest.raises(NOT_THERE), opened(client):
        """It pays for one."""
    assert hold.state == "in_doubt" and session.spent == Decimal("0.10")
    with pytest.raises(UnpriceableCall), opened(client):
        """Never open."""
    bursar.teardown()
    other = sync_bench.client(base_url=f"{GONE}/v1")
    with pytest.raises(NOT_THERE), opened(other):
        """Never open."""
    with (
        pytest.raises(NOT_THERE),
        opened(bursar.wrap_client(other, Budget("$1", allow=("realtime",)).session())),
    ):
        """Never open."""


# -- what nothing bounds ------------------------------------------------------------------------------


def test_an_exhausted_budget_allows_nothing(bench: Bench) -> None:
    """What is allowed is charged as far as it is told, and a debt refuses the next one."""
    call = UNBOUNDED["images"][1]
    client, session = bench.paid("$0.001", allow=["images"])
    bench.provider.always(Reply(output_tokens=1_000))
    bench.take(call, client)
    bench.assert_exact(session)
    assert session.remaining is not None and session.remaining < 0
    with pytest.raises(BudgetExceeded):
        bench.take(call, client)
    assert bench.provider.arrivals == 1


@pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.00001", 0)])
def test_a_price_of_the_users_own_bounds_it(limit: str, requests: int, bench: Bench) -> None:
    """With a price for the model a call is held by its text; a request that tells no usage costs its hold."""
    prices = {"tts-1": bursar.Price(15, 0)}
    client, session = bench.paid(limit, prices=prices)
    call = UNBOUNDED["speech"][1]
    if requests:
        assert bench.sent(call, client) == 1
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
    assert (bench.provider.arrivals, session.reserved) == (requests, 0)


BOUNDED: dict[str, tuple[str, Surface]] = {
    "one picture": ("$0.0025", Surface(lambda c: c.images.generate(model="gpt-image-1", prompt="sky"))),
    "three pictures": ("$0.0073", Surface(lambda c: c.images.generate(model="gpt-image-1", prompt="sky", n=3))),
    "transcription": (
        "$0.05", Surface(lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND))
    ),
}  # fmt: skip


@pytest.mark.parametrize("fits", [True, False])
@pytest.mark.parametrize("kind", BOUNDED)
def test_pictures_and_sound_at_a_price_of_the_users_own(kind: str, fits: bool, bench: Bench) -> None:
    """Each picture is held at the most that one can be; a file at the context window, not at its name; both exactly paid."""
    worst, call = BOUNDED[kind]
    limit = "$1" if fits else worst
    sound = {"input_tokens": 12_000, "audio_input_tokens": 11_900} if kind == "transcription" else {}
    bench.provider.script(Reply(output_tokens=59, **sound))
    client, session = bench.paid(limit, prices=PRICES)
    if fits:
        bench.take(call, client)
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
    assert bench.provider.arrivals == fits
    bench.assert_exact(session)


def test_a_stream_that_nothing_bounds_is_charged_by_what_it_tells(sync_bench: Bench) -> None:
    """Allowed, and so without a hold: its usage comes with its last event."""
    client, session = sync_bench.paid("$1", allow=("audio",))
    sync_bench.provider.script(Reply(WORD, input_tokens=100, audio_input_tokens=90, output_tokens=5))
    body: dict[str, Any] = {"model": "gpt-4o-transcribe", "file": 400, "stream": True}
    events: Any = client.post(
        "/audio/transcriptions", body=body, cast_to=object, stream=True, stream_cls=openai.Stream[object]
    )
    assert len(list(events)) == 5
    sync_bench.assert_exact(session)
    assert session.spent > 0


# -- answers that are made in the background ------------------------------------------------------------


@pytest.mark.parametrize("polls", [0, 2])
def test_a_background_answer_is_charged_when_it_is_fetched(polls: int, bench: Bench) -> None:
    """Its hold stays until somebody asks and it is there; then the usage it tells is booked."""
    bench.provider.script(Reply(polls=polls))
    client, session = bench.paid("$1")
    made = bench.take(lambda c: c.responses.create(**RESPONSE, extra_body={"background": True}), client)
    assert (made.status, session.spent) == ("queued", 0) and session.reserved > 0
    for _ in range(polls):
        assert bench.take(lambda c: c.responses.retrieve(made.id), client).status == "in_progress"
        assert session.reserved > 0
    assert bench.take(lambda c: c.responses.retrieve(made.id), client).status == "completed"
    bench.assert_exact(session)
    bench.take(lambda c: c.responses.retrieve(made.id), client)
    bench.assert_exact(session)
    assert session.calls == 1


def test_a_background_answer_that_is_cancelled_is_in_doubt(bench: Bench) -> None:
    """Stopped in the middle, at nobody knows what cost: booked at the worst."""
    client, session = bench.paid("$1")
    made = bench.take(lambda c: c.responses.create(**RESPONSE, extra_body={"background": True}), client)
    bench.take(lambda c: c.post(f"/responses/{made.id}/cancel", cast_to=object), client)
    assert session.reserved == 0 and session.spent * 10**9 >= max(500_000, bench.provider.bill_nanos)


@pytest.mark.parametrize("left", [True, False])
def test_a_background_stream_that_is_left_goes_on(left: bool, sync_bench: Bench) -> None:
    """Its hold stays, and is settled by whoever fetches the answer, as a whole or as a stream."""
    client, session = sync_bench.paid("$1")
    call = Surface(lambda c: c.responses.create(**RESPONSE, stream=True, extra_body={"background": True}))
    stream = call.call(client)
    first = next(stream)
    if left:
        stream.close()
        assert session.reserved > 0
        client.responses.retrieve(first.response.id)
    else:
        list(stream)
    sync_bench.assert_exact(session)


def test_a_failed_poll_leaves_the_hold(sync_bench: Bench) -> None:
    """The answer is still in the making when asking for it fails."""
    client, session = sync_bench.paid("$1")
    made = client.responses.create(**RESPONSE, extra_body={"background": True})
    other = client.with_options(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(openai.APIConnectionError):
        other.responses.retrieve(made.id)
    assert session.reserved > 0
    client.responses.retrieve(made.id)
    sync_bench.assert_exact(session)


# -- who bills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["body", "client"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_deployments_of_azure(named: str, stream: bool, bench: Bench) -> None:
    """A deployment is priced by the model that the budget's aliases name, and settled by the one that answers."""
    bench.provider.deployments["prod"] = "gpt-4o"
    with_name = {"azure_deployment": "prod"} if named == "client" else {}
    settings = {"azure_endpoint": bench.provider.url, "api_key": "none", "api_version": "2025-01-01"}
    client = bench.client("AzureOpenAI", **settings, **with_name)
    session = bench.pay(client, "$1", aliases={"prod": "gpt-4o"})
    body = {**CHAT, "model": "prod"}
    bench.take(
        lambda c: c.chat.completions.create(**body, stream=stream), client, "events" if stream else "value"
    )
    assert bench.provider.served[0].path == "/openai/deployments/prod/chat/completions"
    bench.assert_exact(session)


class Elsewhere(httpx.HTTPTransport):  # type: ignore[misc]
    """Brings every request to the provider on this machine, whatever host it is meant for."""

    def __init__(self, provider: ScriptedProvider) -> None:
        super().__init__(verify=False)
        self.port = provider.port
        self.hosts: list[str] = []

    def handle_request(self, request: Any) -> Any:
        self.hosts.append(request.url.host)
        here = {"scheme": "http", "host": "127.0.0.1", "port": self.port, "raw_path": b"/v1/chat/completions"}
        request.url = request.url.copy_with(**here)
        return super().handle_request(request)


VENDORS = [
    ("https://api.openai.com/v1", "gpt-4o-mini", "openai", Rate("0.15", "0.60")),
    ("https://openrouter.ai/api/v1", "meta-llama/llama-3.1-8b-instruct", "openrouter", None),
    ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", "groq", Rate("0.59", "0.79")),
    ("https://api.together.xyz/v1", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "together", None),
    ("https://api.deepseek.com", "deepseek-chat", "deepseek", None),
    ("https://api.mistral.ai/v1", "mistral-large-latest", "mistral", None),
    ("https://generativelanguage.googleapis.com/v1beta/openai/", "gemini-2.5-flash", "google", Rate("0.30", "2.50")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("base_url", "model", "provider_name", "rate"), VENDORS, ids=[row[2] for row in VENDORS]
)
def test_the_host_says_who_bills(
    base_url: str, model: str, provider_name: str, rate: Rate | None, provider: ScriptedProvider
) -> None:
    """Through the same client a model is priced by the vendor that the base URL belongs to, and its limits hold."""
    transport = Elsewhere(provider)
    provider.rates[model] = rate or Rate(1, 1)
    session = Budget("$1", bursar.Limit("1 calls", provider=provider_name)).session()
    with httpx.Client(transport=transport, verify=False) as http_client:
        client = openai.OpenAI(base_url=base_url, api_key="none", http_client=http_client, max_retries=0)
        bursar.wrap_client(client, session)
        client.chat.completions.create(model=model, messages=ASKED, max_tokens=50)
        with pytest.raises(BudgetExceeded, match=f"provider={provider_name}"):
            client.chat.completions.create(model=model, messages=ASKED, max_tokens=50)
    assert transport.hosts == [httpx.URL(base_url).host]
    assert session.spent > 0 and (rate is None or session.spent == provider.bill)


def test_a_vendor_that_does_not_have_the_model_is_not_priced_by_another(provider: ScriptedProvider) -> None:
    """The price of the model's maker is no bound for what somebody else asks for it."""
    transport = Elsewhere(provider)
    with httpx.Client(transport=transport, verify=False) as http_client:
        client = openai.OpenAI(base_url="https://api.groq.com/v1", api_key="none", http_client=http_client)
        bursar.wrap_client(client, Budget("$1").session())
        with pytest.raises(UnknownModel, match="at 'groq'"):
            client.chat.completions.create(**CHAT)
    assert transport.hosts == []


@pytest.mark.parametrize("usage", ["x_groq", "usage"])
@pytest.mark.parametrize("finish", ["stop", None])
def test_usage_where_groq_puts_it(usage: str, finish: str | None) -> None:
    """In a member of its own in the last chunk, or where all have it, and then with or without the last choice."""
    told = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "llama-3.3-70b-versatile"}

    def event(**members: Any) -> bytes:
        return b"data: " + json.dumps({**chunk, **members}).encode() + b"\n\n"

    said = event(
        choices=[{"index": 0, "delta": {"content": "sky"}, "finish_reason": None if finish else "stop"}]
    )
    last = event(
        choices=[{"index": 0, "delta": {}, "finish_reason": finish}] if finish else [],
        **({"x_groq": {"usage": told}} if usage == "x_groq" else {"usage": told}),
    )
    answer = lambda request: httpx.Response(  # noqa: E731
        200, headers={"content-type": "text/event-stream"}, content=said + last + b"data: [DONE]\n\n"
    )
    session = Budget("$1").session()
    with httpx.Client(transport=httpx.MockTransport(answer)) as http_client:
        client = openai.OpenAI(
            base_url="https://api.groq.com/openai/v1", api_key="none", http_client=http_client
        )
        bursar.wrap_client(client, session)
        list(client.chat.completions.create(**{**CHAT, "model": "llama-3.3-70b-versatile"}, stream=True))
    assert session.spent * 10**9 == 20 * 590 + 5 * 790
    assert (session.reserved, session.report()["estimated"]) == (0, 0)


@pytest.mark.parametrize("how", ["refused", "priced"])
def test_a_local_server(how: str, bench: Bench) -> None:
    """A model that nobody has a price for is refused, until the budget names one; then it is exact."""
    bench.provider.rates["qwen-at-home"] = Rate("0.10", "0.30")
    prices = {"qwen-at-home": ("0.10", "0.30")} if how == "priced" else None
    client, session = bench.paid("$1", prices=prices)
    call = Surface(lambda c: c.chat.completions.create(**{**CHAT, "model": "qwen-at-home"}))
    if how == "priced":
        bench.take(call, client)
    else:
        with pytest.raises(UnknownModel, match="prices="):
            bench.take(call, client)
    assert bench.provider.arrivals == (how == "priced")
    bench.assert_exact(session)


def test_a_local_server_is_priced_as_the_budget_says(bench: Bench) -> None:
    """A model of one's own costs nothing where one says so, and is counted all the same."""
    bench.provider.rates["home-made"] = Rate(0, 0)
    client, session = bench.paid("$0", "1 calls", unknown_model="free")
    call = Surface(lambda c: c.chat.completions.create(**{**CHAT, "model": "home-made"}))
    bench.take(call, client)
    with pytest.raises(BudgetExceeded):
        bench.take(call, client)
    assert (session.spent, session.calls, bench.provider.arrivals) == (0, 1, 1)


# -- other ways to a client -----------------------------------------------------------------------------


@pytest.fixture
def module_client(
    provider: ScriptedProvider, sdk: ClientSdk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The client behind the functions of the module, which makes it when it is first used."""
    with sdk.http() as http_client:
        for name, value in {"api_key": "none", "base_url": f"{provider.openai_url}/"}.items():
            monkeypatch.setattr(openai, name, value)
        monkeypatch.setattr(openai, "http_client", http_client)
        openai._reset_client()  # type: ignore[no-untyped-call]
        yield
        openai._reset_client()  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("module_client")
def test_the_module_itself_is_a_client(provider: ScriptedProvider) -> None:
    """`openai.chat...` and the like are covered in a covered process."""
    session = bursar.init("$1")
    openai.chat.completions.create(**CHAT)
    openai.embeddings.create(**EMBEDDING)
    assert session.spent == provider.bill and session.calls == 2
    bursar.teardown()
    with_nothing = bursar.init("$0")
    with pytest.raises(BudgetExceeded):
        openai.chat.completions.create(**CHAT)
    assert (provider.calls, with_nothing.calls) == (2, 0)


def test_both_generations_of_http_are_tested(sdk: ClientSdk) -> None:
    """The SDK's own library is among those that clients are tested with; from openai 3 on it is the successor."""
    names = [library.__name__ for library in http_libraries(sdk)]
    assert httpx.__name__ in names and "httpx" in names
    assert ("httpx2" in names) or int(openai.__version__.partition(".")[0]) < 3
