"""Which addresses a webhook may connect to: public ones, unless the user allows others."""

from __future__ import annotations

import ipaddress
import socket

from .address import Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotAllowed(Exception):
    """The name leads to an address that webhooks may not reach."""


def look_up(address: Address, *, allow_private: bool) -> list[str]:
    """The addresses of the host, each of which may be connected to.

    Raises:
        OSError: the name is not known.
        NotAllowed: one of them is private, of this machine, or of no single host.
    """
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    texts = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not allow_private:
        for text in texts:
            if not _public(text):
                raise NotAllowed("it leads to a private address; webhook_allow_private=True allows it")
    return texts


def _public(text: str) -> bool:
    number = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(number, ipaddress.IPv6Address):
        inner = number.ipv4_mapped or number.sixtofour
        if number in _NAT64:
            inner = ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
        if inner is not None:
            number = inner
        elif number.teredo is not None:
            return False
    return number.is_global and not number.is_multicast
