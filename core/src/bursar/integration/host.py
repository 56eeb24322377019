"""A host that runs other people's programs, such as a test runner, pays for what they do not pay for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context

from .. import coverage
from ..ledger import context
from ..session import Session


@contextmanager
def pays_otherwise(session: Session) -> Iterator[Session]:
    """Inside it the session pays for whatever nobody else pays for, in all threads; the SDKs are covered.

    A session that the program enters, the client that it wraps and its own `bursar.init` come first. One of
    these inside another: the inner one pays. Nothing is entered in the context of the caller.

    Args:
        session: who pays. A normal exit raises no refusal that a framework swallowed where it was opened
            with ``swallow=True``.

    Raises:
        BursarError: an SDK is installed that nothing covers; likewise by its import, inside.
    """
    coverage.cover()
    inside = copy_context()
    try:
        inside.run(session.__enter__)
        before = context.pays_otherwise(session)
        try:
            yield session
        finally:
            context.pays_otherwise(before)
            inside.run(session.__exit__, None, None, None)
    finally:
        coverage.uncover()
