"""`models`, `estimate` and `plugins`: what needs no store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .commands import Run


def test_models_are_found_by_part_and_by_pattern(run: Run) -> None:
    """With prices, sizes, who bills them, and the day of the table."""
    found = run("models", "gpt-4o", "--provider", "nobody").status
    done = run("models", "gpt-4o-mini", "--provider", "openai")
    row = next(line.split() for line in done.out.splitlines() if line.startswith("gpt-4o-mini "))
    assert found == 2 and row == ["gpt-4o-mini", "openai", "$0.15", "$0.60", "$0.075", "128,000", "16,384"]
    listed = run("models", "gpt-4o", "--json").json
    assert listed["prices_of"] in done.out
    assert {one["model"] for one in run("models", "gpt-4?", "--json").json["models"]} == {"gpt-4o"}
    one = next(m for m in listed["models"] if (m["provider"], m["model"]) == ("openai", "gpt-4o"))
    assert (one["input_usd_per_million"], one["output_usd_per_million"], one["source"]) == (
        2.5,
        10.0,
        "bundled",
    )


def test_models_of_a_price_file_come_first(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they do for a budget."""
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"my-model": [1, 2]}))
    monkeypatch.setenv("BURSAR_PRICES", str(file))
    first = run("models", "my-model", "--json").json["models"][0]
    assert (first["model"], first["source"], first["output_usd_per_million"]) == (
        "my-model",
        "BURSAR_PRICES",
        2.0,
    )


def test_estimate(run: Run) -> None:
    """2,000 tokens at $2.50 and 500 at $10 a million are a cent; of a thousand such calls ten dollars."""
    asked = ("estimate", "--model", "gpt-4o", "--input", 2000, "--output", 500)
    assert run(*asked).out == "$0.01: 1 call of gpt-4o, 2,000 tokens in and 500 out\n"
    assert run(*asked, "--calls", 1000).out.startswith("$10.00 ($0.01 each): 1,000 calls")
    assert run(*asked, "--json").json["usd"] == 0.01


def test_plugins(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed with its hooks, what is blocked with the reason, and what to install where nothing is."""
    listed = {plugin["name"]: plugin for plugin in run("plugins", "--json").json["plugins"]}
    assert "bursar_patch" in listed["openai"]["hooks"] and listed["openai"]["inactive"] is None
    assert "in use" in run("plugins").out
    monkeypatch.setattr("bursar.cli.plugins.list_plugins", lambda: ())
    assert run("plugins").out.startswith("no plugin is installed; pip install")
