"""Parses the URL of a Redis: where it is, and how it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...values.names import check_name
from .encode import escape

SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+cluster",
    "rediss+cluster",
    "redis+sentinel",
    "rediss+sentinel",
)
_TLS = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
_SENTINEL = ("sentinel_user", "sentinel_password")
_OPTIONS = ("db", "timeout", "ledger", "prefix", "spool", *_TLS, *_SENTINEL)
_PORTS = {"sentinel": 26379}


class Node(NamedTuple):
    """One server.

    Attributes:
        host: its name or address; or the path of its socket.
        port: 0 for a socket.
        sentinel: True for a sentinel, which knows where a server is.
    """

    host: str
    port: int
    sentinel: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """One Redis: a server, a Cluster, or the master that sentinels name.

    Attributes:
        kind: ``""`` for one server, ``"cluster"`` or ``"sentinel"``.
        where: for people: the URL without what is secret.
        nodes: the servers that the URL names.
        options: what redis-py connects to servers with; may hold a password.
        sentinel_options: the same for sentinels.
        service: what the sentinels call the master.
        tls: True where connections are encrypted.
        timeout_s: seconds that a verb may take in all.
        ledger: the id that the ledger must have; empty where any will do.
        prefix: what all keys begin with.
        spool: the file that keeps what cannot be delivered; empty: it waits in memory only.
    """

    kind: str
    where: str
    nodes: tuple[Node, ...]
    options: dict[str, Any] = field(repr=False)
    sentinel_options: dict[str, Any] = field(repr=False)
    service: str = ""
    tls: bool = False
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
    except ValueError:
        raise ValueError("store= is not a URL like 'redis://host:6379/0'") from None
    if parts.scheme not in SCHEMES or parts.fragment:
        raise ValueError(f"store={parts.scheme[:40]!r} is not one of {', '.join(SCHEMES)} as a URL")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in query:
        if name not in _OPTIONS:
            raise ValueError(f"store= has no option ?{name[:40]}=; there are {', '.join(_OPTIONS)}")
    kind = parts.scheme.partition("+")[2]
    nodes = _nodes(parts, kind)
    service, database = _service_and_database(parts, kind, query.get("db", "0"))
    tls, secure = parts.scheme.startswith("rediss"), _tls(parts.scheme, query)
    user, _, word = parts.netloc.rpartition("@")[0].partition(":")
    for name in _SENTINEL:
        if name in query and kind != "sentinel":
            raise ValueError(f"store= has ?{name}=, which only redis+sentinel:// has a use for")
    hosts = ",".join(f"{_bracketed(node.host)}:{node.port}" for node in nodes)
    path = "/".join(filter(None, (service, str(database) if kind != "cluster" else "")))
    return Place(
        kind=kind,
        where=f"unix://{nodes[0].host}" if parts.scheme == "unix" else f"{parts.scheme}://{hosts}/{path}",
        nodes=nodes,
        options={**_user(unquote(user), unquote(word)), "db": database, **secure},
        sentinel_options={**_user(*(query.get(name, "") for name in _SENTINEL)), **secure},
        service=service,
        tls=tls,
        timeout_s=_timeout(query.get("timeout", "2s")),
        ledger=query.get("ledger", ""),
        prefix=escape(check_name("store prefix", query.get("prefix", "bursar"))),
        spool=_spool(query),
    )


def _nodes(parts: SplitResult, kind: str) -> tuple[Node, ...]:
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("store= names no socket; write 'unix:///path/to/redis.sock'")
        return (Node(unquote(parts.path), 0),)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if len(hosts) > 1 and not kind:
        raise ValueError("store= names several hosts; write redis+cluster:// or redis+sentinel://")
    found = []
    for host in hosts:
        try:
            one = urlsplit(f"//{host}")
            name, port = one.hostname or "", one.port
        except ValueError:
            raise ValueError("store= is not a URL like 'redis://host:6379/0': check its port") from None
        if kind and not name:
            raise ValueError(
                f"store= is a list with a host that has no name; write '{parts.scheme}://a:1,b:2'"
            )
        found.append(Node(name or "localhost", port or _PORTS.get(kind, 6379), kind == "sentinel"))
    return tuple(found)


def _service_and_database(parts: SplitResult, kind: str, database: str) -> tuple[str, int]:
    path, service = ([] if parts.scheme == "unix" else [*filter(None, parts.path.split("/"))]), ""
    if kind == "sentinel":
        if not path:
            raise ValueError("store= names no master; write 'redis+sentinel://host:26379/name/0'")
        service = unquote(path.pop(0))
    if len(path) > 1:
        raise ValueError("store= has a path that is more than a database")
    database = path[0] if path else database
    if not database.isascii() or not database.isdigit():
        raise ValueError(f"store= names the database {database[:40]!r}, which is not a number")
    if kind == "cluster" and int(database):
        raise ValueError("store= names a database of a Cluster, which has none but 0")
    return service, int(database)


def _tls(scheme: str, query: Mapping[str, str]) -> dict[str, Any]:
    given = {name: query[name] for name in _TLS if name in query}
    if not scheme.startswith("rediss"):
        for name in given:
            raise ValueError(f"store= has ?{name}=, which only rediss:// has a use for")
        return {}
    for name, path in given.items():
        if not Path(path).is_file():
            raise ValueError(f"store= has ?{name}={path[:200]!r}, which is no file")
    files = {_TLS[name]: path for name, path in given.items()}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **files}


def _user(name: str, password: str) -> dict[str, str | None]:
    return {"username": name or None, "password": password or None}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _spool(query: Mapping[str, str]) -> str:
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
