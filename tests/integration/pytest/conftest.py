"""Whole runs of pytest in processes of their own, beside a provider on this machine that keeps its own bill."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from bursar.testing import ScriptedProvider

OLDEST = os.environ.get(
    "BURSAR_TEST_OLDEST_PYTEST", ""
)  # a folder with one, where the plugin is to run with it
_PLAIN = ("-rA", "--tb=short", "-pno:cacheprovider", "-pno:hypothesispytest")
ASK = '''
import asyncio, os, threading, unittest
import openai, pytest
import bursar

def ask():
    """One call: 50 tokens at most."""
    question = {"role": "user", "content": "Why is the sky blue?"}
    client = openai.OpenAI(max_retries=0)
    return client.chat.completions.create(model="gpt-4o-mini", messages=[question], max_tokens=50)

def swallow():
    """As agents do."""
    try:
        ask()
    except Exception:
        pass
'''


def money(usd: Decimal) -> str:
    """As the summary writes it."""
    return f"${usd.normalize():f}"


class Ran(NamedTuple):
    """One run of pytest.

    Attributes:
        status: its exit status.
        outcomes: of each test, the last word about it: ``PASSED``, ``FAILED``, ``ERROR`` or ``SKIPPED``.
        text: all that it printed.
    """

    status: int
    outcomes: dict[str, str]
    text: str

    @property
    def spent(self) -> list[str]:
        """The lines about money at its end."""
        section = re.split(r"^=+ bursar =+$", self.text, flags=re.MULTILINE)
        return re.findall(r"^\$.*$", section[1], re.MULTILINE) if len(section) == 2 else []

    def about(self, test: str) -> str:
        """What it printed of the failure of a test."""
        parts = re.split(r"^_+ (?:ERROR at \w+ of )?([\w.]+) _+$", self.text, flags=re.MULTILINE)
        return "".join(text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name == test)


class Inner:
    """Runs pytest on files of its own, as a user does."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester

    def run(self, code: str, *options: str) -> Ran:
        """Run one file of tests."""
        self._pytester.makepyfile(test_it=code)
        done = self._pytester.runpytest_subprocess(*_PLAIN, *options, timeout=60)
        text = "\n".join((*done.outlines, *done.errlines))
        outcomes = {
            test: word for word, test in re.findall(r"^([A-Z]+) test_it\.py::(\S+)", text, re.MULTILINE)
        }
        return Ran(int(done.ret), outcomes, text)

    def has_sdk(self, name: str) -> None:
        """An SDK is installed there."""
        self._pytester.mkpydir(name)

    def file(self, name: str) -> str:
        """What a run has written."""
        return (self._pytester.path / name).read_text("utf-8")

    def left(self) -> list[str]:
        """What is in the folder for temporary files."""
        return [path.name for path in Path(os.environ["TMPDIR"]).iterdir()]


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def inner(pytester: pytest.Pytester, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> Inner:
    pytester.makeini("[pytest]")  # no other settings than those of a user
    temporary = pytester.path / "temporary"
    temporary.mkdir()
    for name, value in {
        "OPENAI_BASE_URL": provider.openai_url,
        "OPENAI_API_KEY": "none",
        "PYTHONPATH": os.pathsep.join(filter(None, (OLDEST, os.environ.get("PYTHONPATH")))),
        "TMPDIR": str(temporary),
        "COLUMNS": "200",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return Inner(pytester)
