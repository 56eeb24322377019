"""Webhooks: what is posted, how it is signed, where it may go, and that no call ever waits for one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import bursar
from bursar import Alert, AlertKind, AlertLevel, Budget, BudgetExceeded
from bursar.webhooks import webhook as hooks
from bursar.webhooks.address import parse_address
from bursar.webhooks.payload import body_of
from bursar.webhooks.post import post

from ..certificates import Authority
from .hooked import OK, Receiver, answer, receiver, until

SECRET = "correct horse"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come after milliseconds, and end soon after their test."""
    monkeypatch.setattr(hooks, "_IN_ALL_S", 3.0)
    monkeypatch.setattr(hooks, "_FIRST_PAUSE_S", 0.002)
    monkeypatch.setattr(hooks, "_LAST_PAUSE_S", 0.01)


def budget(here: Receiver | str, **settings: Any) -> Budget:
    """A dollar, and a webhook on this machine."""
    url = here if isinstance(here, str) else here.url
    settings.setdefault("webhook_allow_private", True)
    return Budget("$1/total", webhook_url=url, **settings)


def reach(of: Budget, cost: str = "$0.95") -> None:
    """Reach the soft limit."""
    of.session(id="run").reserve(cost=cost).settle(cost=cost)


# -- what is posted ---------------------------------------------------------------------------------------


def test_an_alert_is_posted_as_signed_json() -> None:
    """Its fields and the report; a receiver of ten lines of plain `hmac` accepts it, and so does `verify_webhook`."""
    with receiver() as here:
        reach(budget(here, webhook_secret=SECRET))
        (request,) = here.wait()
    assert request.line == "POST /alerts?channel=money HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{here.port}"
    told = json.loads(request.body)
    assert told["event_type"] == told["kind"] == "soft_limit"
    assert (told["level"], told["limit"], told["threshold"]) == ("warning", "$1/total", 0.9)
    assert (told["fraction"], told["spent"], told["account"]) == (0.95, 0.95, "default")
    assert told["report"]["total_spent"] == 0.95 and told["report"]["alert"]["threshold"] == 0.9
    assert told["id"] == request.headers["webhook-id"]
    signed = f"{told['id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    mac = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{mac}"
    assert bursar.verify_webhook(request.body, request.headers, SECRET)


def test_the_receiver_of_the_page_accepts_what_is_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten lines of plain `hmac`, by either of two secrets; nothing that was changed, and nothing old."""
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text("utf-8")
    block = page.partition("### A receiver")[2].partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(block, names)
    assert "bursar" not in block and len(block.partition("def genuine")[2].splitlines()) <= 10
    genuine = names["genuine"]
    with receiver() as here:
        reach(budget(here, webhook_secret=[SECRET, "next"]))
        (request,) = here.wait()
    assert genuine(request.body, request.headers, SECRET) and genuine(request.body, request.headers, "next")
    assert not genuine(request.body, request.headers, "wrong")
    assert not genuine(request.body + b" ", request.headers, SECRET)
    assert not genuine(request.body, request.headers | {"webhook-id": "other"}, SECRET)
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 301)
    assert not genuine(request.body, request.headers, SECRET)


@pytest.mark.parametrize(
    ("change", "genuine"),
    [
        ({}, True),
        ({"secret": ["old", SECRET]}, True),
        ({"secret": "wrong"}, False),
        ({"body": b"{}"}, False),
        ({"webhook-id": "other"}, False),
        ({"webhook-timestamp": "tomorrow"}, False),
        ({"webhook-signature": "v1,AAAA"}, False),
        ({"webhook-signature": None}, False),
    ],
)
def test_only_what_was_signed_is_genuine(change: dict[str, Any], genuine: bool) -> None:
    """Body, id and moment are signed; another secret, or none of the headers, is no proof."""
    with receiver() as here:
        reach(budget(here, webhook_secret=SECRET))
        (request,) = here.wait()
    changed = dict(change)
    secret, body = changed.pop("secret", SECRET), changed.pop("body", request.body)
    headers = {
        name.title(): value for name, value in (request.headers | changed).items() if value is not None
    }
    assert bursar.verify_webhook(body, headers, secret) is genuine
    if not change:
        assert bursar.verify_webhook(body.decode(), headers, secret)


def test_a_recorded_request_is_not_genuine_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent again after the tolerance it is refused, however right its signature is."""
    with receiver() as here:
        reach(budget(here, webhook_secret=SECRET))
        (request,) = here.wait()
    now_s = time.time()
    for later_s, genuine in ((0, True), (200, True), (301, False), (-301, False)):
        monkeypatch.setattr(time, "time", lambda later_s=later_s: now_s + later_s)
        assert bursar.verify_webhook(request.body, request.headers, SECRET) is genuine
    assert bursar.verify_webhook(request.body, request.headers, SECRET, tolerance="1h")


def test_two_secrets_sign_while_one_replaces_the_other() -> None:
    """A receiver that knows either accepts; a secret may be given as base64, as the standard writes it."""
    coded = "whsec_" + base64.b64encode(b"raw bytes").decode()
    with receiver() as here:
        reach(budget(here, webhook_secret=[SECRET, coded]))
        (request,) = here.wait()
    assert all(bursar.verify_webhook(request.body, request.headers, one) for one in (SECRET, coded))
    assert not bursar.verify_webhook(request.body, request.headers, "third")


def test_without_a_secret_nothing_is_signed() -> None:
    """The id is there all the same; each URL is told."""
    with receiver() as one, receiver() as other:
        reach(Budget("$1", webhook_url=[one.url, other.url], webhook_allow_private=True))
        (request,), (twin,) = one.wait(), other.wait()
    assert "webhook-signature" not in request.headers
    assert request.headers["webhook-id"] == twin.headers["webhook-id"]


def test_slack_gets_a_line() -> None:
    """Which names no internal id and holds no markup of a hostile name."""
    alert = Alert("id", AlertKind.HARD_LIMIT, AlertLevel.CRITICAL, "$1 in '<!channel>' is reached", "a/b")
    assert json.loads(body_of(alert, "hooks.slack.com")) == {
        "text": ":rotating_light: bursar: $1 in '&lt;!channel&gt;' is reached"
    }
    assert json.loads(body_of(alert, "example.com"))["event_type"] == "hard_limit"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234",
        "Bearer abcdefgh12345678",
        "https://me:hunter22@example.com",
        "api_key=hunter22",
    ],
)
def test_no_secret_is_posted(secret: str) -> None:
    """Not even where somebody put one into a name."""
    alert = Alert(
        "id",
        AlertKind.OVERRUN,
        AlertLevel.WARNING,
        secret,
        secret,
        report={secret: [secret, float("nan"), Exception(secret)]},
    )
    body = body_of(alert, "example.com").decode()
    assert "hunter22" not in body and "abcdefgh" not in body
    assert json.loads(body)["report"].popitem()[1][1] is None


# -- what becomes of it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [answer(500), answer(429), answer(408), b"", b"nonsense\r\n\r\n"])
def test_a_failed_delivery_is_repeated_with_its_id(failure: bytes) -> None:
    """Until it is taken: the receiver knows it by its id."""
    with receiver(failure, failure, OK) as here:
        reach(budget(here))
        requests = here.wait(3)
    assert len({request.headers["webhook-id"] for request in requests}) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410])
def test_a_refused_delivery_is_not_repeated(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """And a redirect is not followed; the log says so once, without the path, which may hold a secret."""
    with receiver() as elsewhere, receiver(answer(status, f"Location: {elsewhere.url}")) as here:
        of = budget(here)
        reach(of)
        here.wait()
        with pytest.raises(BudgetExceeded):  # the second alert comes after the first
            of.session().reserve(cost=1)
        here.wait()
    assert elsewhere.connections == 0
    assert len(here.received) == 2
    errors = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert f"the webhook http://127.0.0.1:{here.port} refused an alert: it answered {status}" in errors
    assert "channel=money" not in caplog.text


def test_what_is_never_taken_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At its deadline, and the next alert is tried."""
    monkeypatch.setattr(hooks, "_IN_ALL_S", 0.5)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        of = budget(f"http://127.0.0.1:{closed.getsockname()[1]}/")
        reach(of)
        until(lambda: "was not told" in caplog.text)


def test_an_answer_that_drips_is_cut_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte at a time keeps no read waiting for long, and the whole for no longer than an attempt."""
    monkeypatch.setattr(hooks, "_ATTEMPT_S", 0.3)
    cut = threading.Event()

    def drip(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(b"H")
                time.sleep(0.02)
        except OSError:
            cut.set()

    with receiver() as here:
        here.slowly = drip
        reach(budget(here))
        here.wait()
        assert cut.wait(30)
        here.slowly = None
        here.wait()


def test_no_attempt_begins_after_its_deadline() -> None:
    """Nobody is connected to."""
    with receiver() as here, pytest.raises(TimeoutError):
        post(parse_address(here.url, "url"), b"", {}, deadline_s=0, allow_private=True)
    assert here.connections == 0


def test_no_call_waits_for_a_webhook_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What finds no room is dropped, and that is told when there is room again."""
    monkeypatch.setattr(hooks, "_MOST", 2)
    release = threading.Event()

    def hang(connection: socket.socket) -> None:
        assert release.wait(30)
        connection.sendall(OK)

    heard: list[str] = []
    with receiver() as here:
        here.slowly = hang
        of = Budget(
            "$1/session",
            webhook_url=here.url,
            webhook_allow_private=True,
            on_alert=lambda one: heard.append(one.message),
        )
        for number in range(10):
            of.session(id=f"run{number}").reserve(cost="$0.95").settle(cost="$0.95")
        release.set()

        def counted() -> int:
            told = [json.loads(request.body) for request in here.received]
            lost = [one["message"] for one in told if one["event_type"] == "store_trouble"]
            return len(told) - len(lost) + sum(int(message.rpartition(" ")[2]) for message in lost)

        until(lambda: counted() == 10)
    (lost, *_) = (message for message in heard if "too many waited" in message)
    assert str(here.port) in lost and "channel" not in lost


def test_an_exit_waits_for_a_delivery() -> None:
    """Of an alert that the last call of a program caused."""
    with receiver() as here:
        program = f"""
            from bursar import Budget
            budget = Budget("$1", webhook_url={here.url!r}, webhook_allow_private=True)
            budget.session().reserve(cost="$0.95").settle(cost="$0.95")
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=30, check=True)
        assert len(here.wait()) == 1


def test_a_webhook_speaks_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a server whose certificate is for its host and signed by somebody trusted, and to no other."""
    trusted, unknown = Authority(tmp_path, "trusted"), Authority(tmp_path, "unknown")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.certificate))
    for signed, taken in (
        (trusted.sign("right"), True),
        (trusted.sign("other", "DNS:example.com"), False),
        (unknown.sign("right"), False),
    ):
        with receiver(tls=signed) as here:
            reach(budget(here.url.replace("http:", "https:")))
            if taken:
                here.wait()
            else:
                until(lambda here=here: here.connections > 0)  # type: ignore[misc]
            assert len(here.received) == taken


# -- where it may go --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "0.0.0.0",
    ],
)
def test_a_private_address_gets_no_connection(
    host: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is written; with leave of the user it does."""
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo.__wrapped__)  # type: ignore[attr-defined]
    with receiver(host="::1" if host == "[::1]" else "127.0.0.1") as here:
        reach(Budget("$1", webhook_url=f"http://{host}:{here.port}/"))
        until(lambda: "a private address" in caplog.text)
        assert here.connections == 0
        if host in ("127.0.0.1", "[::1]", "localhost"):
            reach(budget(f"http://{host}:{here.port}/"))
            here.wait()


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What it means later changes nothing: the connection goes to the address that was found to be public."""
    asked: list[str] = []

    def resolve(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        asked.append(host)
        number = "127.0.0.1" if host in asked[:-1] else "8.8.8.8"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))]

    connected: list[Any] = []

    def connect(address: Any, timeout: float) -> socket.socket:
        connected.append(address)
        raise OSError("stop here")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(hooks, "_IN_ALL_S", 0.001)
    reach(Budget("$1", webhook_url="http://once.example/"))
    until(lambda: "once.example was not told" in caplog.text)
    assert asked.count("once.example") == 1
    assert ("8.8.8.8", 80) in connected  # others may be of deliveries that go on from earlier tests


@pytest.mark.parametrize("numbers", [["169.254.169.254"], ["8.8.8.8", "fe80::1"]])
def test_a_name_that_leads_to_the_local_link_gets_no_connection(
    numbers: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a cloud hands out credentials: nor with leave for private addresses, nor beside a public one."""

    def resolve(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in numbers]

    connected: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: connected.append(address))
    reach(budget(f"http://metadata{len(numbers)}.example/"))
    until(lambda: f"metadata{len(numbers)}.example was not told" in caplog.text)
    assert "a link-local address" in caplog.text
    reached = {
        address[0] for address in connected
    }  # others may be of deliveries that go on from earlier tests
    assert not reached & set(numbers)


def test_a_name_that_turns_to_this_machine_gets_no_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first look finds a public address, where nobody answers; the next one this machine, which listens."""
    asked: list[str] = []
    connect, look_up = socket.create_connection, socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host != "alerts.example":
            return look_up(host, port, *args, **options)
        asked.append(host)
        number = "8.8.8.8" if host not in asked[:-1] else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))]

    def only_here(address: Any, timeout: float) -> socket.socket:
        if address[0] == "8.8.8.8":
            raise OSError("nobody answers")
        return connect(address, timeout)

    with receiver() as here:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(socket, "create_connection", only_here)
        reach(Budget("$1", webhook_url=f"http://alerts.example:{here.port}/"))
        until(lambda: here.connections > 0 or f"alerts.example:{here.port} was not told" in caplog.text)
    assert asked.count("alerts.example") == 2 and here.connections == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"webhook_url": "file:///etc/passwd"}, "takes a URL of http or https, not of 'file'"),
        *(
            ({"webhook_url": f"http://{host}/latest", "webhook_allow_private": True}, "a link-local address")
            for host in ("169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]")
        ),
        ({"webhook_url": "example.com/x"}, "takes a URL of http or https"),
        ({"webhook_url": "https://"}, "takes a URL of http or https"),
        ({"webhook_url": "https://me:hunter22@example.com"}, "must not hold a name and a password"),
        ({"webhook_url": "https://example.com:99999/"}, "is not a URL"),
        ({"webhook_url": "https://example.com/a b"}, "letters that a URL cannot have"),
        ({"webhook_url": 5}, "takes a URL"),
        ({"webhook_url": []}, "takes a URL, or a list of URLs"),
        ({"webhook_url": ["https://example.com", 5]}, "takes a URL"),
        ({"webhook_secret": "hunter22"}, "need a webhook_url="),
        ({"webhook_allow_private": True}, "need a webhook_url="),
        ({"webhook_url": "https://example.com", "webhook_secret": ""}, "takes a text"),
        ({"webhook_url": "https://example.com", "webhook_secret": "whsec_hunter22!"}, "is not base64"),
        ({"webhook_url": "https://example.com", "webhook_allow_private": 1}, "is not True or False"),
        (
            {"webhook_url": "https://example.com", "webhook_proxy": "https://example.com"},
            "takes a URL of http",
        ),
        ({"alerts": "later"}, "is not 'thread' or 'inline'"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], message: str) -> None:
    """When the budget is made; no secret is in the message."""
    with pytest.raises(ValueError, match=message) as error:
        Budget("$1", **settings)
    assert "hunter22" not in str(error.value)


def test_a_verification_needs_a_secret() -> None:
    """Else everything would be genuine, or nothing."""
    with pytest.raises(ValueError, match="takes the text"):
        bursar.verify_webhook(b"", {}, None)  # type: ignore[arg-type]


def test_a_proxy_connects_in_our_place() -> None:
    """For http with the whole URL, for https by CONNECT; the name is looked up by the proxy."""
    with receiver() as proxy:
        of = Budget(
            "$1", webhook_url="http://alerts.example:8080/x", webhook_proxy=f"http://127.0.0.1:{proxy.port}"
        )
        reach(of)
        (request,) = proxy.wait()
    assert request.line == "POST http://alerts.example:8080/x HTTP/1.1"
    with receiver(answer(407)) as proxy:
        of = Budget(
            "$1", webhook_url="https://alerts.example/x", webhook_proxy=f"http://127.0.0.1:{proxy.port}"
        )
        reach(of)
        (request, *_) = proxy.wait()
    assert request.line == "CONNECT alerts.example:443 HTTP/1.1"
    with receiver(answer(200)) as proxy:  # it says that it has connected, and no TLS follows
        of = Budget(
            "$1", webhook_url="https://alerts.example/x", webhook_proxy=f"http://127.0.0.1:{proxy.port}"
        )
        reach(of)
        proxy.wait(2)
