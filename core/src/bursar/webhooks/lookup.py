"""Which addresses a webhook may connect to: public ones, unless the user allows others."""

from __future__ import annotations

import socket

from .address import Address, is_link_local, is_public


class NotAllowed(Exception):
    """The name leads to an address that webhooks may not reach."""


def look_up(address: Address, *, allow_private: bool) -> list[str]:
    """The addresses of the host, each of which may be connected to.

    Raises:
        OSError: the name is not known.
        NotAllowed: one of them is private, of this machine, or of no single host; or link-local, where a
            cloud hands out credentials, whatever is allowed.
    """
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    texts = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    for text in texts:
        if is_link_local(text):
            raise NotAllowed("it leads to a link-local address")
        if not allow_private and not is_public(text):
            raise NotAllowed("it leads to a private address; webhook_allow_private=True allows it")
    return texts
