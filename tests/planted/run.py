"""Plant one fault at a time into a copy of the sources, and see the tests that are named for it turn red.

python tests/planted/run.py SUITE [PART OF A NAME ...]

A fault is a file `*.patch` beside this one: text that says what it is, then a diff. Of the text,
`Red: <node id>` names a test that it turns red, or all cases of one, of which it turns some red;
`Suite: openai` says whose environment that needs, if not that of the core.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
AT_ONCE = 2
LONGEST_S = 300


class Fault(NamedTuple):
    """A patch, and what its text says."""

    patch: Path
    suite: str
    red: tuple[str, ...]


class Wrong(Exception):
    """A fault that is not found out, or that nobody can tell."""


def read(patch: Path) -> Fault:
    """What the text above the diff says."""
    text = patch.read_text("utf-8").partition("\ndiff --git ")[0]
    (suite,) = re.findall(r"^Suite: (\S+)$", text, re.MULTILINE) or ["core"]
    red = tuple(re.findall(r"^Red: (.+)$", text, re.MULTILINE))
    if not red:
        raise Wrong(f"{patch.name} has no line that begins with 'Red: '")
    return Fault(patch, suite, red)


def copy_of_the_sources(into: Path) -> Path:
    """All files but those that git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def test(tree: Path, suite: str, ids: Sequence[str]) -> dict[str, list[str]]:
    """Run tests of a tree on its own sources: what became of each id, and of each case of it.

    Raises:
        Wrong: a test was not found, or could not be imported.
    """
    sources = [tree / "core" / "src", *sorted(tree.glob("integrations/*/src"))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    results = tree / "results.xml"
    quiet = ["-q"] if suite == "core" else ["-q", "-Wdefault"]  # frameworks warn about each other
    command = [sys.executable, "-m", "pytest", *quiet, f"--junitxml={results}", *ids]
    try:
        done = subprocess.run(
            command, cwd=tree, env=env, capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Wrong(f"its tests took longer than {LONGEST_S} s") from None
    if done.returncode not in (0, 1):
        raise Wrong(f"pytest ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    outcomes = dict(cases(results))
    return {
        id: [what for case, what in outcomes.items() if case == key(id) or case.startswith(f"{key(id)}[")]
        for id in ids
    }


def cases(results: Path) -> Iterator[tuple[str, str]]:
    """Each case that ran, and ``passed``, ``failure``, ``error`` (around the test) or ``skipped``."""
    for case in ET.parse(results).iter("testcase"):
        found = {part.tag for part in case} & {"failure", "error", "skipped"}
        yield f"{case.get('classname')}.{case.get('name')}", "+".join(sorted(found)) or "passed"


def key(id: str) -> str:
    """A node id, as the report has it."""
    name, bracket, case = id.partition("[")
    return name.replace(".py::", ".").replace("/", ".").replace("::", ".") + bracket + case


def plant(fault: Fault, sound: Path, into: Path) -> None:
    """Put a fault into a copy of the sound tree, and run its tests there.

    Raises:
        Wrong: it cannot be planted, or one of its tests does not turn red.
    """
    shutil.copytree(sound, into)  # with what is compiled of it, which is older than what the patch touches
    command = ["git", "apply", str(fault.patch)]
    applied = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    if applied.returncode:
        raise Wrong(f"it does not apply any more\n{applied.stderr}")
    for id, became in test(into, fault.suite, fault.red).items():
        if "failure" not in became:
            raise Wrong(f"{id} does not turn red: {', '.join(sorted(set(became)))}")
    shutil.rmtree(into)


def tried(fault: Fault, sound: Path, into: Path) -> tuple[str, float]:
    """What is wrong with a fault, if anything is; and the seconds that it took."""
    began_s, trouble = time.monotonic(), ""
    try:
        plant(fault, sound, into)
    except Wrong as wrong:
        trouble = str(wrong)
    return trouble, time.monotonic() - began_s


def run(faults: Sequence[Fault], tmp: Path) -> bool:
    """All tests are green without a fault, and red with theirs; True if so. Prints a line on each."""
    sound = copy_of_the_sources(tmp / "sound")
    began_s = time.monotonic()
    green = test(sound, faults[0].suite, sorted({id for fault in faults for id in fault.red}))
    if odd := {id: became for id, became in green.items() if set(became) != {"passed"}}:
        raise Wrong(f"without any fault: {odd}")
    print(f"green {time.monotonic() - began_s:6.1f} s  {len(green)} tests without a fault", flush=True)
    well = True
    with ThreadPoolExecutor(AT_ONCE) as pool:
        places = [tmp / fault.patch.stem for fault in faults]
        outcomes = pool.map(tried, faults, [sound] * len(faults), places)
        for fault, (trouble, took_s) in zip(faults, outcomes, strict=True):
            word = "WRONG" if trouble else "red  "
            print(f"{word} {took_s:6.1f} s  {fault.patch.stem}", trouble, flush=True)
            well = well and not trouble
    return well


def main() -> int:
    parser = argparse.ArgumentParser(description="Plant faults, and see their tests turn red.")
    parser.add_argument("suite", help="whose environment this is: core, or a framework")
    parser.add_argument("names", nargs="*", help="parts of the names of faults; all of the suite by default")
    args = parser.parse_args()
    known = [read(patch) for patch in sorted(HERE.glob("*.patch"))]
    named = [fault for fault in known if any(name in fault.patch.stem for name in args.names or [""])]
    faults = [fault for fault in named if fault.suite == args.suite]
    if not faults:
        print(f"no fault of the suite {args.suite!r}" + (" has such a name" if args.names else ""))
        return 0 if args.names and named else 1
    with tempfile.TemporaryDirectory(prefix="bursar-planted-") as tmp:
        return 0 if run(faults, Path(tmp)) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as wrong:
        sys.exit(str(wrong))
