"""The live page of an account, served in this process, with the steps of its store counted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from itertools import islice
from typing import Any, NamedTuple

from bursar.cli import accounts, place
from bursar.cli.serve.look import Look
from bursar.cli.serve.reader import Reader
from bursar.cli.serve.server import PageServer
from bursar.store import Store


class Served(NamedTuple):
    """A server, and the steps of its store."""

    server: PageServer
    steps: list[str]

    def get(self, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and body of one request, with the token where the path has it as ``TOKEN``."""
        port, path = self.server.port, path.replace("TOKEN", self.server.token)
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            for line in filter(None, value.split("|")):
                connection.putheader(name, line.replace("PORT", str(port)))
        connection.endheaders()
        response = connection.getresponse()
        endless = response.length is None
        body = (response.readline() if endless else response.read()).decode()
        connection.close()
        return response.status, body

    @contextmanager
    def page(self) -> Iterator[Iterator[dict[str, Any]]]:
        """The news of an open page, one after the other."""
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        connection.request("GET", f"/events?token={self.server.token}")
        response = connection.getresponse()
        assert response.status == 200
        try:
            yield news(response)
        finally:
            response.close()
            connection.close()

    @property
    def reads(self) -> bool:
        """True while something reads the store."""
        return self.server.reader._thread is not None


def news(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """The events of a stream."""
    while line := response.readline().decode():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def awaited(page: Iterator[dict[str, Any]], title: str) -> dict[str, Any]:
    """The first news of a page that has this title."""
    return next(told for told in islice(page, 500) if told["title"] == title)


def counted(store: Store, steps: list[str]) -> None:
    """Note each verb that is asked of a store."""
    for verb in ("read", "sessions", "history", "roots", "holds", "audit", "book", "reserve", "settle"):
        sound = getattr(store, verb)

        def step(*arguments: Any, verb: str = verb, sound: Any = sound) -> Any:
            steps.append(verb)
            return sound(*arguments)

        setattr(store, verb, step)


@contextmanager
def serving(url: str, account: str = "support", pause_s: float = 0.02) -> Iterator[Served]:
    """The page of an account in a store, on a port that is free; by default with steps that come sooner."""
    found = accounts.find(place.open_store(url), account)
    steps: list[str] = []
    counted(found.store, steps)
    server = PageServer(0, Reader(Look(found, 30, url), found.store, pause_s))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Served(server, steps)
    finally:
        server.reader.end()
        server.shutdown()
        thread.join()
        server.server_close()
