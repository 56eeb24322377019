"""Everything that the SDK can send is paid for, refused, or known to be free."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import anthropic
import anthropic.resources
import pytest

import bursar
from bursar import BudgetExceeded, UnpriceableCall
from bursar.testing import Rate

from ..client_contract.bench import Bench
from ..client_contract.surfaces import Surfaces
from .surfaces import CHAT, Surface


class TestSurfaces(Surfaces):
    """What nothing bounds, what is free, and other ways to a client."""


# -- the whole SDK ------------------------------------------------------------------------------------

_SENDING = ("_post", "_put", "_patch", "_delete", "_get", "_get_api_list")
_READING = ("_delete", "_get", "_get_api_list")


def resources() -> Iterator[type]:
    """Every resource class of the installed SDK."""
    from anthropic._resource import AsyncAPIResource, SyncAPIResource

    for module in pkgutil.walk_packages(anthropic.resources.__path__, "anthropic.resources."):
        importlib.import_module(module.name)
    found = [SyncAPIResource, AsyncAPIResource]
    for cls in found:
        found += cls.__subclasses__()
        yield cls


def paths(method: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """The names of the client's methods, and the paths, that a method of a resource sends to by itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    for call in ast.walk(tree):
        name = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
        if name not in _SENDING:
            continue
        where: Any = call.args[0] if call.args else next(k.value for k in call.keywords if k.arg == "path")
        if isinstance(where, ast.Call):  # path_template("/v1/agents/{id}", id=id)
            where = where.args[0]
        if isinstance(where, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "{x}" for part in where.values)
        elif isinstance(where, ast.Constant):
            text = where.value
        else:  # the path that a batch told for its results
            assert name in _READING, ast.dump(where)
            continue
        yield name, text


@pytest.mark.seam
def test_every_path_of_the_installed_sdk_is_known() -> None:
    """A method of a newer SDK that sends to a path which nobody has looked at fails here."""
    from bursar_anthropic._surfaces import PATHS

    sent_to = set()
    for resource in resources():
        for name, method in inspect.getmembers(resource, inspect.isfunction):
            if not name.startswith("_"):
                with contextlib.suppress(OSError, TypeError):
                    sent_to |= {path for verb, path in paths(inspect.unwrap(method)) if verb not in _READING}
    assert {"/v1/messages", "/v1/messages/count_tokens"} < {path.partition("?")[0] for path in sent_to}
    unknown = [path for path in sent_to if PATHS.find(path.partition("?")[0]) is None]
    assert not unknown


@pytest.mark.seam
def test_nothing_of_the_installed_sdk_goes_around_the_seam() -> None:
    """No resource opens a connection by itself: a `connect`, a WebSocket, a request of its own."""
    strange = [
        f"{resource.__qualname__}.{name}"
        for resource in resources()
        for name, method in inspect.getmembers(resource, inspect.isfunction)
        if name == "connect" or "_client._client" in _source(method)
    ]
    assert not strange


def _source(method: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(inspect.unwrap(method))
    except (OSError, TypeError):
        return ""


# -- clouds -------------------------------------------------------------------------------------------

AT_AMAZON, AT_GOOGLE = "anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5@20250929"


def cloud(bench: Bench, name: str) -> tuple[Any, str]:
    """A client of a cloud, which talks to the provider on this machine; and the name of the model there."""
    url = bench.provider.url
    if name == "bedrock":
        keys = {"aws_access_key": "none", "aws_secret_key": "none", "aws_region": "us-east-1"}
        return bench.client("AnthropicBedrock", base_url=url, **keys), AT_AMAZON
    if name == "vertex":
        place = {"region": "global", "project_id": "p", "access_token": "none"}
        return bench.client("AnthropicVertex", base_url=url, **place), AT_GOOGLE
    return bench.client("AnthropicFoundry", base_url=f"{url}/anthropic", api_key="none"), CHAT["model"]


CLOUDS = ["bedrock", "vertex", *(["foundry"] if hasattr(anthropic, "AnthropicFoundry") else [])]


@pytest.mark.parametrize("taken", ["whole", "stream", "beta"])
@pytest.mark.parametrize("limit", ["$1", "$0.0000001"])
@pytest.mark.parametrize("name", CLOUDS)
def test_a_cloud_is_paid_once_or_refused(name: str, limit: str, taken: str, bench: Bench) -> None:
    """Priced by the cloud that bills, settled to the nano-dollar: also where it streams in frames of its own."""
    client, model = cloud(bench, name)
    session = bench.pay(client, limit)
    body = {**CHAT, "model": model}
    call = {
        "whole": Surface(lambda c: c.messages.create(**body)),
        "stream": Surface(lambda c: c.messages.create(**body, stream=True), "events"),
        "beta": Surface(lambda c: c.beta.messages.create(**body)),
    }[taken]
    if limit == "$1":
        answer = bench.take(call, client)
        assert answer[-1].type == "message_stop" if taken == "stream" else answer.usage.output_tokens == 40
        assert (bench.provider.arrivals, session.calls, session.report()["estimated"]) == (1, 1, 0)
        (event,) = session.report()["breakdown"]["llm"]["by_model"]
        assert model.startswith(event) or event in model
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(call, client)
        assert type(refused.value) is BudgetExceeded and bench.provider.arrivals == 0
    bench.assert_exact(session)


@pytest.mark.parametrize("taken", ["whole", "stream"])
@pytest.mark.parametrize("name", ["bedrock", "vertex"])
def test_a_cap_is_lowered_at_a_cloud(name: str, taken: str, bench: Bench) -> None:
    """In the request that is really sent, which has another path and another body than the one that was written."""
    client, model = cloud(bench, name)
    session = bench.pay(client, "$0.0007")
    body = {**CHAT, "model": model, "stream": taken == "stream"}
    bench.take(
        Surface(lambda c: c.messages.create(**body), "events" if taken == "stream" else "value"), client
    )
    (served,) = bench.provider.served
    assert 16 <= served.body["max_tokens"] < 50 and "model" in served.path
    bench.assert_exact(session)
    assert session.spent <= Decimal("0.0007")


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (f"/model/{AT_AMAZON}/invoke", AT_AMAZON),
        (f"/projects/p/locations/global/publishers/anthropic/models/{AT_GOOGLE}:rawPredict", AT_GOOGLE),
    ],
    ids=["bedrock", "vertex"],
)
@pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.0001", 0)])
def test_a_path_with_the_model_in_it(path: str, model: str, limit: str, requests: int, bench: Bench) -> None:
    """Sent by hand: the model of the path is priced, and the body is sent as it is, without one."""
    client, session = bench.paid(limit, clamp=False)
    body = {name: value for name, value in CHAT.items() if name != "model"}
    call = Surface(lambda c: c.post(path, body=body, cast_to=object))
    if requests:
        bench.take(call, client)
        assert bench.provider.served[0].model == model
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
    assert bench.provider.arrivals == requests
    bench.assert_exact(session)


def test_a_stream_in_frames_that_is_left(sync_bench: Bench) -> None:
    """In doubt, above the bill: as any other stream."""
    client, model = cloud(sync_bench, "bedrock")
    session = sync_bench.pay(client, "$1")
    stream = client.messages.create(**{**CHAT, "model": model}, stream=True)
    next(iter(stream))
    stream.close()
    assert session.spent * 10**9 >= max(50 * 16_500, sync_bench.provider.bill_nanos)
    assert (session.reserved, session.report()["estimated"]) == (0, 1)


@pytest.mark.parametrize(("region", "model", "known"), [
    ("global", AT_GOOGLE, True), ("us-east5", AT_GOOGLE, False), ("us-east5", "claude-3-5-haiku@20241022", True),
])  # fmt: skip
def test_regions_with_a_surcharge(region: str, model: str, known: bool, bench: Bench) -> None:
    """Later models cost more in a region of Vertex AI than globally: refused, unless their price there is given."""
    bench.provider.rates[model] = (
        Rate("3.30", "16.50") if not known else Rate("1", "5") if "haiku" in model else Rate("3", "15")
    )
    place = {"region": region, "project_id": "p", "access_token": "none", "base_url": bench.provider.url}
    client = bench.client("AnthropicVertex", **place)
    session = bench.pay(client, "$1")
    call = Surface(lambda c: c.messages.create(**{**CHAT, "model": model}))
    if not known:
        with pytest.raises(UnpriceableCall, match="surcharge of 'us-east5'.*prices="):
            bench.take(call, client)
        assert bench.provider.arrivals == 0
        bursar.teardown()
        price = bursar.Price("3.30", "16.50", context_window=200_000, max_output_tokens=64_000)
        session = bench.pay(client, "$1", prices={model: price})
    bench.take(call, client)
    assert bench.provider.arrivals == 1
    bench.assert_exact(session)


def test_a_cloud_that_does_not_have_the_model_is_not_priced_by_another(sync_bench: Bench) -> None:
    """What Anthropic asks for a model is no bound for what Amazon does."""
    client, _ = cloud(sync_bench, "bedrock")
    sync_bench.pay(client, "$1")
    with pytest.raises(bursar.UnknownModel, match="at 'bedrock'"):
        client.messages.create(**{**CHAT, "model": "claude-3-5-haiku-20241022"})
    assert sync_bench.provider.arrivals == 0
