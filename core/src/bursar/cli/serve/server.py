"""Serves the live page to browsers of this machine, over HTTP on 127.0.0.1."""

from __future__ import annotations

import hmac
import json
import os
import select
import socket
from base64 import b64encode
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from secrets import token_urlsafe
from socketserver import ThreadingTCPServer
from urllib.parse import parse_qs, urlsplit

from ...reports.page import document
from ...reports.page.escape import escaped
from .reader import Reader, Told

_LOOK_S = 0.5  # how often a page that waits for news is looked after
_SCRIPT = files(__package__).joinpath("live.js").read_text("utf-8")
_HASH = b64encode(sha256(_SCRIPT.encode()).digest()).decode()
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none';script-src 'sha256-{_HASH}';connect-src 'self';"
    "style-src 'unsafe-inline';img-src data:;base-uri 'none';form-action 'none';frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageServer(ThreadingTCPServer):
    """Listens on 127.0.0.1; only who knows its URL is answered.

    Args:
        port: where; 0: one that is free.
        reader: what the pages are told by.

    Raises:
        OSError: the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = os.name == "posix"

    def __init__(self, port: int, reader: Reader) -> None:
        super().__init__(("127.0.0.1", port), _Request)
        self.reader = reader
        self.token = token_urlsafe(32)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """What a browser opens; whoever has it may look."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def run(self) -> None:
        """Serve until KeyboardInterrupt; then let the open pages end."""
        with suppress(KeyboardInterrupt), self:
            try:
                self.serve_forever(poll_interval=0.1)
            finally:
                self.reader.end()


class _Request(BaseHTTPRequestHandler):
    """One request. It is refused before anything is read, unless it is a GET with our name and the token."""

    server: PageServer
    timeout = 10.0
    server_version, sys_version = "bursar", ""

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # the browser has gone
            super().handle()

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        refusal = self._refusal()
        if refusal is not None:
            self._answer(*refusal)
        return refusal is None

    def _refusal(self) -> tuple[HTTPStatus, str] | None:
        if not self._is_ours(self.headers.get_all("Host", [])):  # a foreign site may have its name lead here
            return HTTPStatus.FORBIDDEN, "This server has another name."
        if self.command != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, "This server only shows."
        if not self.path.startswith("/"):
            return HTTPStatus.BAD_REQUEST, "This server is no proxy."
        tokens = parse_qs(urlsplit(self.path).query).get("token", [])
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0].encode(), self.server.token.encode()):
            return HTTPStatus.FORBIDDEN, "The token is missing or wrong; `bursar serve` has said the address."
        return None

    def _is_ours(self, hosts: list[str]) -> bool:
        name, _, port = hosts[0].lower().partition(":") if len(hosts) == 1 else ("", "", "")
        return name in ("127.0.0.1", "localhost") and (port or "80") == str(self.server.port)

    def do_GET(self) -> None:
        """The page, or its news."""
        show = {"/": self._page, "/events": self._events}.get(urlsplit(self.path).path)
        if show is None:
            self._answer(HTTPStatus.NOT_FOUND, "There is nothing here.")
            return
        with self.server.reader.page():
            show()

    def _page(self) -> None:
        told = self._news(0)
        if told is not None:
            state = f'<p id="state" role="status">{escaped(told.trouble)}</p>'
            content = f"{state}<main>{told.body}</main>\n<script>{_SCRIPT}</script>"
            self._answer(HTTPStatus.OK, document(told.title or "bursar", content, ""), "text/html")

    def _events(self) -> None:
        self._begin(HTTPStatus.OK, "text/event-stream")
        told = self._news(0)
        while told is not None:
            news = json.dumps({"title": told.title, "body": told.body, "trouble": told.trouble})
            self.wfile.write(f"data: {news}\n\n".encode())
            told = self._news(told.number)

    def _news(self, after: int) -> Told | None:
        """What comes after a number; None where the browser has gone, or the server ends."""
        while not self.server.reader.ended and not self._has_gone():
            told = self.server.reader.news(after, _LOOK_S)
            if told is not None:
                return told
        return None

    def _has_gone(self) -> bool:
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        return not self.connection.recv(1, socket.MSG_PEEK)

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self._begin(status, kind, len(body))
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is logged: a line of the log would hold the token."""
