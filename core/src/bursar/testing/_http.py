"""The HTTP server of the provider, on 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from ._audio import form
from ._backend import Backend
from ._paths import SURFACES, Called, called
from ._responses import finished, unfinished
from ._script import Rejected, Reply, Request
from ._shapes import Answer, Event, Surface, delivered

_MADE = re.compile(r"/(?:v1|openai|openai/v1)/responses/(?P<id>resp_[0-9]+)(?P<cancel>/cancel)?")
_MOST_BYTES = 64 * 2**20  # of a request
_GLANCE_S = 0.05  # how often an answer that is held back looks whether its client is still there


class Server(ThreadingHTTPServer):
    """One thread a connection; hundreds may come at once."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._connections: set[Any] = set()
        self._process = os.getpid()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # `HTTPServer` would look up the name of the host
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Listen no more, and lose every connection; a forked child only lets go of what is its parent's."""
        if os.getpid() != self._process:
            self.server_close()
            return
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _lose(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a fault of the script, or of this server."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.backend.failed(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    in_flight = False

    @property
    def backend(self) -> Backend:
        return cast("Server", self.server).backend

    def log_message(self, format: str, *args: Any) -> None:
        """Tests have their own output."""

    # -- requests -------------------------------------------------------------------------------

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/v1/models":
            self.do_free(_models(list(self.backend.rates)))
        elif not self.do_made(path):
            self.do_nothing()

    def do_nothing(self) -> None:
        """Nothing is here."""
        self.backend.knocked()
        if self.payload() is not None:
            self.reject(404, "not_found", f"Invalid URL ({self.command} {self.path})")

    def do_free(self, document: Mapping[str, Any]) -> None:
        """An answer that is on no bill."""
        self.backend.knocked()
        if self.payload() is not None:
            self.send_document(200, document)

    def do_made(self, path: str) -> bool:
        """An answer that was made before, or is being made; False where there is none."""
        asked = _MADE.fullmatch(path)
        made = self.backend.made(asked["id"]) if asked else None
        if asked is None or made is None:
            return False
        if (asked["cancel"] is None) != (self.command == "GET"):
            return False
        made.cancelled = made.cancelled or asked["cancel"] is not None
        made.polls -= 1
        if made.cancelled:
            self.do_free(unfinished(made.answer, "cancelled"))
        elif made.polls >= 0:
            self.do_free(unfinished(made.answer, "in_progress"))
        elif "stream=true" not in self.path:
            self.do_free(finished(made.answer))
        else:
            self.backend.knocked()
            self.send_events(SURFACES["responses"], made.answer)
        return True

    def do_PUT(self) -> None:
        self.do_nothing()

    def do_PATCH(self) -> None:
        self.do_nothing()

    def do_DELETE(self) -> None:
        self.do_nothing()

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        call = called(path)
        if call is None:
            if path == "/v1/moderations":
                self.do_free({"id": "modr_1", "model": "omni-moderation-latest", "results": []})
            elif path == "/v1/messages/count_tokens":
                self.do_free({"input_tokens": 12})
            elif path == "/v1/responses/input_tokens":
                self.do_free({"object": "response.input_tokens", "input_tokens": 11})
            elif not self.do_made(path):
                self.do_nothing()
            return
        self.backend.knocked()
        payload = self.payload()
        if payload is None:
            return
        self.backend.arrived()
        self.in_flight = True
        try:
            self.answer(call, path, payload)
        finally:
            self.leave()

    def payload(self) -> bytes | None:
        """What comes with the request; read in any case, since the next request follows it.

        None where it has no known end, or the client left before it; then nothing can follow.
        """
        lengths = self.headers.get_all("content-length", ["0"])
        if "transfer-encoding" in self.headers:
            self.reject(411, "invalid_request_error", "Send a Content-Length instead of chunks.", last=True)
        elif len(lengths) > 1 or not lengths[0].isdecimal():
            self.reject(400, "invalid_request_error", "Invalid Content-Length.", last=True)
        elif len(lengths[0]) > len(str(_MOST_BYTES)) or int(lengths[0]) > _MOST_BYTES:
            self.reject(413, "invalid_request_error", "The request is too large.", last=True)
        else:
            payload = self.rfile.read(int(lengths[0]))
            if len(payload) == int(lengths[0]):
                return payload
            self.close_connection = True
        return None

    def answer(self, call: Called, path: str, payload: bytes) -> None:
        surface = call.surface
        try:
            if not any(self.headers.get(name) for name in surface.headers):
                raise Rejected(401, "invalid_api_key", "You didn't provide an API key.")
            body = self.body_of(payload)
            if not isinstance(body, dict):
                message = "We could not parse the JSON body of your request."
                raise Rejected(400, "invalid_request_error", message)
            model = str(body.get("model"))
            if call.model is not None:
                model = self.backend.deployments.get(call.model, call.model)
                body = {"model": model, **body}
            request = Request(path, body, model, call.framed or bool(body.get("stream")))
            answer = self.backend.work_on(surface, request)
        except Rejected as rejected:
            error = surface.error(rejected.status, rejected.kind, str(rejected), rejected.param)
            self.send_document(rejected.status, error)
        except BaseException as error:  # of a scripted function; that of a failed test is no `Exception`
            self.backend.failed(error)
            message = f"The script failed: {error!r}"
            self.send_document(500, surface.error(500, "server_error", message, None))
        else:
            if self.hold_back(answer.reply):
                self.send_answer(call, request, answer)

    def body_of(self, payload: bytes) -> Any:
        """The JSON document or the form that was sent; None where it is neither."""
        kind = self.headers.get("content-type", "")
        try:
            return form(payload, kind) if kind.startswith("multipart/") else json.loads(payload)
        except (ValueError, RecursionError):
            return None

    # -- answers --------------------------------------------------------------------------------

    def hold_back(self, reply: Reply) -> bool:
        """Wait as the script says; False when the client went away meanwhile."""
        for gate in (reply.gate, self.backend._open):
            while gate is not None and not gate.wait(_GLANCE_S):
                if self.gone(0):
                    return False
        return not (reply.delay and self.gone(reply.delay))

    def send_answer(self, call: Called, request: Request, answer: Answer) -> None:
        reply, surface = answer.reply, call.surface
        if reply.drop == "before_headers":
            self.lose_connection()
        elif reply.status == 200 and request.stream:
            self.send_events(surface, answer, framed=call.framed)
        else:
            message = f"Scripted error {reply.status}."
            error = surface.error(reply.status, "scripted", message, None)
            document = surface.document(answer) if reply.status == 200 else error
            self.send_document(reply.status, document, lost=reply.drop == "mid_stream")
            if reply.drop:
                self.lose_connection()

    def reject(self, status: int, kind: str, message: str, *, last: bool = False) -> None:
        """An error in the shape of whoever owns the path; the `last` answer of its connection if so."""
        self.close_connection = self.close_connection or last
        owner = "messages" if self.path.startswith(("/v1/messages", "/model/")) else "chat/completions"
        self.send_document(status, SURFACES[owner].error(status, kind, message, None))

    def send_document(self, status: int, document: Mapping[str, Any] | bytes, *, lost: bool = False) -> None:
        sound = isinstance(document, bytes)
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "audio/mpeg" if sound else "application/json")
        self.send_header("content-length", str(len(payload)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.send_request_id()
        self.end_headers()
        self.leave()
        self.wfile.write(payload[: len(payload) // 2] if lost else payload)

    def send_events(self, surface: Surface, answer: Answer, *, framed: bool = False) -> None:
        reply = answer.reply
        self.send_response(200)
        content = "application/vnd.amazon.eventstream" if framed else "text/event-stream; charset=utf-8"
        self.send_header("content-type", content)
        self.send_header("transfer-encoding", "chunked")
        self.send_request_id()
        self.end_headers()
        events = delivered(list(surface.events(answer)), reply)
        if reply.drop == "error_event":
            events.append(Event(surface.error(529, "overloaded_error", "Overloaded", None), named=True))
        for event in events:
            if reply.chunk_delay and self.gone(reply.chunk_delay):
                self.close_connection = True
                return
            if event is events[-1]:
                self.leave()
            payload = event.framed() if framed else event.payload
            self.wfile.write(b"%x\r\n%s\r\n" % (len(payload), payload))
        if reply.drop and reply.drop != "error_event":
            self.lose_connection()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def send_request_id(self) -> None:
        number = self.backend.number()
        for name in ("x-request-id", "request-id"):
            self.send_header(name, f"req_{number}")

    # -- connections ----------------------------------------------------------------------------

    def leave(self) -> None:
        """In flight no more; before the last byte, so that who has the answer sees it."""
        if self.in_flight:
            self.in_flight = False
            self.backend.left()

    def gone(self, seconds: float) -> bool:
        """Wait so long; True as soon as the client closes the connection."""
        self.connection.settimeout(seconds)
        try:
            if not self.connection.recv(1, socket.MSG_PEEK):
                return True
        except (BlockingIOError, TimeoutError):
            return False
        except OSError:
            return True
        finally:
            self.connection.settimeout(None)
        time.sleep(seconds)  # the next request is there already
        return False

    def lose_connection(self) -> None:
        self.close_connection = True
        _lose(self.connection)


def _lose(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client was first
        connection.shutdown(socket.SHUT_RDWR)


def _models(names: list[str]) -> dict[str, Any]:
    """The list that both SDKs read."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "provider"}
        | {"type": "model", "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
        for name in names
    ]
    return {"object": "list", "data": data, "has_more": False, "first_id": None, "last_id": None}
