"""Notices children that cannot be covered, when a covered process starts them.

Python reads neither PYTHONPATH nor `sitecustomize` with ``-I``, ``-E`` and ``-S``, and a child whose
environment was cleared has no PYTHONPATH. Such a child never runs a line of ours, so its parent has to
notice. (An audit hook would see every start, but lets another thread run in the midst of `sys.settrace`.)
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...errors import BursarError
from .notes import Notes
from .terms import SITE, VARIABLE, Terms

_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*(?:\.exe)?")
_LAUNCHERS = frozenset({"env", "nice", "nohup", "setsid", "stdbuf", "time", "timeout"})
_SHELLS = frozenset({"bash", "dash", "ksh", "sh", "zsh"})
_TAKES_A_VALUE = frozenset("WX")
_LAST = frozenset("cm")  # what follows is the program's

Start = Callable[[str, Sequence[str], Mapping[str, str]], None]


def watch(terms: Terms, notes: Notes) -> None:
    """See every start of a process from here on, for as long as this process lives."""

    def start(program: str, words: Sequence[str], env: Mapping[str, str]) -> None:
        why = why_not(program, words, env)
        if why is None:
            return
        line = f"a child is not covered: {shlex.join(words):.100} ({why})"
        notes.uncovered(line)
        if terms.strict:
            raise BursarError(f"{line}; with --strict it does not start")

    _wrap_starts(start)


def why_not(program: str, words: Sequence[str], env: Mapping[str, str]) -> str | None:
    """Why a program that is about to be started cannot be covered; None for one that can, or is no Python.

    Args:
        program: the file.
        words: its arguments, its name first.
        env: its environment.
    """
    name = os.path.basename(program)  # noqa: PTH119 - of whatever system calls a program
    if name in _SHELLS and "-c" in words[1:-1]:
        with suppress(ValueError):  # a text that only the shell understands
            words = shlex.split(words[-1])
        python = _first_python(words)
    elif name in _LAUNCHERS:
        python = _first_python(words[1:])
    elif _PYTHON.fullmatch(name):
        python = words[1:]
    else:
        python = _first_python(_shebang(program))
    if python is None:
        return None
    for flag in _flags(python):
        if flag in "IES":
            return f"-{flag} leaves sitecustomize out"
    if str(SITE) not in env.get("PYTHONPATH", "").split(os.pathsep) or VARIABLE not in env:
        return "PYTHONPATH was cleared"
    return None


def _first_python(words: Sequence[str]) -> Sequence[str] | None:
    """What follows the first word that is a Python."""
    for number, word in enumerate(words):
        if _PYTHON.fullmatch(os.path.basename(word)):  # noqa: PTH119
            return words[number + 1 :]
    return None


def _flags(words: Iterable[str]) -> Iterable[str]:
    """The letters of Python's own options."""
    waiting = iter(words)
    for word in waiting:
        if not word.startswith("-") or word in ("-", "--") or word.startswith("--"):
            return
        for number, letter in enumerate(word[1:], 2):
            yield letter
            if letter in _LAST:
                return
            if letter in _TAKES_A_VALUE:
                if number == len(word):
                    next(waiting, None)
                break


def _shebang(program: str) -> Sequence[str]:
    """The words of the first line of a script."""
    found = shutil.which(program) or program
    with suppress(OSError), open(found, "rb") as file:  # noqa: PTH123 - a name or a path
        first = file.readline(200)
        if first.startswith(b"#!"):
            return os.fsdecode(first[2:]).split()
    return ()


def _wrap_starts(start: Start) -> None:
    """Have every function of Python that starts a program tell first."""
    for module, name in (("_posixsubprocess", "fork_exec"), ("subprocess", "_fork_exec")):
        _wrap(__import__(module), name, start, _of_fork_exec)
    for name in ("execv", "execve", "posix_spawn", "posix_spawnp"):
        _wrap(os, name, start, _of_exec)
    _wrap(os, "system", start, _of_system)


def _wrap(module: Any, name: str, start: Start, read: Callable[..., Any]) -> None:
    original = getattr(module, name, None)
    if original is None:  # pragma: no cover - of another version, or another system
        return

    @functools.wraps(original)
    def starts(*args: Any, **named: Any) -> Any:
        told = None
        with suppress(Exception):  # what is no program is the original's to refuse
            told = read(*args, **named)
        if told is not None:
            start(*told)
        return original(*args, **named)

    setattr(module, name, starts)


def _of_fork_exec(words: Any, programs: Any, _close: Any, _keep: Any, _folder: Any, env: Any, *_: Any) -> Any:
    paths = [os.fsdecode(program) for program in programs]
    found = next(filter(os.path.exists, paths), paths[0])
    return found, [os.fsdecode(word) for word in words], _environment(env)


def _of_exec(program: Any, words: Any, env: Any = None, **_: Any) -> Any:
    return os.fsdecode(program), [os.fsdecode(word) for word in words], _environment(env)


def _of_system(command: str) -> Any:
    return "sh", ["sh", "-c", command], os.environ


def _environment(given: Any) -> Mapping[str, str]:
    if given is None:
        return os.environ
    if isinstance(given, Mapping):
        return {os.fsdecode(name): os.fsdecode(value) for name, value in given.items()}
    pairs = (os.fsdecode(line).partition("=") for line in given)
    return {name: value for name, _, value in pairs}


_ = subprocess  # imported for `_wrap_starts`: it keeps a name of its own for `fork_exec`
