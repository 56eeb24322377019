"""One POST with one deadline over all of it.

`http.client` has a timeout for each read only: an answer that drips one byte at a time would hold it for
ever. Nothing of the answer matters but its status.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping

from .address import Address
from .lookup import look_up

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_LONGEST_HEAD = 16_384


def post(
    address: Address,
    body: bytes,
    headers: Mapping[str, str],
    *,
    deadline_s: float,
    allow_private: bool,
    proxy: Address | None = None,
) -> int:
    """Send a body, and return the status of the answer. A redirect is an answer and is not followed.

    Args:
        address: where to.
        body: of the request.
        headers: beside those of HTTP.
        deadline_s: when to give up, by `time.monotonic`.
        allow_private: connect to private addresses, too.
        proxy: connects and looks the name up in our place.

    Raises:
        OSError: no connection, no answer in time, or no HTTP.
        NotAllowed: the name leads to a private address.
    """
    nearest = proxy or address
    numbers = look_up(nearest, allow_private=allow_private or proxy is not None)
    target = address.target
    with _connected(numbers, nearest.port, deadline_s) as plain:
        if proxy is not None and address.scheme == "http":
            target = str(address) + address.target
        elif proxy is not None:
            _tunnel(plain, address, deadline_s)
        if address.scheme == "http":
            return _exchange(plain, address, target, body, headers, deadline_s)
        context = ssl.create_default_context()
        plain.getpeername()  # raises where the peer is gone: wrap_socket would leave the socket open then
        with context.wrap_socket(
            plain, server_hostname=address.host, do_handshake_on_connect=False
        ) as secure:
            secure.settimeout(_left(deadline_s))
            secure.do_handshake()
            return _exchange(secure, address, target, body, headers, deadline_s)


def _connected(numbers: list[str], port: int, deadline_s: float) -> socket.socket:
    failed = OSError("the host has no address")
    for number in numbers:
        try:
            return socket.create_connection((number, port), _left(deadline_s))
        except OSError as error:
            failed = error
    raise failed


def _tunnel(sock: socket.socket, address: Address, deadline_s: float) -> None:
    where = f"{f'[{address.host}]' if ':' in address.host else address.host}:{address.port}"
    sock.settimeout(_left(deadline_s))
    sock.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
    status = _status(_read(sock, b"\r\n\r\n", deadline_s))
    if status != 200:
        raise OSError(f"the proxy answered {status}")


def _exchange(
    sock: socket.socket,
    address: Address,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
    deadline_s: float,
) -> int:
    lines = {"Host": address.authority, "Content-Length": str(len(body)), "Connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    sock.settimeout(_left(deadline_s))
    sock.sendall(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return _status(_read(sock, b"\r\n", deadline_s))


def _read(sock: socket.socket, end: bytes, deadline_s: float) -> bytes:
    read = b""
    while end not in read:
        sock.settimeout(_left(deadline_s))
        more = sock.recv(4096)
        if not more or len(read) > _LONGEST_HEAD:
            raise OSError("no HTTP answer")
        read += more
    return read


def _status(head: bytes) -> int:
    found = _STATUS.match(head)
    if found is None:
        raise OSError("no HTTP answer")
    return int(found[1])


def _left(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("no answer in time")
    return left_s
