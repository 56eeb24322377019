"""The URL of a webhook, read and checked once."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

Number: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Address:
    """A URL that was read and found to be one for webhooks.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        host: a name, or the text of an address.
        port: of TCP.
        target: path and query, as they stand in the first line of a request.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, as the ``Host`` of a request has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Without path and query, which may hold a secret."""
        return f"{self.scheme}://{self.authority}"


def parse_address(url: object, setting: str) -> Address:
    """Read a URL.

    Raises:
        ValueError: it is none, of another scheme, or holds a password. The message does not repeat it.
    """
    if not isinstance(url, str):
        raise ValueError(f"{setting}= takes a URL, like 'https://example.com/alerts'")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"{setting}= is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{setting}= takes a URL of http or https, not of {parts.scheme[:20]!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{setting}= must not hold a name and a password")
    local = False
    with suppress(ValueError):  # it is a name
        local = is_link_local(parts.hostname)
    if local:
        raise ValueError(f"{setting}= leads to a link-local address, where a cloud hands out credentials")
    target = _target(parts)
    if any(ord(letter) <= 32 or ord(letter) > 126 for letter in parts.hostname + target):
        raise ValueError(f"{setting}= has letters that a URL cannot have")
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], target)


def is_link_local(text: str) -> bool:
    """Whether an address is one of the local link, such as that of a cloud's metadata.

    Raises:
        ValueError: it is no address.
    """
    return _reached(text).is_link_local


def is_public(text: str) -> bool:
    """Whether an address is one of a single host that everybody can reach.

    Raises:
        ValueError: it is no address.
    """
    number = _reached(text)
    if isinstance(number, ipaddress.IPv6Address) and number.teredo is not None:
        return False
    return number.is_global and not number.is_multicast


def _reached(text: str) -> Number:
    """The address of IPv4 that one of IPv6 leads to, or itself."""
    number = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(number, ipaddress.IPv6Address):
        if number in _NAT64:
            return ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
        return number.ipv4_mapped or number.sixtofour or number
    return number


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
