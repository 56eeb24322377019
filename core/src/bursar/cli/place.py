"""Opens the store that a command is about."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from ..budget import Budget
from ..store.base import Store
from ..store.sqlite.url import parse_url
from .mistake import Mistake


def open_store(given: str) -> Store:
    """The store at a URL or in a file; nothing is created.

    Raises:
        Mistake: the URL names no place, or there is no such file.
    """
    return open_budget(given)._ledger.store


def open_budget(given: str, name: str = "default", tz: str = "UTC") -> Budget:
    """A budget without limits of its own: what its store says holds.

    Raises:
        Mistake: as `open_store`.
    """
    url = given if "://" in given else f"sqlite:///{quote(str(Path(given).absolute()))}"
    try:
        if url.startswith("sqlite://") and not (path := parse_url(url).path).is_file():
            raise Mistake(
                f"there is no file {str(path)!r}; give the store of your budgets: --store sqlite:///budget.db,"
                " or redis://host:6379/0"
            )
        return Budget(name=name, store=url, tz=tz)
    except ValueError as error:
        raise Mistake(f"--store: {error}") from None
