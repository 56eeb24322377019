"""Where plugins come from: a budget's own, and those that distributions install."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pluggy import HookimplMarker

from bursar import Budget, CallVetoed, Charge, PluginInfo, UnknownModel, hookimpl, list_plugins, plugins

from .agents import Recorder

CALL = {"input_tokens": 800, "max_output_tokens": 200}


# -- a budget's own -----------------------------------------------------------------------------------


class Vetoing:
    """Refuses everything, for a reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    @hookimpl
    def bursar_before_reserve(self) -> None:
        raise CallVetoed(self.reason)


def test_a_plugin_is_of_its_budget_only() -> None:
    """With its children and sessions, and of no other budget, made before or after."""
    before, mine, after = Budget("$1"), Budget("$1", plugins=[Vetoing("mine")]), Budget("$1")
    for budget in (mine, mine.child("alice")):
        for session in (budget.session(), budget.session().child_session()):
            with pytest.raises(CallVetoed, match="mine"):
                session.reserve("gpt-4o", **CALL)
    for budget in (before, after):
        assert budget.session().reserve("gpt-4o", **CALL).state == "reserved"


def test_plugins_are_asked_in_their_order() -> None:
    """The first given is asked first, whatever pluggy would do; `tryfirst` and `trylast` move a function."""

    class First(Vetoing):
        @hookimpl(tryfirst=True)
        def bursar_before_reserve(self) -> None:
            super().bursar_before_reserve()

    class Last(Vetoing):
        @hookimpl(trylast=True)
        def bursar_before_reserve(self) -> None:
            super().bursar_before_reserve()

    for given, first in [
        ((Vetoing("a"), Vetoing("b")), "a"),
        ((Last("a"), Vetoing("b"), First("c")), "c"),
        ((Last("a"), Vetoing("b")), "b"),
        ((First("a"), First("b")), "a"),
    ]:
        with pytest.raises(CallVetoed, match=first):
            Budget("$1", plugins=given).session().reserve("gpt-4o", **CALL)


def test_equal_plugins_are_two_and_the_same_one_is_one() -> None:
    """A plugin is told once, however often it is given; two that compare equal are both told."""

    @dataclass
    class Counting:
        count: int = 0

        @hookimpl
        def bursar_session_opened(self) -> None:
            self.count += 1

    one, other = Counting(), Counting()
    Budget(plugins=[one, other, one]).session()
    assert (one.count, other.count) == (1, 1)


def test_a_module_is_a_plugin_too() -> None:
    """With the functions that are marked; what else it has is its own business."""
    module = types.ModuleType("my_hooks")
    heard: list[Charge] = []

    @hookimpl(specname="bursar_settled")
    def whatever(charge: Charge, extra: int = 5) -> None:
        heard.append(charge)

    module.whatever, module.bursar_version, module.bursar_extra = whatever, "1.0", types  # type: ignore[attr-defined]
    budget = Budget("$1", plugins=[module])
    charge = budget.session().record("gpt-4o", 800, 200)
    assert heard == [charge]
    assert list_plugins(budget)[0] == PluginInfo("my_hooks", None, ("bursar_settled",), {}, None)


def test_any_marker_of_the_project_marks() -> None:
    """A plugin need not import bursar."""

    class Foreign:
        heard = 0

        @HookimplMarker("bursar")
        def bursar_session_opened(self) -> None:
            self.heard += 1

    plugin = Foreign()
    Budget(plugins=[plugin]).session()
    assert plugin.heard == 1


def test_a_hook_of_a_later_version_can_be_optional() -> None:
    """It is left out here, with `optionalhook`; the others are called."""

    class Modern(Vetoing):
        @hookimpl(optionalhook=True)
        def bursar_invoice_arrived(self, invoice: Any) -> None:
            raise AssertionError

    budget = Budget("$1", plugins=[Modern("still here")])
    with pytest.raises(CallVetoed, match="still here"):
        budget.session().reserve("gpt-4o", **CALL)
    assert list_plugins(budget)[0].hooks == ("bursar_before_reserve",)


class NoHook:
    """Has none."""

    key = "sk-secret"

    def __repr__(self) -> str:
        return self.key


class Misspelt(NoHook):
    @hookimpl
    def bursar_setled(self, charge: Charge) -> None: ...


class Unmarked(NoHook):
    def bursar_settled(self, charge: Charge) -> None: ...


class UnmarkedBeside(Vetoing):
    @staticmethod
    def bursar_settled(charge: Charge) -> None: ...


class WrongArgument(NoHook):
    @hookimpl
    def bursar_settled(self, charge: Charge, price: Any, *, key: str = "sk-secret") -> None: ...


class Wrapping(NoHook):
    @hookimpl(wrapper=True)
    def bursar_settled(self, charge: Charge) -> Any:
        return (yield)


class OldWrapping(NoHook):
    @hookimpl(hookwrapper=True)
    def bursar_settled(self, charge: Charge) -> Any:
        yield


class Generating(NoHook):
    @hookimpl
    def bursar_before_reserve(self, call: Any) -> Any:
        yield


class Async(NoHook):
    @hookimpl
    async def bursar_before_reserve(self, call: Any) -> None: ...


class AsyncGenerating(NoHook):
    @hookimpl
    async def bursar_before_reserve(self, call: Any) -> Any:
        yield


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (NoHook(), "'NoHook' has no hook"),
        (None, "'NoneType' has no hook"),
        (5, "'int' has no hook"),
        (Vetoing("x").bursar_before_reserve, "'bursar_before_reserve' is a function or a class"),
        (Vetoing, "'Vetoing' is a function or a class; a plugin is a module or an object"),
        (Misspelt(), "bursar_setled(), and there is no such hook; is it bursar_settled()?"),
        (Unmarked(), "bursar_settled() of the plugin 'Unmarked' has no @bursar.hookimpl above it"),
        (UnmarkedBeside("x"), "bursar_settled() of the plugin 'UnmarkedBeside' has no @bursar.hookimpl"),
        (WrongArgument(), "takes price; the hook has only (charge)"),
        (Wrapping(), "bursar_settled() of the plugin 'Wrapping' is no plain function"),
        (OldWrapping(), "bursar_settled() of the plugin 'OldWrapping' is no plain function"),
        (Generating(), "bursar_before_reserve() of the plugin 'Generating' is no plain function"),
        (Async(), "bursar_before_reserve() of the plugin 'Async' is no plain function"),
        (AsyncGenerating(), "bursar_before_reserve() of the plugin 'AsyncGenerating' is no plain function"),
    ],
)
def test_what_is_no_plugin_is_refused_when_the_budget_is_made(thing: Any, says: str) -> None:
    """A veto that would never be called is worse than none; the message says what is wrong and shows no value."""
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        Budget("$1", plugins=[Recorder(), thing])
    assert "sk-secret" not in str(error.value)
    assert Budget("$1", plugins=[Recorder()]).session().reserve("gpt-4o", **CALL).state == "reserved"


@pytest.mark.parametrize("given", [None, 5, Recorder()])
def test_plugins_are_a_sequence(given: Any) -> None:
    """A single one has to be put into a list."""
    with pytest.raises(ValueError, match="plugins= takes a sequence"):
        Budget("$1", plugins=given)


# -- installed ------------------------------------------------------------------------------------------

Install = Callable[..., None]

NIGHT = """
from bursar import CallVetoed, hookimpl
heard = []

@hookimpl
def bursar_before_reserve(call):
    raise CallVetoed("it is night")

@hookimpl
def bursar_session_opened(session):
    heard.append(session.id)
"""
WATCH = """
from bursar import hookimpl
heard = []

@hookimpl
def bursar_settled(charge):
    heard.append(charge)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts distributions on the path, as an installer would; nothing is looked up before."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "_found", None)
    monkeypatch.delenv("BURSAR_BLOCK_PLUGINS", raising=False)
    monkeypatch.delenv("BURSAR_TRACE_PLUGINS", raising=False)

    def put(
        name: str, source: str, *, entry: str = "", module: str = "", metadata: str | None = None
    ) -> None:
        module = module or f"{name}_hooks"
        (tmp_path / f"{module}.py").write_text(source, "utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        if metadata is None:
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
        if metadata:
            (info / "METADATA").write_text(metadata, "utf-8")
        (info / "entry_points.txt").write_text(f"[bursar]\n{entry or name} = {module}\n", "utf-8")

    return put


def listed() -> dict[str, PluginInfo]:
    return {plugin.name: plugin for plugin in list_plugins()}


def test_an_installed_plugin_is_of_every_budget(install: Install) -> None:
    """Found by its entry point, also by a budget that was made before it was looked up."""
    early = Budget("$1")
    install("night", NIGHT)
    for budget in (early, Budget("$1"), Budget("$1", plugins=[Recorder()])):
        session = budget.session(id="run-7")
        with pytest.raises(CallVetoed, match="it is night"):
            session.reserve("gpt-4o", **CALL)
    assert sys.modules["night_hooks"].heard == ["run-7"] * 3
    hooks = ("bursar_before_reserve", "bursar_session_opened")
    assert listed()["night"] == PluginInfo("night", "1.2", hooks, {}, None)


def test_own_plugins_come_before_installed_ones(install: Install) -> None:
    """They are asked first, and listed first; one that is installed and given is asked once."""
    install("night", NIGHT)
    install("watch", WATCH)
    budget = Budget("$1", plugins=[Vetoing("mine")])
    with pytest.raises(CallVetoed, match="mine"):
        budget.session().reserve("gpt-4o", **CALL)
    names = [plugin.name for plugin in list_plugins(budget)]
    assert names[0] == "Vetoing" and {"night", "watch"} <= set(names[1:])
    watch = sys.modules["watch_hooks"]
    budget = Budget("$1", plugins=[watch])
    budget.session().record("gpt-4o", 800, 200)
    assert len(watch.heard) == 1
    assert [plugin.name for plugin in list_plugins(budget)].count("watch") == 0


def test_nothing_is_imported_before_a_hook_is_needed(install: Install) -> None:
    """Neither by `import bursar` nor by a budget; by its first session."""
    install("watch", WATCH)
    budget = Budget("$1")
    assert "watch_hooks" not in sys.modules
    budget.session()
    assert "watch_hooks" in sys.modules


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise RuntimeError('sk-secret')", "it could not be loaded (RuntimeError at"),
        ("import no_such_module_of_anybody", "it could not be loaded (ModuleNotFoundError at"),
        ("raise SystemExit('sk-secret')", "it could not be loaded (SystemExit at"),
        ("def f(:", "it could not be loaded (SyntaxError at"),
        ("", "has no hook"),
        (WATCH.replace("settled", "setled"), "is it bursar_settled()?"),
    ],
)
def test_a_plugin_that_fails_to_load_breaks_no_budget(
    install: Install, source: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once and listed; the budget, and the plugin beside it, work."""
    install("a_broken_one", source)
    install("watch", WATCH)
    for _ in range(2):
        Budget("$1").session().record("gpt-4o", 800, 200)
    assert len(sys.modules["watch_hooks"].heard) == 2
    broken = listed()["a_broken_one"]
    assert (broken.version, broken.hooks) == ("1.2", ()) and why in (broken.inactive or "")
    named = [record.levelname for record in caplog.records if "'a_broken_one'" in record.getMessage()]
    assert named == ["ERROR"] and "sk-secret" not in caplog.text + str(broken)


def test_an_interrupted_import_is_tried_again(install: Install) -> None:
    """A Ctrl-C while plugins are loaded is the user's, and no plugin is lost by it."""
    install("night", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Budget("$1").session()
    Path(sys.path[0], "night_hooks.py").write_text(NIGHT + "# of another size\n", "utf-8")
    with pytest.raises(CallVetoed):
        Budget("$1").session().reserve("gpt-4o", **CALL)


def test_of_two_plugins_with_one_name_the_first_is_used(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    """The other one is listed and logged: nothing is dropped in silence."""
    install("night", NIGHT)
    install("impostor", WATCH, entry="night")
    with pytest.raises(CallVetoed):
        Budget("$1").session().reserve("gpt-4o", **CALL)
    found = [plugin for plugin in list_plugins() if plugin.name == "night"]
    assert sorted(str(plugin.inactive) for plugin in found) == ["None", "another plugin has this name"]
    assert "another plugin has this name" in caplog.text


def test_broken_metadata_breaks_no_budget(install: Install) -> None:
    """A plugin without a version has none; it is used all the same."""
    install("watch", WATCH, metadata="")
    Budget("$1").session()
    assert listed()["watch"] == PluginInfo("watch", None, ("bursar_settled",), {}, None)


def test_a_broken_environment_breaks_no_budget(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Entry points that nobody can read, of whatever distribution: no plugins then, and a line in the log."""
    install("watch", WATCH)
    (tmp_path / "watch-1.2.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[bursar]\n\xff")
    assert Budget("$1").session().record("gpt-4o", 800, 200).cost > 0
    assert "cannot be looked up (UnicodeDecodeError" in caplog.text


BLOCKS = [
    ("", {"night", "watch"}),
    ("night", {"watch"}),
    (" night , watch", set()),
    ("*", set()),
    ("watch,", {"night"}),
]


@pytest.mark.parametrize(("blocked", "active"), BLOCKS)
def test_the_environment_blocks_plugins(
    install: Install, blocked: str, active: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name or all of them; a blocked one is not even imported. What a budget brings is its own."""
    install("night", NIGHT)
    install("watch", WATCH)
    monkeypatch.setenv("BURSAR_BLOCK_PLUGINS", blocked)
    recorder = Recorder()
    session = Budget("$1", plugins=[recorder], alerts="inline").session()
    if "night" in active:
        with pytest.raises(CallVetoed):
            session.reserve("gpt-4o", **CALL)
    else:
        session.reserve("gpt-4o", **CALL).release()
    session.record("gpt-4o", 800, 200)
    assert len(recorder.of("settled")) == 1
    for name in ("night", "watch"):
        inactive = None if name in active else "blocked by BURSAR_BLOCK_PLUGINS"
        assert listed()[name].inactive == inactive and listed()[name].version == "1.2"
        assert (f"{name}_hooks" in sys.modules) == (name in active)


def test_a_blocked_name_that_nobody_has_is_told(
    install: Install, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A misspelt name blocks nothing, which somebody wants to know."""
    install("night", NIGHT)
    monkeypatch.setenv("BURSAR_BLOCK_PLUGINS", "nihgt")
    with pytest.raises(CallVetoed):
        Budget("$1").session().reserve("gpt-4o", **CALL)
    assert "BURSAR_BLOCK_PLUGINS names 'nihgt'" in caplog.text


@pytest.mark.parametrize(("value", "traced"), [("1", True), ("0", False), ("", False)])
def test_the_environment_traces_plugins(
    install: Install,
    value: str,
    traced: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each call of a hook is a line with two names, and nothing of a request or an answer."""
    install("watch", WATCH)
    monkeypatch.setenv("BURSAR_TRACE_PLUGINS", value)
    caplog.set_level(logging.INFO, "bursar")
    session = Budget("$1", plugins=[Recorder()]).session()
    with session.reserve("gpt-4o", messages="my dear diary", max_output_tokens=10) as hold:
        hold.settle(
            {"model": "gpt-4o", "usage": {"prompt_tokens": 5, "completion_tokens": 5}, "text": "dear you"}
        )
    lines = [record.getMessage() for record in caplog.records]
    assert lines == (
        ["bursar_session_opened: Recorder", "bursar_reserved: Recorder", "bursar_settled: Recorder",
         "bursar_settled: watch"] if traced else []
    )  # fmt: skip


def test_block_and_trace_in_a_process_of_its_own(install: Install, tmp_path: Path) -> None:
    """From the outside: two variables, no change of the program."""
    install("night", NIGHT)
    install("watch", WATCH)
    program = (
        "import logging, bursar; logging.basicConfig(level=logging.INFO, format='%(message)s')\n"
        "bursar.Budget('$1').session().record('gpt-4o', 800, 200)\n"
        "print([plugin.inactive for plugin in bursar.list_plugins() if plugin.name in ('night', 'watch')])\n"
    )
    environment = {
        "PYTHONPATH": str(tmp_path),
        "BURSAR_BLOCK_PLUGINS": "night",
        "BURSAR_TRACE_PLUGINS": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stderr.splitlines() == ["bursar_settled: watch"]
    assert run.stdout.strip() == "['blocked by BURSAR_BLOCK_PLUGINS', None]"


def test_import_bursar_looks_for_no_plugin(install: Install, tmp_path: Path) -> None:
    """A fresh interpreter has imported none of them after the import, nor after a budget was made."""
    install("watch", WATCH)
    program = (
        "import sys, bursar; budget = bursar.Budget('$1'); print('watch_hooks' in sys.modules)\n"
        "budget.session(); print('watch_hooks' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert run.stdout.split() == ["False", "True"]


SPENDS_AT_ONCE = (
    """
from bursar import Budget
budget = Budget("$1")
charge = budget.session().record("gpt-4o", 800, 200)
"""
    + WATCH
)


def test_a_plugin_may_have_a_budget_of_its_own(install: Install) -> None:
    """Made, and used, while it is imported: it is asked no hook then, and hears of later calls."""
    install("watch", SPENDS_AT_ONCE)
    Budget("$1").session().record("gpt-4o", 800, 200)
    watch = sys.modules["watch_hooks"]
    assert len(watch.heard) == 1 and watch.charge.cost > 0
    assert listed()["watch"].inactive is None


TIRED = """
from bursar import hookimpl

@hookimpl
def bursar_session_opened(session):
    raise ValueError
"""


def test_plugins_are_loaded_once_by_many_threads(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that meet at the first hook wait for no lock of ours, and end up with one plugin, not with copies."""
    install("tired", TIRED)
    together, entries = threading.Barrier(4, timeout=30), plugins._entries

    def meet() -> Any:
        together.wait()
        return entries()

    monkeypatch.setattr(plugins, "_entries", meet)
    threads = [threading.Thread(target=lambda: Budget("$1").session()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert listed()["tired"].failures == {"bursar_session_opened": 4}


def test_an_installed_plugin_can_price(install: Install) -> None:
    """A price list as a package: every budget knows its models, and no other."""
    install(
        "pricelist",
        "from bursar import Price, hookimpl\n\n@hookimpl\ndef bursar_price(model):\n"
        "    return Price(5, 15) if model.startswith('house-') else None\n",
    )
    session = Budget("$1").session()
    assert str(session.reserve("house-large", **CALL).amount) == "0.007"
    with pytest.raises(UnknownModel):
        session.reserve("mouse-large", **CALL)
