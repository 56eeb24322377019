"""The demo shows what happens, and nothing that was prepared."""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from bursar import Budget
from bursar.testing import Rate, ScriptedProvider

DEMO = Path(__file__).parents[2] / "examples" / "demo"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The demo as users start it."""
    command = [sys.executable, str(DEMO / "demo.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


@pytest.mark.parametrize(
    ("budget", "price"),
    [("$0.02", ("2.50", "10")), ("$0.05", ("2.50", "10")), ("$0.08", ("2.50", "10")), ("$0.05", ("5", "20"))],
)
def test_what_is_shown_is_what_the_provider_logged(
    budget: str, price: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every call, its tokens, its cost and the sums follow the provider's own log, whatever budget and price."""
    monkeypatch.syspath_prepend(str(DEMO))
    import demo

    with ScriptedProvider(rates={"gpt-4o": Rate(*price)}) as provider:
        provider.always(demo.stuck)
        options = argparse.Namespace(json=True, model="gpt-4o")
        stopped = Budget(budget, prices={"gpt-4o": price})
        assert demo.show(stopped, Decimal(budget[1:]), options, provider) == 0
        log = provider.served
    shown = json.loads(capsys.readouterr().out)
    spent = Fraction(0)
    assert len(shown["calls"]) == len(log) > 0
    for call, served in zip(shown["calls"], log, strict=True):
        usd = (served.input_tokens * Fraction(price[0]) + served.output_tokens * Fraction(price[1])) / 10**6
        cost = Fraction(math.ceil(usd * 10**9), 10**9)
        spent += cost
        assert (call["input_tokens"], call["output_tokens"]) == (served.input_tokens, served.output_tokens)
        assert (Fraction(call["cost"]), Fraction(call["spent"])) == (cost, spent)
        assert Fraction(call["remaining"]) == Fraction(budget[1:]) - spent
    result = shown["result"]
    assert Fraction(result["billed"]) == Fraction(result["ledger"]) == spent <= Fraction(budget[1:])
    assert (result["calls"], result["served"], result["holds"]) == (len(log), len(log), True)


def test_more_money_makes_more_calls_and_a_higher_price_fewer() -> None:
    """The counts are not the same for every budget."""
    counts = [
        json.loads(run("--json", "--budget", usd).stdout)["result"]["calls"]
        for usd in ("0.02", "0.05", "0.08")
    ]
    assert counts == sorted(set(counts))


def test_lines_where_there_is_no_terminal() -> None:
    """A pipe gets one line a call, then the bill, the ledger and the limit; no escape sequences."""
    done = run("--budget", "$0.02")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and "\x1b" not in done.stdout and done.stderr == ""
    assert [line.split()[0] for line in lines if not line.startswith("call")] == [
        "refused",
        "bill",
        "ledger",
        "limit",
        "Stopped",
    ]
    assert re.fullmatch(
        r"Stopped at its budget: \$0\.0\d+ of \$0\.02 is spent, and bill and ledger are equal\.", lines[-1]
    )


def test_the_budget_is_used_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Less than a tenth is left when the agent is stopped, and no lowered cap would have been of use any more."""
    monkeypatch.syspath_prepend(str(DEMO))
    import demo

    assert demo.main(["--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    left = Fraction(shown["result"]["limit"]) - Fraction(shown["result"]["ledger"])
    assert 0 <= left < Fraction(shown["result"]["limit"]) / 10
    assert "with its output cap lowered to 16 tokens" in shown["result"]["refusal"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--live"], "OPENAI_API_KEY"),
        (["--budget", "lots"], "lots"),
        (["--budget", "5 calls"], "dollars"),
        (["--budget", "0"], "was not made"),
        (["--model", "gpt-99"], "gpt-99"),
    ],
)
def test_wrong_arguments_get_one_line(arguments: list[str], says: str) -> None:
    """What cannot be run says why in a line, and exits with 2."""
    done = run(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert says in done.stderr and len(done.stderr.splitlines()) == 1
