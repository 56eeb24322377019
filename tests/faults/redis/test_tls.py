"""Encrypted connections: to a server that our CA has signed, by a client that it has signed, and to no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bursar import Budget, StoreUnavailable

from ...certificates import Authority
from ...servers import Server, binary_with, free_port, store_url
from .test_refusals import SECRET, store_of

Files = dict[str, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Certificates of a good CA and of another one."""
    folder = tmp_path_factory.mktemp("tls")
    good, other = Authority(folder, "good"), Authority(folder, "other")
    server, server_key = good.sign("server")
    client, client_key = good.sign("client")
    elsewhere, elsewhere_key = good.sign("elsewhere", "DNS:another.host")
    return {
        "ca": good.certificate,
        "other_ca": other.certificate,
        "server": server,
        "server_key": server_key,
        "client": client,
        "client_key": client_key,
        "elsewhere": elsewhere,
        "elsewhere_key": elsewhere_key,
    }


def encrypted(files: Files, name: str = "server") -> Server:
    """A server that speaks TLS only, and asks for a certificate of the client."""
    return Server(
        binary_with("TLS"),
        tls_port=(port := free_port()),
        port=0,
        tls_cert_file=files[name],
        tls_key_file=files[f"{name}_key"],
        tls_ca_cert_file=files["ca"],
        requirepass=SECRET,
        pidfile=files["ca"].parent / f"{port}.pid",
    )


@pytest.fixture
def server(files: Files) -> Iterator[Server]:
    """A server whose certificate is good."""
    started = encrypted(files)
    yield started
    started.close()


def url(server: Server, **query: object) -> str:
    """A store of its own behind TLS."""
    return store_url(f"rediss://:{SECRET}@127.0.0.1:{server.options['tls_port']}/0", timeout="2s", **query)


def trusted(files: Files) -> dict[str, object]:
    """What a client needs."""
    return {"ca": files["ca"], "cert": files["client"], "key": files["client_key"]}


def test_a_ledger_behind_tls(server: Server, files: Files) -> None:
    """Blocking and awaited, with a self-signed CA on both sides."""
    budget = Budget("$1/total", store=url(server, **trusted(files)))
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")

    async def once() -> None:
        await (await budget.session("$1").areserve(cost="$0.10")).asettle(cost="$0.10")

    asyncio.run(once())
    assert float(budget.spent) == 0.2 and budget.audit() == ()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ca": "other_ca"}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca": None}, "CERTIFICATE_VERIFY_FAILED"),
        ({"cert": None, "key": None}, "rediss://127.0.0.1"),
        ({}, None),
    ],
    ids=["another CA", "no CA", "no certificate", "all right"],
)
def test_a_connection_that_is_not_trusted(
    server: Server, files: Files, wrong: dict[str, str | None], said: str | None
) -> None:
    """Is an error that says which options to look at, and has no password; with the right ones it works."""
    query = trusted(files)
    for name, other in wrong.items():
        del query[name]
        if other is not None:
            query[name] = files[other]
    budget = Budget("$1/total", store=url(server, **query))
    if said is None:
        budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
        return
    with pytest.raises(StoreUnavailable, match=said) as error:
        budget.session("$1").reserve(cost="$0.10")
    assert SECRET not in f"{error.value!r} {store_of(budget).place!r}"
    assert "check ?ca=" in str(error.value) or "VERIFY" not in said


def test_a_certificate_of_another_host_is_not_accepted(files: Files) -> None:
    """Although our CA has signed it."""
    server = encrypted(files, "elsewhere")
    try:
        budget = Budget("$1/total", store=url(server, **trusted(files)))
        with pytest.raises(StoreUnavailable, match="not trusted"):
            budget.session("$1").reserve(cost="$0.10")
    finally:
        server.close()


def test_a_server_that_does_not_speak_tls(files: Files) -> None:
    """It never answers, and no call is made."""
    server = Server()
    try:
        budget = Budget("$1/total", store=store_url(f"rediss://127.0.0.1:{server.port}", timeout="1s"))
        with pytest.raises(StoreUnavailable, match="did not answer|not trusted|cannot be reached"):
            budget.session("$1").reserve(cost="$0.10")
    finally:
        server.close()
