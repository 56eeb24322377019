"""The programs that we show: they run against this LangChain, and do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SCRIPT = """
from bursar import Budget, BudgetExceeded
from bursar.testing import ScriptedProvider
from bursar_langchain import BudgetCallback
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

with ScriptedProvider() as provider:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="none", max_tokens=100)
    chain = ChatPromptTemplate.from_template("Tell me about {topic}") | model
    budget = BudgetCallback("$0.001")
    answered = 0
    try:
        while True:
            chain.invoke({"topic": f"topic {answered}"}, config={"callbacks": [budget]})
            answered += 1
    except BudgetExceeded as refusal:
        print("stopped:", refusal)
    assert answered == provider.hits > 0
    assert budget.spent == provider.bill
    print(f"{answered} answers for ${budget.spent}, ${budget.remaining} left")
"""


def run(*command: str) -> str:
    """What a program prints, in a process of its own and without anybody's key."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**environment, "LANGSMITH_TRACING": "false"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_users_script() -> None:
    """Twenty lines, one of them the budget: it is stopped, and the bill is what it says."""
    assert len(SCRIPT.strip().splitlines()) <= 22
    printed = run("-c", SCRIPT)
    assert "stopped:" in printed and re.search(r"\d+ answers for \$0\.000\d+", printed)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("langchain_agent.py", r"Nothing is new\.\nspent \$0\.\d+: \d+ model calls, \d+ searches"),
        ("langgraph_nodes.py", r"stopped: (.|\n)*research\|search +\$(.|\n)*write +\$(.|\n)*all of it"),
        (
            "langchain_tenants.py",
            r"(?s)(?=.*alice +\$0\.000\d+, [1-9]\d* of 20)(?=.*carol +\$0\.000\d+, 0 of 20)",
        ),
    ],
    ids=["agent", "nodes", "tenants"],
)
def test_example(program: str, says: str) -> None:
    """An agent, a graph whose nodes have budgets, an app with tenants."""
    assert re.search(says, run(str(ROOT / "examples" / program)))
