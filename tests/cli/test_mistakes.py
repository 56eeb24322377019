"""What cannot be done is told in one line that says what to do, with exit status 2 and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..files import file_url
from ..servers import free_port
from .commands import Run, fill

STORE_COMMANDS = (
    "status", "who", "tree", "holds", "holds release x", "set-limit $1", "reset --yes", "trip", "untrip",
    "acknowledge --reason r", "audit", "doctor", "export", "report",
)  # fmt: skip


def is_one_line(status: int, out: str, err: str) -> bool:
    """And nothing else."""
    return status == 2 and out == "" and err.startswith("bursar: ") and err.count("\n") == 1


@pytest.mark.parametrize("command", STORE_COMMANDS)
def test_a_store_that_is_not_there(run: Run, command: str, tmp_path: Path) -> None:
    """A missing file, which is not made; a server that does not answer; a scheme and an option that are none."""
    words = command.split(" ")
    for given, said in (
        (str(tmp_path / "none.db"), "there is no file"),
        (f"sqlite:///{tmp_path}/none.db", "there is no file"),
        (f"redis://:secret@127.0.0.1:{free_port()}/0?timeout=0.2", "cannot be reached"),
        ("postgres://secret@here/db", "postgres"),
        (f"sqlite:///{tmp_path}/none.db?cache=1", "no option ?cache="),
    ):
        done = run(*words, "--store", given)
        assert is_one_line(*done), done
        assert said in done.err and "secret" not in done.err
    assert is_one_line(*run(*words)), "no store at all"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [c for c in STORE_COMMANDS if c != "doctor"])
def test_an_account_that_is_not_there(run: Run, command: str, store: str) -> None:
    """Near names are told, else those that there are; the command does nothing."""
    near = run(*command.split(" "), "--store", store, "--account", "supports")
    assert is_one_line(*near) and "close to it: support" in near.err
    far = run(*command.split(" "), "--store", store, "--account", "a//z")
    assert is_one_line(*far) and "there are nightly, support, support/alice, support/bob" in far.err


@pytest.mark.parametrize(
    "command", [c for c in STORE_COMMANDS if c not in ("doctor", "acknowledge --reason r")]
)
def test_a_store_without_accounts(run: Run, command: str, empty: str) -> None:
    """A file without a budget, a server without one."""
    if empty.startswith("sqlite"):
        Path(empty.removeprefix("sqlite:///")).touch()
    done = run(*command.split(" "), "--store", empty)
    assert is_one_line(*done)
    assert is_one_line(*run(*command.split(" "), "--store", empty, "--account", "x"))


def test_a_file_that_is_no_database(run: Run, tmp_path: Path) -> None:
    """It is left as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, and long enough to be read as one" * 10)
    done = run("status", "--store", file)
    assert is_one_line(*done) and "is not a database" in done.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("set-limit $5/dy --store S --account bob", "did you mean '$5/day'?"),
        ("set-limit 5k --store S --account bob", "did you mean '5k tokens'?"),
        ("set-limit $1/day --tz Mars --store S --account bob", "Mars"),
        ("status --storage S", "No such option: --storage"),
        ("stats", "Did you mean 'status'"),
        ("status --format xml --store S", "xml"),
        ("who --most 0 --store S", "--most"),
        ("models gpt-4oo", "close to it: gpt-4o"),
        ("models --provider nobody", "there is no provider 'nobody'"),
        ("estimate --model gpt-4x --input 1 --output 1", "close to it: gpt-4"),
        ("estimate --model gpt-4o --input -1 --output 1", "--input"),
        ("estimate --model gpt-4o --input 1 --output 1 --tier gold", "gold"),
        ("estimate --input 1 --output 1", "--model"),
        ("report none.json", "cannot be read"),
        ("acknowledge --store S", "--reason"),
        ("reset --store S --account bob", "add --yes"),
    ],
)
def test_a_wrong_argument(run: Run, line: str, said: str) -> None:
    """Each is told by its name."""
    store = file_url()
    fill(store)
    done = run(*(store if word == "S" else word for word in line.split(" ")))
    assert is_one_line(*done), done
    assert said in done.err


@pytest.mark.parametrize("text", ["", "[]", "{", '{"session_id": "x"}', '{"a": 1}'])
def test_a_file_that_is_no_report(run: Run, tmp_path: Path, text: str) -> None:
    """Whatever is in it."""
    file = tmp_path / "report.json"
    file.write_text(text)
    assert is_one_line(*run("report", file))


def test_a_price_file_that_is_none(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named."""
    monkeypatch.setenv("BURSAR_PRICES", str(tmp_path / "none.json"))
    done = run("models gpt-4o")
    assert is_one_line(*done) and "BURSAR_PRICES" in done.err


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_the_module_is_the_command() -> None:
    """`python -m bursar`, and the script of the distribution."""
    done = python("-m", "bursar", "--version")
    script = subprocess.run(
        [Path(sys.executable).with_name("bursar"), "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == script.stdout != ""


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_one_line_says_how_to_install_it(missing: str) -> None:
    """And the exit status is 2."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from bursar.__main__ import main; sys.exit(main())"
    )
    done = python("-c", program)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bursar: the command line needs typer and rich: pip install 'bursar[cli]'\n"


def test_importing_bursar_imports_nothing_of_the_command_line() -> None:
    """Neither it nor what it needs."""
    done = python("-c", "import sys, bursar; print(*sys.modules)")
    loaded = set(done.stdout.split())
    assert not {name for name in loaded if name.startswith(("bursar.cli.", "rich", "typer"))}


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """`bursar models | head -1`."""
    program = f"{sys.executable} -m bursar models | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == "" and done.stdout.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell: str) -> None:
    """The shell gets the commands that begin with what was typed."""
    words = {"COMP_WORDS": "bursar set", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "bursar set"}
    done = python("-m", "bursar", _BURSAR_COMPLETE=f"complete_{shell}", **words)
    assert "set-limit" in done.stdout


@pytest.mark.parametrize(
    "command", ["", "status", "who", "tree", "holds", "holds release", "set-limit", "reset", "trip", "untrip",
                "acknowledge", "audit", "doctor", "export", "report", "models", "estimate", "plugins"],
)  # fmt: skip
def test_help_has_examples(run: Run, command: str) -> None:
    """Each command has lines to copy."""
    done = run(*filter(None, command.split(" ")), "--help")
    assert done.status == 0 and f"  bursar {command}" in done.out
