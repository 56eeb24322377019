"""`serve`: the page live, for whoever has its URL, at a price for the store that does not grow with the pages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from bursar import Budget, StoreUnavailable
from bursar.cli import accounts, place
from bursar.cli.serve.look import Look
from bursar.cli.serve.reader import PAUSE_S
from bursar.cli.serve.server import PageServer
from bursar.ledger.steps import run as carry_out

from ..files import file_url
from ..servers import until
from .commands import Run, fill
from .serving import Served, awaited, counted, news, serving
from .test_hostile import EVIL


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One server for requests that leave nothing behind."""
    url = file_url()
    fill(url)
    with serving(url) as served:
        yield served


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/?token=TOKEN", "GET", {}, 200),
        ("/?token=TOKEN", "GET", {"Host": "127.0.0.1:PORT"}, 200),
        ("/?token=TOKEN", "GET", {"Host": "LocalHost:PORT"}, 200),
        ("/", "GET", {}, 403),
        ("/?token=", "GET", {}, 403),
        ("/?token=TOKENx", "GET", {}, 403),
        ("/?token=wrong", "GET", {}, 403),
        ("/?token=%C3%A9", "GET", {}, 403),
        ("/?token=TOKEN&token=wrong", "GET", {}, 403),
        ("/events", "GET", {}, 403),
        ("/events?token=wrong", "GET", {}, 403),
        ("/?token=TOKEN", "GET", {"Host": "evil.example:PORT"}, 403),
        ("/?token=TOKEN", "GET", {"Host": "127.0.0.1"}, 403),
        ("/?token=TOKEN", "GET", {"Host": "127.0.0.1:1"}, 403),
        ("/?token=TOKEN", "GET", {"Host": "127.0.0.1:PORT.evil.example"}, 403),
        ("/?token=TOKEN", "GET", {"Host": ""}, 403),
        ("/?token=TOKEN", "GET", {"Host": "127.0.0.1:PORT|evil.example:PORT"}, 403),
        ("/events?token=TOKEN", "GET", {"Host": "evil.example:PORT"}, 403),
        ("/?token=TOKEN", "POST", {"Content-Length": "0"}, 405),
        ("/?token=TOKEN", "PUT", {"Content-Length": "0"}, 405),
        ("/?token=TOKEN", "DELETE", {}, 405),
        ("/?token=TOKEN", "OPTIONS", {}, 405),
        ("/?token=TOKEN", "HEAD", {}, 405),
        ("/?token=TOKEN", "BREW", {}, 405),
        ("http://a/?token=TOKEN", "GET", {"Host": "127.0.0.1:PORT"}, 400),
        ("/nowhere?token=TOKEN", "GET", {}, 404),
        ("/../../etc/passwd?token=TOKEN", "GET", {}, 404),
    ],
)  # fmt: skip
def test_only_a_get_with_the_token_and_our_name_is_answered(
    served: Served, path: str, method: str, headers: dict[str, str], status: int
) -> None:
    """Whatever else comes is refused before the store is read, and is told nothing."""
    until(lambda: not served.reads)  # for a page of the test before
    before = len(served.steps)
    found, body = served.get(path, method, **headers)
    assert found == status
    if status == 200:
        assert "$1.55" in body and "web_search" in body
    else:
        assert "support" not in body and served.server.token not in body and len(served.steps) == before


def test_nothing_of_the_page_is_kept_or_let_in(served: Served) -> None:
    """No cache, no foreign script or frame, no address that goes on to others; whatever the answer is."""
    for path in ("/?token=TOKEN", "/"):
        connection = HTTPConnection("127.0.0.1", served.server.port, timeout=30)
        connection.request("GET", path.replace("TOKEN", served.server.token))
        headers = connection.getresponse().headers
        policy = str(headers["Content-Security-Policy"])
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "script-src 'sha256-" in policy and "Access-Control-Allow-Origin" not in headers
        assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
        connection.close()


def test_what_is_no_http_is_refused(served: Served) -> None:
    """And nobody is told what it was."""
    for line in (b"\x16\x03\x01\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        connection = HTTPConnection("127.0.0.1", served.server.port, timeout=30)
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(line)
        assert b"1.55" not in connection.sock.recv(100_000)
        connection.close()


def test_what_is_spent_shows(store: str) -> None:
    """Each open page is told, with the figures of the store."""
    with serving(store) as served, served.page() as first, served.page() as second:
        assert next(first)["title"] == "support: $1.55 spent"
        Budget(name="support", store=store).child("bob").session(id="new").track(None, "$0.05", "search")
        for page in (first, second):
            told = awaited(page, "support: $1.60 spent")
            assert "$1.60" in told["body"] and "search" in told["body"] and told["trouble"] == ""


def test_one_reader_for_many_pages_and_none_for_no_page(store: str) -> None:
    """Twenty pages cost what one does, a step in each pause; a store that nobody looks at is not read."""
    assert 2 * PAUSE_S >= 1  # two steps a second, by default
    began_s = time.monotonic()
    with serving(store, pause_s=0.1) as served:
        assert served.steps == [] and not served.reads
        with ExitStack() as stack:
            pages = [stack.enter_context(served.page()) for _ in range(20)]
            assert all(next(page) and next(page) for page in pages)
            readers_there = [one.name for one in threading.enumerate()].count("bursar-serve")
            assert readers_there == 1
        until(lambda: not served.reads)
        seen = len(served.steps)
        assert served.steps[:3] == ["read", "sessions", "history"]
        assert (seen - 1) * 0.1 <= time.monotonic() - began_s
        with served.page() as page:
            next(page)
            assert len(served.steps) > seen
        until(lambda: not served.reads)


def test_nobody_who_spends_is_disturbed(store: str) -> None:
    """Four threads spend beside two open pages: not one call is refused, every cent counts, a step in each pause."""
    spent, threads = [0] * 4, []
    ended = threading.Event()
    budget = Budget(name="busy", store=store)
    budget.session().track(None, "$0.01", "search")

    def spend(place: int) -> None:
        session = budget.child(f"tenant {place}").session()
        while not ended.is_set():
            session.reserve(cost="$0.01").settle(cost="$0.01")
            spent[place] += 1

    began_s = time.monotonic()
    with serving(store, "busy", 0.1) as served, served.page() as page, served.page():
        next(page)
        threads = [threading.Thread(target=spend, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: min(spent) > 0)
        assert next(page) and next(page)
        ended.set()
        for thread in threads:
            thread.join()
        assert awaited(page, f"busy: ${(1 + sum(spent)) / 100:,.2f} spent")
    assert (len(served.steps) - 1) * 0.1 <= time.monotonic() - began_s
    assert set(served.steps) == {"read", "sessions", "history"}


def test_a_store_that_is_gone_is_told_and_comes_back(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    """The page says so, without a password; and shows the figures again afterwards."""
    with serving(store) as served, served.page() as page:
        assert next(page)["trouble"] == ""
        sound, gone = served.server.reader._store.read, StoreUnavailable("redis://x:hunter2@h is gone")

        def read(*_: object) -> None:
            raise gone

        monkeypatch.setattr(served.server.reader._store, "read", read)
        told = awaited(page, "")
        assert told["trouble"] == "The store could not be read: redis://x:[redacted]@h is gone"
        assert "The store could not be read" in served.get("/?token=TOKEN")[1]
        monkeypatch.setattr(served.server.reader._store, "read", sound)
        assert awaited(page, "support: $1.55 spent")["trouble"] == ""


def test_names_are_text_in_what_is_told(empty: str) -> None:
    """Also in the title; and a news is one line whatever the names are."""
    budget = Budget(name=EVIL[0], store=empty)
    for name in (*EVIL, f"sk-{'a' * 48}"):
        budget.child(name).session(id=name).track(None, "$0.25", name)
    with serving(empty, EVIL[0]) as served, served.page() as page:
        told = next(page)
        assert "<script" not in told["body"] and "&lt;script&gt;" in told["body"]
        assert "\u202e" not in told["body"] and "sk-" not in told["body"]
        assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;: $2.75 spent" in served.get("/?token=TOKEN")[1]


def test_a_round_is_four_steps_and_agents_are_read_one_session_at_a_time(empty: str) -> None:
    """The newest session first, then the one that was read longest ago; a session has its own agents at once."""
    budget = Budget(name="crew", store=empty)
    for number in range(3):
        budget.session(id=f"run {number}").part(f"agent {number}").track(None, f"$0.{number + 1}", "search")
    steps: list[str] = []
    found = accounts.find(place.open_store(empty), "crew")
    look = Look(found, 30, empty)
    assert "agent 2" in carry_out(look(), found.store).body()
    assert "agent 0" not in carry_out(look(), found.store).body()
    counted(found.store, steps)
    page = carry_out(look(), found.store).body()
    assert steps == ["read", "sessions", "history", "sessions"]
    assert all(f"<td>agent {number}</td>" in page for number in range(3))
    budget.session(id="run 2").part("late").track(None, "$1", "search")
    assert "<td>late</td>" in carry_out(look(), found.store).body()
    run = accounts.find(place.open_store(empty), "crew/run 1")
    shown = carry_out(Look(run, 30, empty)(), run.store).body()
    assert "By agent</h2>" in shown and "<td>agent 1</td>" in shown and "By session" not in shown


def test_ctrl_c_ends_it_well(store: str) -> None:
    """With a page open: status 0, the page ends, and nothing is said but the URL; it is in no log."""
    command = [sys.executable, "-m", "bursar", "serve", "--json", "--store", store, "--account", "support"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # tests that run in the background ignore it
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    host, _, path = url.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=30)
    connection.request("GET", f"/events{path}")
    told = news(connection.getresponse())
    assert next(told)["title"] == "support: $1.55 spent"
    process.send_signal(signal.SIGINT)
    assert list(told)[1:] == []
    out, err = process.communicate(timeout=30)
    connection.close()
    assert (process.returncode, out, err) == (0, "", "")


def test_a_browser_that_goes_away_before_the_page_is_there(store: str) -> None:
    """It is forgotten, and the store is read no more."""
    with serving(store, pause_s=60) as served:
        connection = HTTPConnection("127.0.0.1", served.server.port, timeout=30)
        connection.request("GET", f"/?token={served.server.token}")
        until(lambda: served.steps)
        connection.close()
        until(lambda: not served.reads)
        assert len(served.steps) == 1


def test_a_port_that_is_taken(run: Run, served: Served) -> None:
    """Told in one line, with what to do."""
    url = file_url()
    fill(url)
    done = run("serve", "--store", url, "--account", "support", "--port", served.server.port)
    assert (done.status, done.out) == (2, "")
    assert f"port {served.server.port} cannot be had" in done.err and "--port 0" in done.err


def test_the_url_is_said(run: Run, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the port that was asked for and a token that is new each time; Ctrl-C is named."""

    def interrupted(server: PageServer, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupted)
    said = [run("serve", "--store", store, "--account", "support").out.splitlines() for _ in range(2)]
    assert all(
        url.startswith("http://127.0.0.1:") and len(url.partition("token=")[2]) >= 43 for url, _ in said
    )
    assert said[0][0].partition("token=")[2] != said[1][0].partition("token=")[2]
    assert said[0][1] == "Ctrl-C ends it."
