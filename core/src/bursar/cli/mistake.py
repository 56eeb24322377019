"""`Mistake`: what somebody typed cannot be done."""

from __future__ import annotations


class Mistake(Exception):
    """Told in one line, which says what to do; the command exits with status 2."""
