"""`bursar run` holds a budget over a program and all that it starts, by the count of the provider."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bursar.testing import ScriptedProvider

from ..servers import free_port, until
from .commands import Run, runner

SPENDING = """
import os, sys
import openai

client = openai.OpenAI(max_retries=0)

def spend(calls):
    for number in range(calls):
        text = f"Why is the sky blue? {os.getpid()}, {number}"
        client.chat.completions.create(
            model="gpt-4o-mini", max_tokens=100, messages=[{"role": "user", "content": text}]
        )
"""
CHILDREN = """
import multiprocessing
from spending import spend
if __name__ == "__main__":
    context = multiprocessing.get_context("{way}")
    children = [context.Process(target=spend, args=(4,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    raise SystemExit(max(child.exitcode for child in children))
"""
PROGRAMS = {  # each makes eight calls, if it may
    "alone": "from spending import spend; spend(8)",
    "anthropic": """
        import anthropic
        client = anthropic.Anthropic(max_retries=0)
        for number in range(8):
            question = [{"role": "user", "content": f"Why is the sky blue? {number}"}]
            client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=question)
        """,
    "subprocess": """
        import subprocess, sys
        for _ in range(2):
            subprocess.run([sys.executable, "-c", "from spending import spend; spend(4)"], check=True)
        """,
    "shell": """
        import os, sys
        raise SystemExit(os.system(sys.executable + " -c 'from spending import spend; spend(8)'") != 0)
        """,
    "spawn": CHILDREN.format(way="spawn"),
    "fork": CHILDREN.format(way="fork"),
    "forkserver": CHILDREN.format(way="forkserver"),
    "exec": """
        import os, sys
        os.execl(sys.executable, sys.executable, "-c", "from spending import spend; spend(8)")
        """,
    "threads": """
        from concurrent.futures import ThreadPoolExecutor
        from spending import spend
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(spend, 2) for _ in range(4)]:
                done.result()
        """,
}


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process; what its program prints is seen, too."""
    monkeypatch.delenv("BURSAR_BUDGET", raising=False)
    return runner(capfd)


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    """A provider that programs in this folder find."""
    (tmp_path / "spending.py").write_text(SPENDING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with ScriptedProvider() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
        yield provider


def program(text: str, name: str = "program.py") -> str:
    """A file with a program."""
    lines = text.strip("\n").splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip())
    Path(name).write_text("\n".join(line[margin:] for line in lines) + "\n")
    return name


def report(name: str = "out.json") -> dict[str, Any]:
    """What was written."""
    found: dict[str, Any] = json.loads(Path(name).read_text("utf-8"))
    return found


def left_behind() -> list[Path]:
    """Folders of runs."""
    return list(Path(os.environ["TMPDIR"]).glob("bursar-run-*"))


@pytest.mark.parametrize("calls", [5, 20])
@pytest.mark.parametrize("way", PROGRAMS)
def test_the_budget_holds_over_all_processes(
    run: Run, provider: ScriptedProvider, way: str, calls: int
) -> None:
    """Of eight calls five are served where five may be, and the exit status is 3; all eight where they may."""
    done = run(
        "run", "--budget", f"{calls} calls", "--budget", "$1", "--report", "out.json", program(PROGRAMS[way])
    )
    assert provider.hits == min(calls, 8)
    assert done.status == (3 if calls == 5 else 0), done.err
    found = report()
    assert Decimal(str(found["total_spent"])) == provider.bill and found["reserved"] == 0
    assert found["breakdown"]["llm"]["calls"] == provider.hits
    assert found["run"]["not_covered"] == [] and left_behind() == []


@pytest.mark.parametrize(("budget", "status"), [("$0.0003", 3), ("$1", 0)])
def test_dollars_are_held_too(run: Run, provider: ScriptedProvider, budget: str, status: int) -> None:
    """The provider's bill is at most the budget, and as the summary says."""
    done = run("run", "--budget", budget, program("from spending import spend; spend(30)"))
    assert done.status == status
    assert 0 < provider.bill <= Decimal(budget[1:]) and (provider.hits == 30) == (status == 0)
    assert f"program.py spent ${provider.bill.normalize():f} in {provider.hits} calls" in done.err
    assert ("stopped by the budget: a call to 'gpt-4o-mini' was not made" in done.err) == (status == 3)


@pytest.mark.parametrize(("calls", "status"), [(2, 3), (9, 0)])
def test_pytest_as_a_module(run: Run, provider: ScriptedProvider, calls: int, status: int) -> None:
    """Its own options are not ours, and its exit status passes through."""
    program("from spending import spend\ndef test_it():\n    spend(4)\n", "test_it.py")
    done = run(
        "run", "--budget", f"{calls} calls", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"
    )
    assert (done.status, provider.hits) == (status, min(calls, 4))


@pytest.mark.parametrize(("calls", "served"), [(2, 2), (9, 3)])
def test_uvicorn_as_a_module(provider: ScriptedProvider, calls: int, served: int) -> None:
    """A server runs until it is told to end, and ends as it does by itself; what it answered is counted."""
    program("""
        from spending import spend
        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            try:
                spend(1)
                status = 200
            except Exception:
                status = 402
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        """, "web.py")  # fmt: skip
    port = free_port()
    arguments = [
        "--budget",
        f"{calls} calls",
        "--report",
        "out.json",
        "-m",
        "uvicorn",
        "web:app",
        "--port",
        port,
    ]
    process = start(*arguments)
    until(lambda: listens(port))
    answers = []
    for _ in range(3):
        try:
            answers.append(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).status)
        except urllib.error.HTTPError as error:
            answers.append(error.code)
            error.close()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert answers == [200] * served + [402] * (3 - served)
    assert provider.hits == report()["breakdown"]["llm"]["calls"] == served
    assert process.returncode in (0, 128 + signal.SIGTERM), err
    assert left_behind() == []


def start(*arguments: object) -> subprocess.Popen[str]:
    """`bursar run` in a process of its own."""
    command = [sys.executable, "-m", "bursar", "run", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - a job may ignore it
    )


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


SLEEPING = """
    import time
    from spending import spend
    spend(2)
    try:
        print("spent", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        raise SystemExit(7)
    """


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 7), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_signal_leaves_a_correct_report(
    provider: ScriptedProvider, sent: signal.Signals, status: int
) -> None:
    """The program gets it and says how it ends; then comes the report, and nothing is left behind."""
    process = start("--budget", "$1", "--report", "out.json", program(SLEEPING))
    assert process.stdout is not None and process.stdout.readline() == "spent\n"
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == status, err
    assert Decimal(str(report()["total_spent"])) == provider.bill and report()["reserved"] == 0
    assert "in 2 calls" in err and left_behind() == []


def test_ctrl_c_reaches_the_program_once(provider: ScriptedProvider) -> None:
    """A terminal tells the whole group of processes; nobody passes it on a second time."""
    import pty

    text = """
        import time
        times, end = 0, time.monotonic() + 30
        while time.monotonic() < end:
            try:
                if not times:
                    print("ready", flush=True)
                time.sleep(0.5)
                if times:
                    break
            except KeyboardInterrupt:
                times += 1
        raise SystemExit(10 + times)
        """
    name = program(text)
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.execv(sys.executable, [sys.executable, "-m", "bursar", "run", "--budget", "$1", name])
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    try:
        while True:
            shown += os.read(terminal, 1000)
    except OSError:  # the terminal has closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 11, shown


def test_a_crash_keeps_the_ledger_and_names_it(run: Run, provider: ScriptedProvider) -> None:
    """What was in flight is still held in it; the commands that look can look into it."""
    text = """
        import os, signal, bursar
        hold = bursar.get_session().reserve("gpt-4o", cost="$0.25")
        os.kill(os.getpid(), signal.SIGKILL)
        """
    done = run("run", "--budget", "$1", "--json", program(text))
    assert done.status == 128 + signal.SIGKILL
    kept = json.loads(done.err)["run"]["ledger"]
    held = run("holds", "--store", f"{kept}/ledger.db", "--json").json["holds"]
    assert [hold["usd"] for hold in held] == [0.25]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("try:\n    spend(9)\nexcept Exception:\n    pass\n", 3),
        ("try:\n    spend(9)\nexcept Exception:\n    raise SystemExit(5)\n", 3),
        ("try:\n    spend(9)\nexcept Exception as error:\n    raise RuntimeError('x') from error\n", 3),
        ("raise SystemExit(5)\n", 5),
        ("1 / 0\n", 1),
        ("spend(4)\n", 0),
    ],
    ids=["swallowed", "another status", "another error", "its own status", "its own error", "enough"],
)
def test_the_exit_status(run: Run, provider: ScriptedProvider, text: str, status: int) -> None:
    """3 where the last call was refused, whatever the program made of it; else the program's own."""
    done = run("run", "--budget", "4 calls", program(f"from spending import spend\n{text}"))
    assert done.status == status, done.err


def test_a_program_that_went_on_with_a_smaller_call_was_not_stopped(
    run: Run, provider: ScriptedProvider
) -> None:
    """It was refused, handled it, and ended well: the summary says so, and the exit status is its own."""
    text = """
        from spending import client, spend
        question = [{"role": "user", "content": 20_000 * "why "}]
        try:
            client.chat.completions.create(model="gpt-4o-mini", messages=question)
        except Exception:
            spend(1)
        """
    done = run("run", "--budget", "$0.001", program(text))
    assert (done.status, provider.hits) == (0, 1)
    assert "1 refused call, and the program went on" in done.err


REFUSED_CHILDREN = {
    "subprocess": """
        import subprocess, sys
        subprocess.run([sys.executable, "-c", "from spending import spend; spend(4)"], check={check})
        """,
    "fork": """
        import multiprocessing
        from spending import spend
        child = multiprocessing.get_context("fork").Process(target=spend, args=(4,))
        child.start()
        child.join()
        raise SystemExit({check} and child.exitcode)
        """,
}


@pytest.mark.parametrize(("check", "status"), [(False, 0), (True, 3)], ids=["goes on", "fails by it"])
@pytest.mark.parametrize("way", REFUSED_CHILDREN)
def test_a_child_that_was_refused(
    run: Run, provider: ScriptedProvider, way: str, check: bool, status: int
) -> None:
    """A parent that goes on and ends well was not stopped, and the summary counts the refusal; one that fails was."""
    done = run("run", "--budget", "2 calls", program(REFUSED_CHILDREN[way].format(check=check)))
    assert (done.status, provider.hits) == (status, 2)
    assert ("1 refused call, and the program went on" in done.err) == (not check)


def test_warn_only_refuses_nothing(run: Run, provider: ScriptedProvider) -> None:
    """And says what would have been refused."""
    done = run("run", "--budget", "2 calls", "--warn-only", program("from spending import spend; spend(4)"))
    assert (done.status, provider.hits) == (0, 4)
    assert "only warned of: 2 calls that would have been refused" in done.err


def test_the_budget_of_the_environment(
    run: Run, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BURSAR_BUDGET has limits, separated by semicolons; an option takes its place."""
    monkeypatch.setenv("BURSAR_BUDGET", "$1; 2 calls/1h")
    name = program("from spending import spend; spend(4)")
    assert (run("run", name).status, provider.hits) == (3, 2)
    assert (run("run", "--budget", "$1", name).status, provider.hits) == (0, 6)


def test_the_sitecustomize_of_the_user_still_runs(run: Run, provider: ScriptedProvider) -> None:
    """Before the program, and although ours comes first; one that fails hides nothing."""
    Path("sitecustomize.py").write_text("import builtins\nbuiltins.mine = 1\nraise ValueError('mine')\n")
    done = run("run", "--budget", "2 calls", program("print(mine)\nfrom spending import spend; spend(4)"))
    assert (done.status, done.out, provider.hits) == (3, "1\n", 2)


def test_the_program_sees_the_path_that_it_would_have(run: Run, provider: ScriptedProvider) -> None:
    """Nothing of ours is on `sys.path`, and its arguments are its own."""
    name = program("import sys; print(sys.argv[1:], [p for p in sys.path if 'cli/run' in p])")
    assert (
        run("run", "--budget", "$1", name, "--budget", "-m", "--json").out
        == "['--budget', '-m', '--json'] []\n"
    )


UNCOVERED = {
    "isolated": '[sys.executable, "-I", "-c", "pass"]',
    "no site": '[sys.executable, "-S", "-c", "pass"]',
    "no environment": '[sys.executable, "-Es", "-c", "pass"]',
    "through a shell": '["sh", "-c", sys.executable + " -I -c pass"]',
    "through env": '["env", "-u", "X", sys.executable, "-I", "-c", "pass"]',
    "script": '["./script"]',
    "path cleared": '[sys.executable, "-c", "pass"], env={"PATH": "/usr/bin"}',
    "another environment": '["other/bin/python", "-c", "print(1)"]',
}


@pytest.mark.parametrize(
    ("way", "strict"),
    [
        *((way, False) for way in UNCOVERED),
        *((way, True) for way in ("isolated", "script", "another environment")),
    ],
)
def test_a_child_that_cannot_be_covered(run: Run, provider: ScriptedProvider, way: str, strict: bool) -> None:
    """One line tells, and the summary counts it; with --strict it does not start."""
    Path("script").write_text(f"#!{sys.executable} -I\npass\n")
    Path("script").chmod(0o755)
    if way == "another environment":
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "other"], check=True)
    text = f"""
        import subprocess, sys
        try:
            print(subprocess.run({UNCOVERED[way]}, stdout=subprocess.DEVNULL).returncode)
        except Exception as error:
            print(type(error).__name__)
        """
    options = ["--strict"] if strict else []
    done = run("run", "--budget", "$1", *options, program(text))
    shown = ("126\n" if way == "another environment" else "BursarError\n") if strict else "0\n"
    assert (done.status, done.out) == (0, shown), done.err
    told, summed = (line for line in done.err.splitlines() if "covered" in line)
    assert (
        told.startswith("bursar: ") and summed == "bursar: not covered, and not in this sum: 1 child process"
    )


def test_a_child_without_the_package_of_its_sdk(run: Run, provider: ScriptedProvider) -> None:
    """It is counted; as the program itself it is not run at all."""
    text = """
        import os, subprocess, sys
        env = {**os.environ, "BURSAR_BLOCK_PLUGINS": "openai"}
        raise SystemExit(subprocess.run([sys.executable, "-c", "pass"], env=env).returncode)
        """
    done = run("run", "--budget", "$1", program(text))
    assert done.status == 0 and done.err.count("pip install bursar-openai") == 1
    assert run("run", "--strict", "--budget", "$1", program(text)).status == 126


def test_a_program_whose_sdk_has_no_package_is_not_run(
    run: Run, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what to install, and nothing is spent."""
    monkeypatch.setenv("BURSAR_BLOCK_PLUGINS", "openai")
    done = run("run", "--budget", "$1", program("from spending import spend; spend(1)"))
    assert (done.status, provider.hits, done.err.count("\n")) == (2, 0, 1)
    assert "pip install bursar-openai" in done.err and left_behind() == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run p.py", "give a budget"),
        ("run --budget $5/dy p.py", "dy"),
        ("run --budget $5 none.py", "there is no script 'none.py'"),
        ("run --budget $5 -m", "takes the name of a module"),
        ("run --budget $5", "PROGRAM"),
        ("run --budget $5 --report no/such/out.json p.py", "there is no folder"),
        ("run --bugdet=$5 p.py", "--bugdet"),
    ],
)
def test_a_wrong_line_runs_nothing(run: Run, provider: ScriptedProvider, line: str, said: str) -> None:
    """One line, exit status 2."""
    program("print('ran')", "p.py")
    done = run(line)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err and left_behind() == []


def test_a_system_that_does_not_tell_where_signals_come_from(
    run: Run, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program runs all the same, and its exit status is its own."""
    monkeypatch.delattr("signal.sigtimedwait")
    assert run("run", "--budget", "$1", program("raise SystemExit(5)")).status == 5
