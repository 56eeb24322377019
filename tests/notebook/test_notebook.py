"""bursar in a notebook: a real kernel, whose event loop runs under every cell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.notebook.conftest import Notebook

PAGE = Path(__file__).parents[2] / "docs" / "concurrency.md"
CALL = '"gpt-4o", input_tokens=800, max_output_tokens=200'  # $0.004 at the worst
PROVIDER = """
import asyncio, http.client, json
from bursar import Budget, BudgetExceeded
from bursar.testing import ScriptedProvider

provider = ScriptedProvider().start()
question = [{"role": "user", "content": "Why is the sky blue?"}]

def chat(cap):
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    body = {"model": "gpt-4o", "messages": question, "max_tokens": cap}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer none"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer
"""


@pytest.mark.parametrize(("limit", "ends"), [("$1", None), ("$0.0000001", "BudgetExceeded")])
@pytest.mark.parametrize(
    "cell",
    [
        """
        with session.reserve("gpt-4o", messages=question, max_output_tokens=100) as hold:
            hold.settle(chat(hold.max_output_tokens))
        """,
        """
        async with session.areserve("gpt-4o", messages=question, max_output_tokens=100) as hold:
            await hold.asettle(await asyncio.to_thread(chat, hold.max_output_tokens))
        """,
        """
        async def agent():
            asyncio.get_running_loop()
            with session.reserve("gpt-4o", messages=question, max_output_tokens=100) as hold:
                hold.settle(chat(hold.max_output_tokens))

        await agent()
        """,
    ],
    ids=["sync", "await", "sync inside await"],
)
def test_a_cell_pays(cell: str, limit: str, ends: str | None, notebook: Notebook) -> None:
    """In the loop of the kernel, sync and async: with money one request is sent and billed, without none is."""
    assert notebook.run(PROVIDER).error is None
    ran = notebook.run(
        f"session = Budget({limit!r}).session()\n" + re.sub("^ {8}", "", cell, flags=re.MULTILINE)
    )
    assert ran.error == ends
    told = notebook.run("provider.hits, session.spent == provider.bill, session.reserved == 0")
    assert told.value == ("(1, True, True)" if ends is None else "(0, True, True)")


@pytest.mark.parametrize(
    "cell",
    [
        f"""
        import time
        with session.reserve({CALL}) as hold:
            print("open", flush=True)
            time.sleep(600)
        """,
        f"""
        import asyncio
        async with session.areserve({CALL}) as hold:
            print("open", flush=True)
            await asyncio.sleep(600)
        """,
        f"""
        import asyncio
        with session.reserve({CALL}) as hold:
            print("open", flush=True)
            await asyncio.sleep(600)
        """,
    ],
    ids=["sync", "await", "sync inside await"],
)
def test_an_interrupted_cell_leaves_nothing_reserved(cell: str, notebook: Notebook) -> None:
    """The stop button in the middle of a call: its cost is unknown, so it is booked, and the next cell goes on."""
    notebook.run("from bursar import Budget; session = Budget('$0.01').session()")
    ran = notebook.interrupt(re.sub("^ {8}", "", cell, flags=re.MULTILINE), when="open")
    assert ran.error in ("KeyboardInterrupt", "CancelledError")
    told = notebook.run(
        "print(hold.state, hold.charge.estimated, session.spent, session.reserved, session.calls)"
    )
    assert told.printed == "in_doubt True 0.004 0 1\n"
    notebook.run("hold.settle(input_tokens=800, output_tokens=10)")
    assert notebook.run("print(hold.state, session.spent)").printed == "settled 0.0021\n"
    assert notebook.run(f"session.reserve({CALL}).settle(input_tokens=800, output_tokens=200)").error is None


def test_a_cell_is_run_again(notebook: Notebook) -> None:
    """A cell that makes a budget makes a new one; a cell that uses one goes on spending, in the same session by its id."""
    make = 'from bursar import Budget\nbudget = Budget("$1/total", "$0.5", name="research")'
    use = 'with budget.session(id="run") as session:\n    session.reserve(cost="$0.2").settle()\nprint(session.spent, budget.spent)'
    assert [notebook.run(cell).printed for cell in (make, use, use)] == ["", "0.2 0.2\n", "0.4 0.4\n"]
    assert notebook.run(use).error == "BudgetExceeded"
    changed = make.replace("$0.5", "$0.3")
    assert [notebook.run(cell).printed for cell in (make, use, changed, use)] == [
        "",
        "0.2 0.2\n",
        "",
        "0.2 0.2\n",
    ]
    with_block = notebook.run("with session:\n    pass\nwith session:\n    pass\nsession")
    assert with_block.value == "<Session 'run'>"


def test_the_cells_of_the_page_run(notebook: Notebook) -> None:
    """What docs/concurrency.md shows of notebooks, from top to bottom; a budget at the end of a cell is a table."""
    cells = re.findall(r"^```ipython\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(cells) >= 2
    for cell in cells:
        ran = notebook.run(cell)
        assert ran.error is None, "\n".join(ran.traceback)
    assert "<b>research</b>: $0.0056 spent" in ran.table and ran.value == "<Budget 'research': $5/session>"
