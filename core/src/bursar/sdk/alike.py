"""Events of a stream that differ from one before them only in their text, as most do, need no parser."""

from __future__ import annotations

import re
from functools import cache

_PADDING = b'"obfuscation"'  # random text by which OpenAI hides how long an event is


class Alike:
    """Knows one event of a stream, and the length of the text in all that are like it.

    Such an event is the same byte by byte, but for the text and the padding. So it tells nothing else that
    the known one did not tell.

    Args:
        name: the member that has the text, a JSON string, as it is written; it is in an event once.
    """

    __slots__ = ("_around", "_name", "_text")

    def __init__(self, name: bytes) -> None:
        self._name, self._text = _written(name)
        self._around: tuple[bytes, bytes] | None = None

    def size(self, event: bytes) -> int | None:
        """Bytes of the text of an event like the known one; None for one that has to be parsed."""
        if self._around is None:
            return None
        before, size, behind = self._cut(event)
        return size if (before, behind) == self._around else None

    def know(self, event: bytes, text: object, shown: int) -> None:
        """Called with an event that was parsed, and tells nothing that counts but its text.

        Args:
            event: as it came.
            text: what its member says.
            shown: bytes of all text in it; where that is more than this one, its like is parsed, too.
        """
        before, size, behind = self._cut(event)
        alone = isinstance(text, str) and len(text.encode("utf-8", "surrogatepass")) == size == shown
        self._around = (before, behind) if before and alone and event.count(self._name) == 1 else None

    def forget(self) -> None:
        """An event was parsed that tells more than its text."""
        self._around = None

    def _cut(self, event: bytes) -> tuple[bytes, int, bytes]:
        """What is before the text, its size, and what is behind it; nothing where it cannot be told."""
        found = self._text.search(event)
        if found is None:
            return b"", 0, b""
        begin, end = found.span(1)
        behind, padded, padding = event[end:].partition(_PADDING)
        if padded and padding.count(b'"') != 2:  # more than the one string of the padding
            return b"", 0, b""
        return event[:begin], end - begin, behind


@cache
def _written(name: bytes) -> tuple[bytes, re.Pattern[bytes]]:
    """The name as JSON has it, and what finds its text, which has no escapes."""
    quoted = b'"%b"' % name
    return quoted, re.compile(rb'%b: ?"([^"\\\x00-\x1f]*)"' % quoted)
