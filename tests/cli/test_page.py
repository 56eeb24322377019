"""docs/cli.md shows each command with the output that it has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from bursar.cli.app import app, main
from bursar.testing import ScriptedProvider

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHOWN_ID = "5f0c9a1be2d34c66-7"  # of the hold of the page; each run has another one


def pattern(text: str) -> str:
    """What the page shows; three dots stand for whatever is there."""
    return ".*?".join(map(re.escape, text.rstrip("\n").split("...")))


def as_shown(said: str, id: str) -> str:
    """With the id that the page shows, and its column as wide as that."""
    return said.replace(f"id{' ' * len(id)}", f"id{' ' * len(SHOWN_ID)}").replace(id, SHOWN_ID)


def test_every_command_of_the_page_says_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """From top to bottom, in an empty folder, beside a provider on this machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("BURSAR_STORE", "BURSAR_BUDGET", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    names: dict[str, Any] = {}
    with ScriptedProvider() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        for language, block in BLOCK.findall(PAGE):
            if language == "python":
                exec(block, names)
                continue
            for shown in block.removeprefix("$ ").split("\n$ "):
                line, _, output = shown.partition("\n")
                id = names["hold"].id if "hold" in names else SHOWN_ID
                capfd.readouterr()
                main(shlex.split(line.replace(SHOWN_ID, id))[1:])
                said = as_shown("".join(capfd.readouterr()), id).rstrip("\n")
                assert re.fullmatch(pattern(output), said, re.DOTALL), f"$ {line}\n{said}"


def test_the_page_shows_every_command() -> None:
    """None is left out."""
    names = {
        (command.name or command.callback.__name__).replace("_", "-")  # type: ignore[union-attr]
        for command in app.registered_commands
    }
    assert names | {"holds"} == {name for name in names | {"holds"} if re.search(rf"\bbursar {name}\b", PAGE)}
