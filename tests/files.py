"""Files of SQLite for tests: each in a folder of its own, removed when the tests are over."""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

_NUMBERS = itertools.count(1)
_MEMORY = Path("/dev/shm")
IN_MEMORY = _MEMORY if _MEMORY.is_dir() else None  # for folders: where there is one, no disk is waited for


@lru_cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bursar-sqlite-", dir=IN_MEMORY))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def file_url(path: Path | None = None, **query: object) -> str:
    """The URL of a store in this file; by default in one that nobody else uses."""
    path = path or _folder() / f"{next(_NUMBERS)}.db"
    options = "&".join(f"{name}={value}" for name, value in query.items())
    return f"sqlite:///{path}{'?' if options else ''}{options}"
