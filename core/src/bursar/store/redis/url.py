"""Where a Redis is, and how it is used: from a URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...names import check_name
from .words import escape

SCHEMES = ("redis", "rediss", "unix")
_TLS = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
_OPTIONS = ("db", "timeout", "ledger", "prefix", "spool", *_TLS)


@dataclass(frozen=True, slots=True)
class Place:
    """One Redis.

    Attributes:
        scheme: ``"redis"``, ``"rediss"`` (TLS) or ``"unix"``.
        where: for people: the URL without what is secret.
        options: what redis-py connects with; may hold a password.
        timeout_s: seconds that a verb may take in all.
        ledger: the id that the ledger must have; empty where any will do.
        prefix: what all keys begin with.
        spool: the file that keeps what cannot be delivered; empty: it waits in memory only.
    """

    scheme: str
    where: str
    options: dict[str, Any] = field(repr=False)
    timeout_s: float = 2.0
    ledger: str = ""
    prefix: str = "bursar"
    spool: str = ""


def parse_url(url: str) -> Place:
    """The place that a URL names.

    Raises:
        ValueError: it is none, or has an option that is not known; the message holds no password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("store= is not a URL like 'redis://host:6379/0'") from None
    if parts.scheme not in SCHEMES or parts.fragment:
        raise ValueError(f"store={parts.scheme[:40]!r} is not one of {', '.join(SCHEMES)} as a URL")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in query:
        if name not in _OPTIONS:
            raise ValueError(f"store= has no option ?{name[:40]}=; there are {', '.join(_OPTIONS)}")
    options = _options(parts, port, query)
    return Place(
        parts.scheme,
        _shown(parts, options),
        options,
        _timeout(query.get("timeout", "2s")),
        query.get("ledger", ""),
        escape(check_name("store prefix", query.get("prefix", "bursar"))),
        _spool(query),
    )


def _options(parts: SplitResult, port: int | None, query: dict[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    database = query.get("db", "0")
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("store= names no socket; write 'unix:///path/to/redis.sock'")
        options["path"] = unquote(parts.path)
    else:
        options["host"], options["port"] = parts.hostname or "localhost", port or 6379
        database = parts.path.strip("/") or database
    if not database.isascii() or not database.isdigit():
        raise ValueError(f"store= names the database {database[:40]!r}, which is not a number")
    options["db"] = int(database)
    for name in _TLS.keys() & query.keys():
        if parts.scheme != "rediss":
            raise ValueError(f"store= has ?{name}=, which only rediss:// has a use for")
        options[_TLS[name]] = query[name]
    return options


def _spool(query: dict[str, str]) -> str:
    path = query.get("spool", "")
    if "spool" in query and (not path or path.endswith("/") or "\0" in path):
        raise ValueError("store= has ?spool= without a file; write ?spool=/var/lib/agent/spool.jsonl")
    return path


def _timeout(text: str) -> float:
    try:
        timeout_s = float(text.removesuffix("s"))
    except ValueError:
        timeout_s = 0
    if not 0.05 <= timeout_s <= 60:
        raise ValueError(f"store= has ?timeout={text[:40]!r}, which is not from 0.05 to 60 seconds, like 2s")
    return timeout_s


def _shown(parts: SplitResult, options: dict[str, Any]) -> str:
    if parts.scheme == "unix":
        return f"unix://{options['path']}"
    return f"{parts.scheme}://{options['host']}:{options['port']}/{options['db']}"
