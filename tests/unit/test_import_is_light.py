"""`import bursar` costs next to nothing and starts nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import bursar
import bursar.store

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
print(*[name for name in sys.modules if name.startswith("bursar")])
for name in bursar.__all__:
    getattr(bursar, name)
assert threading.active_count() == 1, threading.enumerate()
print(*sys.modules)
"""
FRONT_DOORS = ("errors", "integration", "sdk", "store", "testing")


def test_import_loads_no_framework_no_sdk_and_nothing_that_talks_to_a_network() -> None:
    """A fresh interpreter has only what is used of ours, none of the heavy modules, and no second thread."""
    run = subprocess.run([sys.executable, "-I", "-c", PROGRAM], capture_output=True, text=True, check=True)
    at_first, used = run.stdout.splitlines()
    loaded = set(used.split())
    assert at_first == "bursar"
    assert "bursar.budget" in loaded
    assert not loaded & HEAVY


def test_the_version_is_read_from_the_metadata_when_it_is_asked_for() -> None:
    """Which the import leaves alone, since that takes longer than all the rest."""
    assert bursar.__version__ == version("bursar")


def test_names_come_from_where_type_checkers_see_them() -> None:
    """The table of homes, `__all__`, and the imports that only type checkers follow are of one mind."""
    (seen,) = [node for node in ast.parse(Path(bursar.__file__).read_text("utf-8")).body
               if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]  # fmt: skip
    imports = [node for node in seen.body if isinstance(node, ast.ImportFrom)]

    assert {one.name: node.module for node in imports for one in node.names} == bursar._HOMES
    assert sorted(bursar._HOMES) == sorted(bursar.__all__)
    assert set(dir(bursar)) >= {*bursar.__all__, "__doc__"}
    assert set(dir(bursar.store)) >= {*bursar.store.__all__, "base"}
    assert sorted(bursar.store._HOMES) == sorted(bursar.store.__all__)
    with pytest.raises(AttributeError, match=r"'bursar.store' has no attribute 'nothing'"):
        _ = bursar.store.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("door", FRONT_DOORS)
def test_any_front_door_may_be_the_first(door: str) -> None:
    """Each can be imported before anything else of ours; what `bursar` itself needs is an attribute of it."""
    program = f"import bursar.{door}; import bursar; print(bursar.store.Store, bursar.errors.BursarError)"

    subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=True)


THREADS = """
import threading
import bursar
barrier, failed = threading.Barrier(8), []
def use(names):
    barrier.wait()
    try:
        for name in names:
            getattr(bursar, name)
    except BaseException as error:
        failed.append(error)
threads = [threading.Thread(target=use, args=(bursar.__all__[at::8],)) for at in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failed, failed
"""


def test_several_threads_may_be_the_first_to_use_a_name() -> None:
    """No module is seen half imported: imports point down, so that no two threads wait for each other."""
    subprocess.run([sys.executable, "-I", "-c", THREADS], capture_output=True, check=True)
