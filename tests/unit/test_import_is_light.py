"""`import bursar` costs next to nothing and starts nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import bursar

HEAVY = {
    *("aiohttp", "anthropic", "httpx", "openai", "pydantic", "redis", "requests", "urllib3"),
    *(
        "autogen_agentchat",
        "autogen_core",
        "bursar_langchain",
        "crewai",
        "langchain",
        "langchain_core",
        "llama_index",
    ),
    *("asyncio", "concurrent.futures.process", "http.client", "http.server", "multiprocessing", "sqlite3"),
    *("ssl", "unittest", "urllib.request"),
    *("email", "importlib.metadata", "socket"),
}
PROGRAM = """
import sys, threading
import bursar
assert threading.active_count() == 1, threading.enumerate()
print(*sys.modules)
"""


def test_import_loads_no_framework_no_sdk_and_nothing_that_talks_to_a_network() -> None:
    """A fresh interpreter has none of the heavy modules after the import, and no second thread."""
    run = subprocess.run([sys.executable, "-I", "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "bursar" in loaded
    assert not loaded & HEAVY


def test_the_version_is_read_from_the_metadata_when_it_is_asked_for() -> None:
    """Which the import leaves alone, since that takes longer than all the rest."""
    assert bursar.__version__ == version("bursar")
