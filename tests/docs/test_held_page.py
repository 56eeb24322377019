"""The page about holds and the page about refusals say what happens: their tables are generated, or produced here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import Context
from pathlib import Path

import pytest

from bursar import Budget, BudgetExceeded
from bursar.testing import ManualClock

DOCS = Path(__file__).parents[2] / "docs"
MODELS = (
    *("gpt-5.2", "gpt-5-mini", "gpt-4o", "gpt-4o-mini", "claude-opus-4-5", "claude-sonnet-4-5"),
    *("claude-haiku-4-5", "gemini-2.5-pro", "gemini-2.5-flash"),
)
HEAD = "| model | its own cap, in tokens | without a cap | at 8,192 tokens | at 16 tokens |\n|---|---|---|---|---|\n"


def table() -> str:
    """The worst cases of one call to each model, as the page has them."""
    session, rows = Budget().session(), ""
    for model in MODELS:
        cells, caps = [], []
        for cap in (None, 8_192, 16):
            with session.reserve(model, input_tokens=1_000, max_output_tokens=cap) as hold:
                cells.append(f"${hold.amount:.4f}")
                caps.append(hold.max_output_tokens or 0)
                hold.release()
        rows += f"| `{model}` | {caps[0]:,} | {' | '.join(cells)} |\n"
    return HEAD + rows


def test_the_table_of_worst_cases_is_generated() -> None:
    """Word for word; `python -m tests.docs.test_held_page` writes it anew."""
    assert table() in (DOCS / "held.md").read_text("utf-8")


def refused(act: Callable[[], object]) -> str:
    """What a refusal says."""
    with pytest.raises(BudgetExceeded) as refusal:
        act()
    return str(refusal.value)


def too_long() -> str:
    session = Budget("$1", clamp=False).session()
    return refused(lambda: session.reserve("gpt-5.2", input_tokens=8))


def too_dear() -> str:
    session = Budget("$0.001").session()
    return refused(lambda: session.reserve("gpt-5.2", input_tokens=8_000))


def used_up() -> str:
    session = Budget("$1/hour", clock=ManualClock(1_767_225_600)).session()
    session.track("done", "$1")
    return refused(lambda: session.reserve(cost=1))


def held_by_others(wait: float) -> str:
    budget = Budget("$1/total", wait=wait)
    hold = Context().run(budget.session().reserve, cost=1)
    text = refused(lambda: budget.session().reserve(cost=1))
    hold.release()
    return text


def held_here() -> str:
    session = Budget("$1").session()
    with session.reserve(cost=1) as hold:
        text = refused(lambda: session.reserve(cost=1))
        hold.release()
    return text


def in_a_loop() -> str:
    budget = Budget("$1/total")
    hold = Context().run(budget.session().reserve, cost=1)

    async def main() -> str:
        return refused(lambda: budget.session().reserve(cost=1))

    text = asyncio.run(main())
    hold.release()
    return text


def repeated() -> str:
    session = Budget("$1").session()

    def again() -> None:
        for _ in range(11):
            session.reserve(tool="search", messages=["the same"]).settle(cost=0)

    return refused(again)


def too_fast() -> str:
    session = Budget("$9", max_velocity="$1/min").session()
    return refused(lambda: session.reserve(cost=2))


def stopped() -> str:
    session = Budget("$1").session()
    session.trip("enough")
    return refused(lambda: session.reserve(cost=0))


def kept() -> str:
    session = Budget("$1", finalization_reserve="$0.50").session()
    return refused(lambda: session.reserve(cost="$0.75"))


ROWS: dict[str, Callable[[], str]] = {
    "with max_tokens=... it would fit": too_long,
    "raise the limit, shorten the input, or use a cheaper model": too_dear,
    "wait 3,600 s": used_up,
    "is held by calls in flight; waited": lambda: held_by_others(0.05),
    "this thread or task holds too much of it itself": held_here,
    "it cannot wait in a running event loop": in_a_loop,
    "let them end first, send fewer at once": lambda: held_by_others(0),
    "was called 10 times with the same input": repeated,
    "spend more slowly": too_fast,
    "is stopped": stopped,
    "kept for finalize()": kept,
}


@pytest.mark.parametrize("said", ROWS)
def test_each_text_of_the_page_is_what_a_refusal_says(said: str) -> None:
    """In the case that the page names for it."""
    text = ROWS[said]()
    assert all(part in text for part in said.split("...")), text


def test_the_page_of_refusals_has_these_rows_and_no_others() -> None:
    """So that none is left without a test."""
    page = (DOCS / "refused.md").read_text("utf-8")
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert listed == list(ROWS)


if __name__ == "__main__":
    page = DOCS / "held.md"
    before, rest = page.read_text("utf-8").split(HEAD)
    page.write_text(f"{before}{table()}<!-- end -->{rest.partition('<!-- end -->')[2]}", "utf-8")
    sys.stdout.write(table())
