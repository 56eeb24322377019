"""Exceptions of real libraries, and whether the call can be on the bill."""

from __future__ import annotations

import asyncio
import http
import socket
import ssl
from typing import Any

import pytest

from bursar.errors import BudgetExceeded
from bursar.pricing.outcome import outcome_of


class Response:
    def __init__(self, status_code: object) -> None:
        self.status_code = status_code


# As in openai and anthropic


class APIError(Exception):
    pass


class APIStatusError(APIError):
    def __init__(self, status_code: object) -> None:
        super().__init__(f"Error code: {status_code}")
        self.response = Response(status_code)
        self.status_code = status_code


class APIConnectionError(APIError):
    pass


class APITimeoutError(APIConnectionError):
    pass


# As in httpx


class TransportError(Exception):
    @property
    def request(self) -> object:
        raise RuntimeError("The .request property has not been set.")


class ConnectError(TransportError):
    pass


class ConnectTimeout(TransportError):
    pass


class PoolTimeout(TransportError):
    pass


class UnsupportedProtocol(TransportError):
    pass


class ReadTimeout(TransportError):
    pass


class WriteTimeout(TransportError):
    pass


class ReadError(TransportError):
    pass


class RemoteProtocolError(TransportError):
    pass


class HTTPStatusError(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.response = Response(status_code)


# As in aiohttp and urllib3


class ClientConnectorError(OSError):
    pass


class ServerDisconnectedError(Exception):
    pass


class NewConnectionError(Exception):
    pass


# As in LiteLLM: a status of its own making beside the true cause


class LiteConnectionError(APIConnectionError):
    status_code = 500


LiteConnectionError.__name__ = "APIConnectionError"


class Timeout(APITimeoutError):
    status_code = 408


class Opaque(Exception):
    @property
    def response(self) -> object:
        raise RuntimeError("no response here")


def caused(error: BaseException, *causes: BaseException) -> BaseException:
    outer = error
    for cause in causes:
        error.__cause__ = cause
        error = cause
    return outer


def chain(error: BaseException | None) -> str:
    """The types of an error and its causes, to tell the cases apart."""
    return f"{type(error).__qualname__} {chain(error.__cause__)}" if error else ""


@pytest.mark.parametrize(
    "error",
    [
        caused(APIConnectionError(), ConnectError(), socket.gaierror(-2, "Name or service not known")),
        caused(APIConnectionError(), ConnectError(), ConnectionRefusedError(111, "Connection refused")),
        caused(APITimeoutError(), ConnectTimeout()),
        caused(APITimeoutError(), PoolTimeout()),
        caused(APIConnectionError(), UnsupportedProtocol()),
        caused(LiteConnectionError(), APIConnectionError(), ConnectError()),
        ConnectError(),
        ClientConnectorError(),
        caused(Exception(), NewConnectionError()),
        ConnectionRefusedError(),
        socket.gaierror(),
        ssl.SSLCertVerificationError(),
        caused(APIConnectionError(), ssl.SSLCertVerificationError()),
    ],
    ids=chain,
)
def test_refused_before_send_is_released(error: BaseException) -> None:
    """A name that does not resolve, a refused connection or a wrong certificate never reached the provider."""
    assert outcome_of(error) == "released"


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 409, 413, 422, 424, 429, 451, 499, 500, 502, 503, 529]
)
def test_complete_error_answer_is_released(status: int) -> None:
    """A complete error answer that providers do not bill gives the hold back."""
    assert outcome_of(APIStatusError(status)) == "released"
    assert outcome_of(HTTPStatusError(status)) == "released"
    assert outcome_of(caused(ValueError("wrapped"), APIStatusError(status))) == "released"


@pytest.mark.parametrize(
    "status", [408, 501, 504, 505, 507, 520, 522, 524, 598, 600, 100, 200, 201, 302, 399, 0, -1]
)
def test_other_status_is_unknown(status: int) -> None:
    """A timeout at the provider or a gateway, or an error within an answer that began well, may be billed."""
    assert outcome_of(APIStatusError(status)) == "unknown"
    assert outcome_of(HTTPStatusError(status)) == "unknown"


@pytest.mark.parametrize(
    "error",
    [
        caused(APITimeoutError(), ReadTimeout()),
        caused(APITimeoutError(), WriteTimeout()),
        caused(APIConnectionError(), ReadError(), ConnectionResetError()),
        caused(APIConnectionError(), RemoteProtocolError()),
        caused(LiteConnectionError(), APIConnectionError(), ReadError()),
        LiteConnectionError(),
        Timeout(),
        ServerDisconnectedError(),
        ConnectionResetError(),
        BrokenPipeError(),
        TimeoutError(),
        ssl.SSLError(),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(),
        GeneratorExit(),
        MemoryError(),
        ValueError("in the caller's own code"),
        APIError(),
        BudgetExceeded("another call did not fit"),
        Opaque(),
    ],
    ids=chain,
)
def test_anything_after_send_is_unknown(error: BaseException) -> None:
    """A timeout, a lost connection, a cancellation or an error of unknown origin may be on the bill."""
    assert outcome_of(error) == "unknown"


@pytest.mark.parametrize("status", [True, "400", 400.0, None, http.HTTPStatus.BAD_REQUEST, [400]], ids=repr)
def test_odd_status_proves_nothing(status: Any) -> None:
    """A status code that is no plain int is not a proof."""
    assert outcome_of(APIStatusError(status)) == "unknown"


def test_nearest_status_decides() -> None:
    """The outermost status along the causes is the answer to this call."""
    assert outcome_of(caused(APIStatusError(408), APIStatusError(400))) == "unknown"
    assert outcome_of(caused(APIStatusError(400), APIStatusError(408))) == "released"


def test_context_is_no_cause() -> None:
    """An error raised while another one was handled says nothing about that one's call."""
    try:
        try:
            raise ConnectError
        except ConnectError:
            raise ReadTimeout  # noqa: B904 - the point of the test
    except ReadTimeout as error:
        assert isinstance(error.__context__, ConnectError)
        assert outcome_of(error) == "unknown"


def test_circular_causes_end() -> None:
    """Errors that are each other's cause are looked at once."""
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert outcome_of(first) == "unknown"
