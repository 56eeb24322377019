"""What is in the built files: all that users need, and nothing else."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

BUILT = sorted(Path(os.environ.get("BURSAR_TEST_DIST", "dist")).glob("*"))
WHEELS = [path for path in BUILT if path.suffix == ".whl"]
SDISTS = [path for path in BUILT if path.name.endswith(".tar.gz")]
SOURCES = {".css", ".js", ".json", ".lua", ".py", ".typed"}
LIMIT_BYTES = 600_000


def sources(package: str) -> set[str]:
    """The files of a package in the checkout."""
    (home,) = Path(__file__).parents[2].glob(f"**/src/{package}")
    return {
        path.relative_to(home.parent).as_posix()
        for path in home.rglob("*")
        if path.is_file() and path.suffix in SOURCES
    }


def test_every_distribution_was_built_twice() -> None:
    """One wheel and one source distribution each."""
    assert WHEELS
    assert [path.name.split("-")[0] for path in WHEELS] == [path.name.split("-")[0] for path in SDISTS]


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda path: path.name)
def test_a_wheel_has_the_sources_and_the_licence_and_nothing_else(wheel: Path) -> None:
    """Data, `py.typed`, LICENSE and NOTICE are in; tests, caches and strangers are not."""
    package = wheel.name.split("-")[0]
    with zipfile.ZipFile(wheel) as archive:
        names = {PurePosixPath(name) for name in archive.namelist()}
    metadata = {name for name in names if name.parts[0].endswith(".dist-info")}
    assert {name.as_posix() for name in names - metadata} == sources(package)
    assert f"{package}/py.typed" in sources(package)
    assert {"LICENSE", "NOTICE"} <= {name.name for name in metadata}
    assert wheel.stat().st_size < LIMIT_BYTES


@pytest.mark.parametrize("sdist", SDISTS, ids=lambda path: path.name)
def test_a_source_distribution_can_build_the_wheel_and_no_more(sdist: Path) -> None:
    """Sources, metadata and legal texts; the tests stay in the repository."""
    package = sdist.name.split("-")[0]
    with tarfile.open(sdist) as archive:
        assert all(member.isfile() for member in archive), "links break where their target is missing"
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in archive.getnames()}
    meta = {".gitignore", "LICENSE", "NOTICE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert names - {".gitignore"} == {f"src/{name}" for name in sources(package)} | meta - {".gitignore"}
    assert sdist.stat().st_size < LIMIT_BYTES


def test_only_the_extra_brings_an_sdk() -> None:
    """By the metadata of the wheels: an integration of a framework brings those of the SDKs, and they bring no SDK."""
    brought = {}
    for wheel in WHEELS:
        with zipfile.ZipFile(wheel) as archive:
            (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            lines = archive.read(metadata).decode().split("\n\n")[0].splitlines()
        brought[wheel.name.split("-")[0]] = {
            re.split("[ <=>;]", line.removeprefix("Requires-Dist: "))[0]: line.partition("extra == ")[2][1:-1]
            for line in lines
            if line.startswith("Requires-Dist: ")
        }
    assert brought["bursar_openai"] == {"bursar": "", "openai": "sdk"}
    assert brought["bursar_anthropic"] == {"bursar": "", "anthropic": "sdk"}
    ours = {"bursar": "", "bursar-anthropic": "", "bursar-openai": ""}
    families = {"ag2": "ag2", "autogen": "classic", "autogen-agentchat": "agentchat"}
    assert brought["bursar_autogen"] == {**ours, **families, "pyautogen": "pyautogen"}
    assert brought["bursar_crewai"] == {**ours, "crewai": ""}
    assert brought["bursar_langchain"] == {**ours, "langchain-core": ""}
    assert brought["bursar_llamaindex"] == {**ours, "llama-index-core": ""}
    assert brought["bursar_pytest"] == {"bursar": "", "pytest": ""}
    assert brought["bursar"] | {"pluggy": "", "tzdata": ""} == {
        "bursar-anthropic[sdk]": "anthropic",
        "bursar-autogen": "autogen",
        "bursar-crewai": "crewai",
        "bursar-llamaindex": "llamaindex",
        "bursar-langchain": "langchain",
        "bursar-openai[sdk]": "openai",
        "bursar-pytest": "pytest",
        "pluggy": "",
        "redis[hiredis]": "redis",
        "rich": "cli",
        "typer": "cli",
        "tzdata": "",
    }
