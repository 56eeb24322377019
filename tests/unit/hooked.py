"""A receiver of webhooks on 127.0.0.1: a plain socket server that answers as it is told and keeps what came."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Received:
    """One request: its first line, its headers by small letters, its body."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and how to answer it.

    Attributes:
        answers: the bytes of the next answers; the last one goes on.
        connections: how many there were.
        got: is set at each request.
    """

    answers: list[bytes]
    port: int = 0
    connections: int = 0
    received: list[Received] = field(default_factory=list)
    got: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    slowly: Callable[[socket.socket], None] | None = None

    @property
    def url(self) -> str:
        """Of a path with a query."""
        return f"http://127.0.0.1:{self.port}/alerts?channel=money"

    def wait(self, count: int = 1) -> list[Received]:
        """The requests, once as many more have come."""
        for _ in range(count):
            assert self.got.acquire(timeout=30)
        return self.received


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread to have done something."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def answer(status: int, *headers: str) -> bytes:
    """The bytes of an answer without a body."""
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "Content-Length: 0", "", ""]).encode()


OK = answer(204)


def read_request(connection: socket.socket) -> Received:
    """One request from a connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            raise OSError
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    return Received(line, headers, body)


@contextlib.contextmanager
def receiver(
    *answers: bytes, host: str = "127.0.0.1", tls: tuple[Path, Path] | None = None
) -> Iterator[Receiver]:
    """A server for as long as the block runs; with a certificate and its key it speaks TLS."""
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    here = Receiver(list(answers) or [OK])
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        listener.listen(64)
        here.port = listener.getsockname()[1]
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                here.connections += 1
                with contextlib.suppress(OSError), contextlib.ExitStack() as open_now:
                    open_now.enter_context(connection)
                    if context is not None:
                        connection = open_now.enter_context(context.wrap_socket(connection, server_side=True))
                    request = read_request(connection)
                    here.received.append(request)
                    if here.slowly is not None:
                        here.got.release()
                        here.slowly(connection)
                        continue
                    connection.sendall(here.answers.pop(0) if len(here.answers) > 1 else here.answers[0])
                    here.got.release()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield here
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
