"""Parses the URL of a file: where it is, and how it is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

_OPTIONS = ("synchronous", "timeout", "ledger", "spool")
_HINT = (
    "write 'sqlite:///budget.db' for a file in this folder,"
    " 'sqlite:////var/lib/agent/budget.db' for a whole path"
)


@dataclass(frozen=True, slots=True)
class Place:
    """One file.

    Attributes:
        path: of it, whole.
        synchronous: ``"full"`` or ``"normal"``.
        timeout_s: seconds that a verb may take in all.
        ledger: the id that the ledger must have; empty where any will do.
        spool: the file that keeps what cannot be delivered; empty: it waits in memory only.
    """

    path: Path
    synchronous: str = "full"
    timeout_s: float = 2.0
    ledger: str = ""
    spool: str = ""


def parse_url(url: str) -> Place:
    """The place that a URL names.

    Raises:
        ValueError: it is none, or has an option that is not known.
    """
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or parts.fragment or not path or path.endswith("/"):
        raise ValueError(f"store= names no file; {_HINT}")
    if path == ":memory:":
        raise ValueError(
            "store='sqlite:///:memory:' would be lost with this process; store=None keeps balances there"
        )
    if "\0" in path:
        raise ValueError("store= names a file with a NUL in its name")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in query:
        if name not in _OPTIONS:
            raise ValueError(f"store= has no option ?{name[:40]}=; there are {', '.join(_OPTIONS)}")
    synchronous = query.get("synchronous", "full").lower()
    if synchronous not in ("full", "normal"):
        raise ValueError(f"store= has ?synchronous={synchronous[:40]!r}, which is neither full nor normal")
    if query.get("spool", "x") == "":
        raise ValueError("store= has ?spool= without a file; write ?spool=/var/lib/agent/spool.jsonl")
    return Place(
        Path(path).absolute(), synchronous, _timeout(query.get("timeout", "2s")),
        query.get("ledger", ""), query.get("spool", ""),
    )  # fmt: skip


def _timeout(text: str) -> float:
    try:
        timeout_s = float(text.removesuffix("s"))
    except ValueError:
        timeout_s = 0
    if not 0.05 <= timeout_s <= 60:
        raise ValueError(f"store= has ?timeout={text[:40]!r}, which is not from 0.05 to 60 seconds, like 2s")
    return timeout_s
