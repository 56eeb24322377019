"""`Spool`: messages in a file, so that they outlive the process."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import BursarError, StoreUnavailable
from ...runtime.log import logger
from .messages import Message, from_words, to_line

_PATIENCE_S = 1.0  # for another process that writes
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Spool:
    """A file of messages, one line of JSON each, that any number of processes share.

    A message is on the disk before `keep` returns. Once delivered, another line says so; a file of
    which nothing is left to deliver is emptied. A process that ended in the middle of a line had
    not promised anything yet: what there is of that line is cut off.

    Args:
        path: of the file. It is made for its owner alone; a link, a folder or the file of
            somebody else is refused.
        store: names the store that the messages are for; those for others stay where they are.

    Raises:
        ValueError: the file cannot be used.
    """

    def __init__(self, path: str, store: str) -> None:
        self.path = Path(path).absolute()
        self._store = store
        try:
            import fcntl
        except ModuleNotFoundError:
            raise ValueError("store= with ?spool= needs a system with fcntl") from None
        self._lock: Callable[[int], None] = lambda file: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            with self._opened():
                pass
        except OSError as error:
            raise ValueError(
                f"store= with ?spool={str(self.path)!r:.200}: {error.strerror or error}"
            ) from None

    def keep(self, message: Message) -> None:
        """Write a message down, and wait until it is on the disk.

        Raises:
            OSError: the disk is full, or the file cannot be had.
        """
        with self._opened() as file:
            _append(file, to_line(message, self._store))
            os.fsync(file)

    def strike(self, message: Message) -> None:
        """Say that a message needs no delivery any more.

        Raises:
            OSError: it cannot be said.
        """
        with self._opened() as file:
            _append(file, json.dumps({"done": message.nonce}))

    def tidy(self) -> None:
        """Take what was delivered out of the file.

        Raises:
            OSError: it cannot be written.
        """
        with self._opened() as file:
            lines, done = _lines(file)
            left = [text for text, words in lines if words.get("mark") not in done and "done" not in words]
            if not left:
                os.ftruncate(file, 0)
            elif len(left) < len(lines):
                self._replace(left)

    def struck(self) -> Collection[str]:
        """The nonces of messages that were delivered, perhaps by another process."""
        with self._opened() as file:
            return _lines(file)[1]

    def left(self) -> list[Message]:
        """What earlier processes could not deliver to this store, in their order.

        Raises:
            StoreUnavailable: a line is of a newer layout.
        """
        messages = []
        with self._opened() as file:
            lines, done = _lines(file)
        for number, (_, words) in enumerate(lines, 1):
            if "done" in words or words.get("mark") in done or words.get("store", self._store) != self._store:
                continue
            try:
                messages.append(from_words(words))
            except StoreUnavailable as error:
                raise StoreUnavailable(f"line {number} of {self.path} {error}") from None
            except (ValueError, BursarError):
                logger.error("line %d of %s cannot be read, and stays there", number, self.path)
        return messages

    # -- the file -------------------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The file, for this process and thread alone; opened anew, since another may have replaced it."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            file = os.open(self.path, _FLAGS, 0o600)
            try:
                self._own(file)
                self._wait_for(file, deadline)
                if self._is_there(file):
                    _mend(file, self.path)
                    yield file
                    return
            finally:
                os.close(file)

    def _own(self, file: int) -> None:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(None, "it is not a file of this user")
        if stat.S_IMODE(found.st_mode) != 0o600:
            os.fchmod(file, 0o600)

    def _wait_for(self, file: int, deadline: float) -> None:
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                self._lock(file)
                return
            time.sleep(0.005)
        raise TimeoutError(None, "another process holds it")

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(file))
        except FileNotFoundError:
            return False

    def _replace(self, lines: list[str]) -> None:
        other = self.path.with_name(f"{self.path.name}.new")
        other.unlink(missing_ok=True)  # of a process that ended here
        file = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(file, "wb") as new:
                new.write("".join(f"{line}\n" for line in lines).encode())
                new.flush()
                os.fsync(new.fileno())
            other.replace(self.path)
        except OSError:
            other.unlink()
            raise


def _append(file: int, line: str) -> None:
    """A whole line, or nothing."""
    size, data = os.fstat(file).st_size, f"{line}\n".encode()
    try:
        written = os.write(file, data)
    except OSError:
        os.ftruncate(file, size)
        raise
    if written < len(data):
        os.ftruncate(file, size)
        raise OSError(None, "the disk is full")


def _mend(file: int, path: Path) -> None:
    """Cut off the half of a line that a process left when it ended."""
    size = os.fstat(file).st_size
    if not size or os.pread(file, 1, size - 1) == b"\n":
        return
    data = os.pread(file, size, 0)
    logger.error("the last line of %s is not whole, and is dropped", path)
    os.ftruncate(file, data.rfind(b"\n") + 1)


def _lines(file: int) -> tuple[list[tuple[str, dict[str, Any]]], set[str]]:
    """Every line with what it says, and the marks of what was delivered."""
    lines: list[tuple[str, dict[str, Any]]] = []
    done: set[str] = set()
    for text in os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace").splitlines():
        try:
            words = json.loads(text)
        except ValueError:
            words = None
        words = words if isinstance(words, dict) else {}
        lines.append((text, words))
        if "done" in words:
            done.add(words["done"])
    return lines, done
