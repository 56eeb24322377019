"""Detects forks: what a child inherits is not its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

count = 0
"""The number of forks from the interpreter's start to here; what kept another number was inherited."""


def first_in_child(renew: Callable[[], object]) -> None:
    """Have a forked child call this before anything else."""
    if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
        os.register_at_fork(after_in_child=renew)


def around_forks(
    before: Callable[[], object], in_parent: Callable[[], object], in_child: Callable[[], object]
) -> None:
    """Have every fork call these; what is open before it is open twice after it."""
    if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _forked() -> None:
    global count  # noqa: PLW0603 - of the process
    count += 1


first_in_child(_forked)


class OneProcess:
    """Money, or a handle on it, which there is once: not pickled, and its copy is the thing itself."""

    __slots__ = ()

    def __copy__(self) -> OneProcess:
        return self

    def __deepcopy__(self, memo: object) -> OneProcess:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled: the copy would spend the same money again;"
            " open a Budget in the other process, where its name in a shared store makes it the same one"
        )
