"""Whether an SDK is too old is read from the metadata of its integration, the only place of the floor."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import bursar
from bursar import Budget, BursarError, plugins
from bursar.sdk import ClientHooks, too_old, versions

Installed = Callable[..., None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """A function that installs a distribution, or another version of it: its metadata are on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(versions, "_new_enough", set())

    def install(name: str, version: str, *requirements: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}.dist-info"
        folder.mkdir(exist_ok=True)
        needed = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
        folder.joinpath("METADATA").write_text(f"Name: {name}\nVersion: {version}\n{needed}", "utf-8")

    return install


@pytest.mark.parametrize(
    ("floor", "found", "old"),
    [
        ("1.66.0", "1.65.9", True),
        ("1.66.0", "1.66", False),
        ("1.66", "1.66.0", False),
        ("1.66.0", "1.66.0.post1", False),
        ("0.40.0", "0.9.0", True),
        ("1.66.0", "1.66.0rc1", False),
        ("2.0", "1.99.1.dev3", True),
        ("2.0", "10.0", False),
    ],
)
def test_releases_are_compared_by_their_numbers(
    floor: str, found: str, old: bool, installed: Installed
) -> None:
    """The text has both versions, and the command that helps."""
    installed("bursar-toy", "0.1", "bursar<0.2,>=0.1", f"toy>={floor}; extra == 'sdk'")
    installed("toy", found)
    told = f'toy {found} is too old: bursar-toy covers {floor} and newer; pip install "toy>={floor}"'
    assert too_old("bursar-toy") == (told if old else None)


def test_an_upgrade_is_seen_at_once(installed: Installed) -> None:
    """In a notebook one installs and goes on: only that a release is new enough is kept."""
    installed("bursar-toy", "0.1", 'toy>=2.0; extra == "sdk"')
    assert too_old("bursar-toy") is None  # absent
    installed("toy", "1.0")
    assert too_old("bursar-toy") is not None
    installed("toy", "2.0")
    assert too_old("bursar-toy") is None
    installed("toy", "1.0")
    assert too_old("bursar-toy") is None  # what is imported stays


def test_what_has_no_metadata_is_not_too_old(installed: Installed) -> None:
    """A frozen program has none of the integration; a floor elsewhere than in the extra is not read."""
    assert too_old("bursar-toy") is None
    installed("bursar-toy", "0.1", "toy>=2.0", 'toy>=3; extra == "other"')
    installed("toy", "1.0")
    assert too_old("bursar-toy") is None


def test_an_sdk_that_is_too_old_is_not_covered(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` and `wrap_client` raise an error that names both versions, before the adapter is imported."""
    installed("bursar-toy", "0.1", "toy>=2.0; extra == 'sdk'")
    installed("toy", "1.0")
    (tmp_path / "toy.py").write_text("class Client: ...", "utf-8")
    hooks = ClientHooks("toy", adapter="bursar_toy._adapter")
    monkeypatch.setattr(plugins, "_installed", lambda: (plugins._plugin(hooks, "toy"),))
    told = r'toy 1\.0 is too old: bursar-toy covers 2\.0 and newer; pip install "toy>=2\.0"'
    with pytest.raises(BursarError, match=told):
        bursar.init("$1")
    assert bursar.get_session() is None and "toy" not in sys.modules
    toy = ModuleType("toy")
    monkeypatch.setitem(sys.modules, "toy", toy)
    client = type("Client", (), {"__module__": "toy._client"})()
    with pytest.raises(BursarError, match=told):
        bursar.wrap_client(client, Budget("$1"))


def test_the_client_of_another_sdk_is_left_to_its_plugin(installed: Installed) -> None:
    """An SDK that is too old is in nobody's way who uses another."""
    installed("bursar-toy", "0.1", "toy>=2.0; extra == 'sdk'")
    installed("toy", "1.0")
    session = Budget("$1", plugins=[ClientHooks("toy", adapter="bursar_toy._adapter")]).session()
    stranger = type("Client", (), {"__module__": "toys"})()
    with pytest.raises(TypeError, match="no plugin covers"):
        bursar.wrap_client(stranger, session)
