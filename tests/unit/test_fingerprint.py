"""What tells that a call was made before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest

from bursar.ledger.fingerprint import fingerprint

MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]


class Model:
    """As Pydantic's, with fields that are not set."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        return {name: value for name, value in self.fields.items() if not exclude_none or value is not None}


class Broken:
    """Fails when it is looked at."""

    def model_dump(self, **options: Any) -> dict[str, Any]:
        raise AttributeError("not ready")


def circle() -> list[Any]:
    """A list that contains itself."""
    found: list[Any] = []
    found.append(found)
    return found


def deep() -> list[Any]:
    """A list that is nested a hundred thousand times."""
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MESSAGES, [{"content": "Why is the sky blue?", "role": "user"}]),
        (MESSAGES, tuple(MESSAGES)),
        (MESSAGES, [Model(role="user", content="Why is the sky blue?", name=None)]),
        ([b"picture"], [bytearray(b"picture")]),
        ([{"cats", "dogs", "birds"}], [frozenset({"birds", "dogs", "cats"})]),
        ([range(3)], [[0, 1, 2]]),
        ([MappingProxyType({"a": 1})], [{"a": 1}]),
        ("text", "text"),
    ],
)
def test_the_same_input_is_known_again(one: Any, other: Any) -> None:
    """However its dicts are ordered, and whichever library holds it."""
    assert fingerprint("model", "gpt-4o", one) == fingerprint("model", "gpt-4o", other) is not None


@pytest.mark.parametrize(
    "other",
    [
        ("tool", "gpt-4o", MESSAGES),
        ("model", "gpt-4o-mini", MESSAGES),
        ("model", "gpt-4o", [*MESSAGES, *MESSAGES]),
        ("model", "gpt-4o", [{"role": "system", "content": "Why is the sky blue?"}]),
        ("model", "gpt-4o", []),
        ("model", "gpt-4o", "Why is the sky blue?"),
        ("model", "gpt-4o", [b"Why is the sky blue?"]),
        ("model", "gpt-4o", [b"why is the sky blue?"]),
    ],
    ids=repr,
)
def test_another_call_is_another(other: tuple[str, str, Any]) -> None:
    """Another kind, another name, another word, one message more: none is a repetition."""
    assert fingerprint(*other) not in (None, fingerprint("model", "gpt-4o", MESSAGES))


@pytest.mark.parametrize(
    "content",
    [None, [object()], [Broken()], circle(), deep(), [{1: "a", "b": 2}], [iter([1])], [len]],
    ids=["none", "object", "broken", "circle", "deep", "mixed-keys", "iterator", "function"],
)
def test_an_input_without_a_text_is_not_known(content: Any) -> None:
    """It never counts as a repetition, and never fails the call."""
    assert fingerprint("model", "gpt-4o", content) is None
    assert fingerprint("model", None, MESSAGES) is None


def test_nothing_is_used_up_by_looking() -> None:
    """An iterator among the arguments of a tool is left for the tool."""

    def numbers() -> Iterator[int]:
        yield from (1, 2)

    given = numbers()
    fingerprint("tool", "sum", [given])
    assert list(given) == [1, 2]


def test_nothing_of_the_input_is_kept() -> None:
    """A digest of fixed length is all there is."""
    for content in ("", "hush", MESSAGES * 1_000, "\ud800"):
        digest = fingerprint("model", "gpt-4o", content)
        assert digest is not None and len(bytes.fromhex(digest)) == 16


def test_every_process_says_the_same() -> None:
    """Whatever its hash seed, also for a set."""
    code = "from bursar.ledger.fingerprint import fingerprint as f; print(f('tool', 'find', [{'a', 'b', 'c', 'd'}, 'e']))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert seen == {f"{fingerprint('tool', 'find', [{'d', 'c', 'b', 'a'}, 'e'])}\n"}
