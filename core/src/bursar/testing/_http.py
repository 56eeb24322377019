"""The HTTP of a provider, on 127.0.0.1."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from ._anthropic import Messages
from ._desk import Desk
from ._openai import Chat, Embeddings, Responses
from ._script import Rejected, Request
from ._wire import Answer, Surface

_SURFACES: dict[str, Surface] = {
    "/v1/chat/completions": Chat(),
    "/v1/responses": Responses(),
    "/v1/embeddings": Embeddings(),
    "/v1/messages": Messages(),
}


class Server(ThreadingHTTPServer):
    """One thread a connection; hundreds may come at once."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, desk: Desk) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.desk = desk

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def desk(self) -> Desk:
        return cast("Server", self.server).desk

    def log_message(self, format: str, *args: Any) -> None:
        """Tests have their own output."""

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self.send_document(
                404, Chat().error(404, "not_found", f"Unknown request URL: GET {self.path}", None)
            )
            return
        data = [{"id": name, "object": "model", "owned_by": "provider"} for name in self.desk.rates]
        self.send_document(200, {"object": "list", "data": data})

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        payload = self.rfile.read(int(self.headers.get("content-length", 0)))
        surface = _SURFACES.get(path)
        if surface is None:
            self.send_document(404, Chat().error(404, "not_found", f"Unknown request URL: POST {path}", None))
            return
        self.desk.arrived()
        try:
            if not any(self.headers.get(name) for name in surface.headers):
                raise Rejected(401, "invalid_api_key", "You didn't provide an API key.")
            try:
                body = json.loads(payload)
            except ValueError:
                body = None
            if not isinstance(body, dict):
                raise Rejected(
                    400, "invalid_request_error", "We could not parse the JSON body of your request."
                )
            request = Request(path, body, str(body.get("model")), bool(body.get("stream")))
            answer = self.desk.work_on(surface, request)
        except Rejected as rejected:
            error = surface.error(rejected.status, rejected.kind, str(rejected), rejected.param)
            self.send_document(rejected.status, error)
            return
        self.send_answer(surface, request, answer)

    def send_answer(self, surface: Surface, request: Request, answer: Answer) -> None:
        reply = answer.reply
        if reply.gate is not None:
            reply.gate.wait(60)
        self.desk.wait_until_open()
        if reply.delay:
            time.sleep(reply.delay)
        if reply.drop == "before_headers":
            self.lose_connection()
        elif reply.status != 200:
            error = surface.error(
                reply.status, "rate_limit_exceeded", f"Scripted error {reply.status}.", None
            )
            self.send_document(reply.status, error)
        elif request.stream:
            self.send_events(surface, answer)
        else:
            self.send_document(200, surface.document(answer))

    def send_document(self, status: int, document: Mapping[str, Any]) -> None:
        payload = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.send_request_id()
        self.end_headers()
        self.wfile.write(payload)

    def send_events(self, surface: Surface, answer: Answer) -> None:
        events = list(surface.events(answer))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_request_id()
        self.end_headers()
        for index, event in enumerate(events):
            if answer.reply.drop == "mid_stream" and index >= len(events) // 2:
                self.lose_connection()
                return
            if answer.reply.chunk_delay:
                time.sleep(answer.reply.chunk_delay)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event.payload), event.payload))
            self.wfile.flush()
            if answer.reply.drop == "after_final_usage" and event.usage:
                self.lose_connection()
                return
        self.wfile.write(b"0\r\n\r\n")

    def send_request_id(self) -> None:
        for name in ("x-request-id", "request-id"):
            self.send_header(name, f"req_{self.desk.number()}")

    def lose_connection(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
