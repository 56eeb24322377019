"""See that no test has gone without a word.

    python tools/test_ids/compare.py SUITE [--all]

`base/SUITE.txt.gz` has the id of each test at commit 2d8d738, as `nox -s SUITE -- --collect-only -q`
printed it (integrations: at the newest release, which has all that other releases have). This
program collects the tests of today in the environment that it runs in, on the sources of this tree,
and prints which ids are gone, by what each is replaced, and why: a rule of `replaced.toml` says so.
It exits with 1 for an id that is gone without a rule, and for a replacement that does not exist.

`nox -s test_ids` does it for all suites, in the environments that their own sessions left behind.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BASE = HERE / "base"
CORE = ("unit", "contract", "stateful", "concurrency", "faults", "chaos")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
SET = re.compile(r"\{(\w+\(.*)\)\}")

toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # pytest brings the latter


class Rule(NamedTuple):
    """What became of the tests whose ids match a pattern, from their first to their last letter.

    Attributes:
        now: templates of the ids that replace one, or that still prove what it proved.
    """

    pattern: re.Pattern[str]
    now: tuple[str, ...]
    reason: str


def rules_of(suite: str) -> list[Rule]:
    """Those of a suite; the first one that matches an id counts."""
    rules = []
    for written in toml.loads((HERE / "replaced.toml").read_text("utf-8"))["rule"]:
        now = written["proved_by"] if "proved_by" in written else [written["replacement"]]
        if not written["reason"] or not now:
            raise SystemExit(f"the rule for {written['pattern']} does not say enough")
        if written["suite"] == suite:
            rules.append(Rule(re.compile(written["pattern"]), tuple(now), written["reason"]))
    return rules


def settled(id: str) -> str:
    """An id without what differs from run to run: addresses, and the order of sets."""
    ordered = SET.sub(lambda found: "{" + "), ".join(sorted(found[1].split("), "))) + ")}", id)
    return ADDRESS.sub(" at 0x…", ordered)


def base(suite: str) -> list[str]:
    """The ids that were there."""
    with gzip.open(BASE / f"{suite}.txt.gz", "rt", encoding="utf-8") as lines:
        return [settled(line.rstrip("\n")) for line in lines]


def paths_of(suite: str) -> list[str]:
    """Where the tests of a suite are."""
    if suite == "core":
        return [f"tests/{kind}" for kind in CORE]
    return [f"tests/{suite}", *(["tests/integration/test_versions.py"] if "/" in suite else [])]


def versions_of(suite: str) -> dict[str, str]:
    """The packages whose versions are a test each, with an empty version."""
    project = toml.loads((ROOT / f"integrations/{Path(suite).name}/pyproject.toml").read_text("utf-8"))
    written = [*project["project"]["dependencies"], *project["dependency-groups"]["test"]]
    return {line.partition(">=")[0]: "" for line in written if not line.startswith("bursar")}


def collected(suite: str, beside: Iterable[str]) -> list[str]:
    """The ids that are there now, in a suite and in files beside it."""
    sources = [ROOT / "core" / "src", *sorted(ROOT.glob("integrations/*/src"))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources))}
    if "/" in suite:
        env["BURSAR_TEST_VERSIONS"] = json.dumps(versions_of(suite))
    paths = [*paths_of(suite), *beside]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-Wdefault", *paths]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pytest cannot collect {' '.join(paths)}\n{done.stdout[-3000:]}{done.stderr}")
    lines = done.stdout.splitlines()
    return [settled(line) for line in lines if line.startswith("tests/") and "::" in line]


def wider(ids: Iterable[str]) -> set[str]:
    """The ids, and those of the functions, classes and files around them."""
    found = set()
    for id in ids:
        around = id.partition("[")[0].split("::")
        found |= {id, *("::".join(around[:length]) for length in range(1, len(around) + 1))}
    return found


def answer(
    id: str, rules: Iterable[Rule], there: Collection[str]
) -> tuple[Rule | None, list[str], list[str]]:
    """The rule for an id that is gone, what it names, and what of that does not exist."""
    for rule in rules:
        if match := rule.pattern.fullmatch(id):
            now = [match.expand(template) for template in rule.now]
            return rule, now, [name for name in now if name not in there]
    return None, [], []


def compare(suite: str, *, each: bool) -> bool:
    """Print what is gone and why; True if nothing is gone without a word."""
    rules, before = rules_of(suite), base(suite)
    named = {template.partition("::")[0] for rule in rules for template in rule.now}
    beside = {name for name in named if name.endswith(".py") and not name.startswith(tuple(paths_of(suite)))}
    now = collected(suite, sorted(beside))
    there = wider(now)
    gone = list((Counter(before) - Counter(now)).elements())
    answers = {id: answer(id, rules, there) for id in gone}
    here = sum(id.startswith(tuple(paths_of(suite))) for id in now)
    print(f"{suite}: {len(before)} tests then, {here} now; {len(gone)} ids are gone")
    for rule in rules:
        mine = [id for id in gone if answers[id][0] is rule]
        print(f"  {len(mine):5}  {rule.pattern.pattern}: {rule.reason}")
        for id in mine if each else mine[:1]:
            print(f"         {id}\n      -> {', '.join(answers[id][1])}")
    unsaid = [id for id in gone if answers[id][0] is None]
    for id in unsaid:
        print(f"GONE WITHOUT A RULE: {id}")
    absent = {name for _, _, missing in answers.values() for name in missing}
    for name in sorted(absent):
        print(f"NAMED BY A RULE, BUT NOT THERE: {name}")
    return not unsaid and not absent


def main() -> int:
    suites = sorted(path.relative_to(BASE).as_posix()[:-7] for path in BASE.rglob("*.txt.gz"))
    parser = argparse.ArgumentParser(description="See that no test has gone without a word.")
    parser.add_argument("suite", choices=suites)
    parser.add_argument("--all", action="store_true", help="print each id that is gone, not one a rule")
    asked = parser.parse_args()
    return 0 if compare(asked.suite, each=asked.all) else 1


if __name__ == "__main__":
    sys.exit(main())
