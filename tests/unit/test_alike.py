"""Which events of a stream need no parser: those that differ from a known one only in their text."""

from __future__ import annotations

import json

import pytest

from bursar.sdk import Alike


def event(text: str, *, behind: str = "", spaced: bool = False) -> bytes:
    """One event with a text, as it is sent."""
    name = '"text": ' if spaced else '"text":'
    return f'data: {{"id":"1",{name}{json.dumps(text, ensure_ascii=False)}{behind}}}\n\n'.encode()


def knowing(text: str = "one", *, behind: str = "", spaced: bool = False) -> Alike:
    """Knows an event that has this text."""
    alike = Alike(b"text")
    alike.know(event(text, behind=behind, spaced=spaced), text, len(text.encode()))
    return alike


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("text", ["", "two", "zwölf", "日本", "}],", "data: x"])
def test_text_of_an_event_like_the_known_one_is_measured(text: str, spaced: bool) -> None:
    """In bytes, whatever it says; also where somebody writes a space after the name."""
    assert knowing(spaced=spaced).size(event(text, spaced=spaced)) == len(text.encode())


def test_padding_of_another_length_is_no_difference() -> None:
    """OpenAI pads its events with random text."""
    alike = knowing(behind=',"obfuscation":"aB3"')

    assert alike.size(event("two", behind=',"obfuscation":"x"')) == 3
    assert alike.size(event("two")) is None


@pytest.mark.parametrize(
    "other",
    [
        event('"quoted"'),
        event("two\nlines"),
        event("two", behind=',"usage":{"output_tokens":5}'),
        event("two", behind=',"obfuscation":"x","usage":{"output_tokens":5}'),
        event("two").replace(b'"1"', b'"2"'),
        b'data: {"id":"1"}\n\n',
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_any_other_event_is_parsed(other: bytes) -> None:
    """One that tells more, or something else, or has a text that is written with escapes."""
    alike = knowing(behind=',"obfuscation":"x"') if b"obfuscation" in other else knowing()

    assert alike.size(other) is None


@pytest.mark.parametrize(
    ("known", "text", "shown"),
    [
        (event("one"), "one", 9),
        (event("one"), "elsewhere", 3),
        (event("one"), None, 3),
        (event("one", behind=',"inner":{"text":"two"}'), "one", 3),
        (event('"'), '"', 1),
    ],
    ids=["shows more", "shows another", "shows none", "has it twice", "has an escape"],
)
def test_event_whose_text_is_not_for_sure_alone_is_not_known(known: bytes, text: object, shown: int) -> None:
    """Then its like is parsed."""
    alike = Alike(b"text")
    alike.know(known, text, shown)

    assert alike.size(known) is None


def test_forgotten_event_is_not_known() -> None:
    """An event between them told more than its text."""
    alike = knowing()
    assert alike.size(event("two")) == 3
    alike.forget()

    assert alike.size(event("two")) is None
