"""An SDK is covered when it is imported, whoever imports it and however, and never by an import of ours."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import logging
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partialmethod
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.unit.sdk import Client, Options, patching

import bursar
from bursar import Budget, BudgetExceeded, BursarError, Session, coverage, plugins
from bursar.ledger import context
from bursar.runtime import imports
from bursar.sdk import ClientHooks
from bursar.testing import ScriptedProvider

SDK = "openai"
BASE = f"{SDK}._base_client"
CODE = {
    "__init__.py": "import tests.unit.test_covering as tests\ntests.reached()\nfrom ._base_client import Client\n",
    "_base_client.py": "from tests.unit.sdk import AsyncClient as AsyncAPIClient, Client\nSyncAPIClient = Client\n",
}
reached: Callable[[], object] = list


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One with an SDK that a plugin covers, and that nobody has imported; all is restored at the end.

    Nobody is inside of a session, and nothing is covered, whatever other tests have left in the process.
    """
    monkeypatch.setattr(context, "_inside", 0)
    monkeypatch.setattr(coverage, "_covered", set())
    for name, code in CODE.items():
        tmp_path.joinpath(SDK).mkdir(exist_ok=True)
        tmp_path.joinpath(SDK, name).write_text(code)
    hooks = ClientHooks(SDK, adapter="tests.unit.sdk")
    monkeypatch.setattr(plugins, "_installed", lambda: (plugins._plugin(hooks, SDK),))
    monkeypatch.setattr(coverage, "INTEGRATIONS", {SDK: "bursar-openai"})
    monkeypatch.setattr(coverage, "NOT_COVERED", {"groq": "", "litellm": ", but for its OpenAI route"})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    forget()
    yield tmp_path
    bursar.teardown()
    forget()
    assert not patching._patched and imports._finder not in sys.meta_path


def forget() -> None:
    """No SDK was imported."""
    for name in (SDK, BASE, "groq", "litellm"):
        sys.modules.pop(name, None)


@pytest.fixture
def ask() -> Iterator[Callable[[], bytes]]:
    """One call of a client of the SDK."""
    with ScriptedProvider() as provider:

        def ask() -> bytes:
            options = Options(model="gpt-4o", messages=[{"role": "user", "content": "hi"}], max_tokens=50)
            answer: bytes = sys.modules[BASE].Client(provider.openai_url).request(object, options)
            return answer

        yield ask


# -- ways to import it --------------------------------------------------------------------------------


def plainly(folder: Path) -> None:
    importlib.import_module(SDK)


def again(folder: Path) -> None:
    importlib.reload(importlib.import_module(SDK))


def of_a_submodule(folder: Path) -> None:
    importlib.import_module(BASE)


def after_a_look(folder: Path) -> None:
    spec = importlib.util.find_spec(SDK)
    assert spec is not None and SDK not in sys.modules and importlib.util.find_spec("litellm") is None
    assert spec.loader.is_package(SDK)  # type: ignore[union-attr]
    importlib.import_module(SDK)


def lazily(folder: Path) -> None:
    sleeping = asleep()
    assert BASE not in sys.modules and not patching._patched
    assert sleeping.Client is Client


def asleep() -> Any:
    spec = importlib.util.find_spec(SDK)
    assert spec is not None and spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[SDK] = module
    spec.loader.exec_module(module)
    return module


def from_a_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "sdk.zip", "w") as archive:
        for name, code in CODE.items():
            archive.writestr(f"{SDK}/{name}", code)
    sys.path.insert(0, str(folder / "sdk.zip"))
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(SDK)
    finally:
        del sys.path[0]
    assert "sdk.zip" in str(module.__file__)


def beside_another_hook(folder: Path) -> None:
    class Tracing(importlib.abc.MetaPathFinder):
        """Asks all finders, itself left out, as the import hooks of tracers do."""

        busy = False

        def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
            if self.busy or name != SDK:
                return None
            self.busy = True
            try:
                return importlib.util.find_spec(name)
            finally:
                self.busy = False

    for place in (0, len(sys.meta_path)):
        forget()
        sys.meta_path.insert(place, Tracing())
        importlib.import_module(SDK)


WAYS = (plainly, again, of_a_submodule, after_a_look, lazily, from_a_zip, beside_another_hook)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("cover", ["session", "init"])
@pytest.mark.parametrize(("limit", "served"), [("$1", True), ("$0.0000001", False)])
def test_an_sdk_that_is_imported_while_somebody_pays_is_covered(
    limit: str, served: bool, cover: str, way: Callable[[Path], None], folder: Path, ask: Callable[[], bytes]
) -> None:
    """However it is imported: the call is charged, or refused where the money is not enough."""
    with bursar.init(limit) if cover == "init" else Budget(limit).session() as session:
        assert SDK not in sys.modules and not patching._patched
        way(folder)
        assert sys.modules[SDK].__spec__ is not None
        assert type(sys.modules[SDK].__spec__.loader).__module__ != imports.__name__
        if served:
            ask()
        else:
            with pytest.raises(BudgetExceeded):
                ask()
        assert session.calls == served


@pytest.mark.parametrize("way", [plainly, from_a_zip, again], ids=lambda way: way.__name__)
def test_an_sdk_that_was_imported_before_is_covered(
    way: Callable[[Path], None], folder: Path, ask: Callable[[], bytes]
) -> None:
    """Also one that was imported between two sessions; and it stays covered between them."""
    way(folder)
    for _ in range(2):
        with Budget("$1").session() as session:
            ask()
        assert session.calls == 1 and patching._patched
        bursar.teardown()
        assert not patching._patched and not imports.is_watched(SDK)


def test_an_sdk_asleep_before_is_covered_when_it_wakes(ask: Callable[[], bytes]) -> None:
    """A lazy module is not woken up by us."""
    module = asleep()
    with Budget("$1").session(), Budget("$1").session() as session:
        assert BASE not in sys.modules and not patching._patched
        assert module.Client is Client
        ask()
    assert session.calls == 1


@pytest.mark.parametrize("fails", [False, True])
def test_an_sdk_whose_import_is_under_way_is_covered_when_it_is_done(
    fails: bool, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], bytes]
) -> None:
    """In the thread that imports it; where the import fails nothing is covered, and the next one is."""
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(10)
        if fails:
            raise OSError("half of it is missing")

    monkeypatch.setattr(importlib.import_module(__name__), "reached", wait)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            importlib.import_module(SDK)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(10)
    with Budget("$1").session(), Budget("$1").session() as session:
        assert SDK in sys.modules and not patching._patched
        go_on.set()
        thread.join()
        assert bool(patching._patched) is (SDK in sys.modules) is not fails
        assert len(errors) == fails
        monkeypatch.setattr(importlib.import_module(__name__), "reached", list)
        importlib.import_module(SDK)
        ask()
    assert session.calls == 1


def test_the_end_of_an_import_is_told_to_nobody_once_it_is_not_watched() -> None:
    """Nor is its beginning taken for its end."""
    spec = ModuleSpec(SDK, None)
    sys.modules[SDK] = module = ModuleType(SDK)
    module.__spec__ = spec
    with Budget("$1").session():
        spec._initializing = True  # type: ignore[attr-defined]
        assert not imports.is_imported(SDK)
        spec._initializing = True  # type: ignore[attr-defined]
        assert type(spec) is not ModuleSpec
    bursar.teardown()
    spec._initializing = False  # type: ignore[attr-defined]
    assert type(spec) is ModuleSpec and imports.is_imported(SDK) and not patching._patched


def test_an_sdk_of_unknown_origin_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that was put in its place by hand."""
    monkeypatch.setattr(plugins, "_installed", lambda: ())
    sys.modules[SDK] = ModuleType(SDK)
    with pytest.raises(BursarError, match="pip install bursar-openai"):
        bursar.init("$1")


def test_an_sdk_that_nobody_pays_for_is_left_alone(ask: Callable[[], bytes]) -> None:
    """Imported while nobody is inside it is not patched; the next session covers it."""
    with Budget("$1").session():
        pass
    importlib.import_module(SDK)
    assert not patching._patched
    with Budget("$1").session() as session:
        ask()
    assert session.calls == 1


# -- what is left alone -------------------------------------------------------------------------------


def test_a_session_that_does_not_cover(ask: Callable[[], bytes]) -> None:
    """It leaves the SDK alone, as does `init`; wrapped clients, holds and words charge; another session pays."""
    importlib.import_module(SDK)
    with Budget("$1").session(cover=False) as quiet:
        ask()
        assert not patching._patched and bursar.get_session() is quiet and not quiet.covers
        with quiet.child_session(), quiet.part("node"):
            ask()
        assert bursar.track("found", "$0.10") == "found" and quiet.calls == 0
        with Budget("$1").session() as covering:
            ask()
            with quiet:
                ask()
        assert (covering.calls, quiet.calls) == (2, 0)
    bursar.teardown()
    of_process = bursar.init("$1", cover=False)
    ask()
    assert not patching._patched and of_process.calls == 0
    with ScriptedProvider() as provider:
        client = Client(provider.openai_url)
        patching.wrap(client, of_process)
        client.request(object, Options(model="gpt-4o", messages=[{"role": "user", "content": "hi"}]))
    assert of_process.calls == 1


def test_teardown_waits_for_whoever_is_inside(ask: Callable[[], bytes]) -> None:
    """A session that is entered stays covered; afterwards all is restored."""
    importlib.import_module(SDK)
    with Budget("$1").session() as session:
        bursar.init("$1")
        bursar.teardown()
        ask()
        assert session.calls == 1
    bursar.teardown()
    assert not patching._patched


# -- what cannot be covered ---------------------------------------------------------------------------


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof of the cover fails."""
    monkeypatch.setattr(patching, "_question", ("/models", {}))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("way", [plainly, lazily], ids=lambda way: way.__name__)
def test_a_proof_that_fails_raises_out_of_the_import_under_init(
    way: Callable[[Path], None], before: bool, broken: None, folder: Path
) -> None:
    """Or out of `init`, where the SDK was imported before; and so again at each attempt."""
    for _ in range(2):
        if before:
            way(folder)
            with pytest.raises(BursarError, match="is not covered"):
                bursar.init("$1")
            assert bursar.get_session() is None
            forget()
            continue
        bursar.init("$1")
        with pytest.raises(BursarError, match="is not covered"):
            way(folder)
        forget()
        bursar.teardown()


def test_a_proof_that_fails_raises_out_of_an_import_that_had_begun(
    monkeypatch: pytest.MonkeyPatch, broken: None
) -> None:
    """Under `init`; the module is gone, as after any import that fails."""
    monkeypatch.setattr(importlib.import_module(__name__), "reached", lambda: bursar.init("$1"))
    with pytest.raises(BursarError, match="is not covered"):
        importlib.import_module(SDK)
    assert SDK not in sys.modules


@pytest.mark.parametrize("enforced", [True, False])
def test_a_proof_that_fails_raises_out_of_the_first_call_under_a_session(
    enforced: bool, broken: None, ask: Callable[[], bytes]
) -> None:
    """Neither entering it nor the import fails; nobody else's call does; a hold, and no hard stop, let it pass."""
    with Budget("$1", hard_stop=enforced).session() as session:
        importlib.import_module(SDK)
        if enforced:
            with pytest.raises(BursarError, match="is not covered"):
                ask()
        else:
            ask()
        with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=50) as hold:
            hold.settle(cost=0) if ask() else None
    ask()
    with pytest.raises(BursarError, match="is not covered"):
        bursar.init("$1")
    bursar.teardown()
    assert Client.request.__qualname__ == "Client.request"


def test_an_sdk_without_a_package_warns_once_at_its_first_use(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ask: Callable[[], bytes]
) -> None:
    """Under a session; `init` raises at once, and the import of one that comes later does."""
    monkeypatch.setattr(plugins, "_installed", lambda: ())
    with Budget("$1").session():
        importlib.import_module(SDK)
        assert caplog.text == ""
        ask()
        ask()
    ask()
    assert caplog.text.count("pip install bursar-openai") == 1
    bursar.teardown()
    for cover in (lambda: bursar.init("$1"), bursar.budgeted("$1")(list)):
        with pytest.raises(BursarError, match="pip install bursar-openai"):
            cover()
    forget()
    monkeypatch.setattr(coverage, "find_spec", lambda name: None)
    bursar.init("$1")
    with pytest.raises(BursarError, match="pip install bursar-openai"):
        importlib.import_module(SDK)


def test_an_sdk_of_another_shape_warns_when_it_is_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An ancient release has no clients in which a call could be seen."""
    monkeypatch.setattr(plugins, "_installed", lambda: ())
    (folder / SDK / "__init__.py").write_text("")
    with Budget("$1").session():
        importlib.import_module(SDK)
    assert caplog.text.count("pip install bursar-openai") == 1


def test_an_sdk_that_fails_is_in_nobodys_way_who_imports_another(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[], bytes]
) -> None:
    """At its import only its own plugin is asked."""

    class Broken:
        @bursar.hookimpl
        def bursar_patch(self) -> str:
            raise OSError

    installed = plugins._installed()
    monkeypatch.setattr(plugins, "_installed", lambda: (plugins._plugin(Broken(), "anthropic"), *installed))
    monkeypatch.setattr(coverage, "INTEGRATIONS", {SDK: "bursar-openai", "anthropic": "bursar-anthropic"})
    with Budget("$1").session() as session:
        importlib.import_module(SDK)
        ask()
    assert session.calls == 1


def test_another_library_has_patched_over_a_guard(broken: None, ask: Callable[[], bytes]) -> None:
    """What it put there stays when all is restored."""
    with Budget("$1").session():
        importlib.import_module(SDK)
    ours, bare = Client.request, Client.request.__wrapped__  # type: ignore[attr-defined]
    Client.request = partialmethod(ours)  # type: ignore[assignment, method-assign]
    try:
        bursar.teardown()
        assert Client.request is not ours
        ask()
    finally:
        Client.request = bare  # type: ignore[method-assign]


def test_a_library_that_sends_by_itself_is_named_once(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is imported under a session or `init`, or was before; not where nobody pays, or a plugin covers it."""
    for name in ("groq", "litellm"):
        (folder / f"{name}.py").write_text("")
    caplog.set_level(logging.WARNING, "bursar")
    importlib.import_module("groq")
    with Budget("$1").session(cover=False):
        importlib.import_module("litellm")
    assert caplog.text == ""
    with Budget("$1").session():
        pass
    with Budget("$1").session():
        importlib.reload(sys.modules["groq"])
    assert (caplog.text.count("groq is not covered"), caplog.text.count("litellm is not covered")) == (1, 1)
    assert "but for its OpenAI route" in caplog.text
    importlib.reload(sys.modules["litellm"])
    bursar.teardown()
    caplog.clear()
    bursar.init("$1")
    importlib.reload(sys.modules["groq"])
    assert caplog.text.count("groq is not covered") == 1
    bursar.teardown()
    caplog.clear()

    class Covers:
        @bursar.hookimpl
        def bursar_patch(self) -> str:
            return "groq"

    monkeypatch.setattr(plugins, "_installed", lambda: (plugins._plugin(Covers(), "groq"),))
    monkeypatch.setattr(coverage, "find_spec", lambda name: None)
    bursar.init("$1")
    assert "groq" not in caplog.text


def test_a_library_within_a_namespace_is_named(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As google-genai is; the other packages of the namespace are not."""
    monkeypatch.setattr(coverage, "NOT_COVERED", {"toy_namespace.genai": ""})
    for name in ("genai", "storage"):
        (folder / "toy_namespace" / name).mkdir(parents=True)
        (folder / "toy_namespace" / name / "__init__.py").write_text("")
    with Budget("$1").session():
        importlib.import_module("toy_namespace.storage")
        assert caplog.text == ""
        importlib.import_module("toy_namespace.genai")
    assert caplog.text.count("toy_namespace.genai is not covered") == 1
    for name in ("toy_namespace", "toy_namespace.storage", "toy_namespace.genai"):
        del sys.modules[name]


# -- init, bind ---------------------------------------------------------------------------------------


def test_init_takes_a_budget_or_a_session() -> None:
    """With limits of the session, or as it is; a session that was given stays open."""
    budget = Budget("$1", name="team")
    session = bursar.init(budget, "$0.50")
    assert session.budget is budget and session.remaining is not None and session.remaining * 2 == 1
    bursar.teardown()
    with pytest.raises(BursarError, match="closed"):
        session.reserve(cost=0)
    own = budget.session()
    assert bursar.init(own) is own
    bursar.teardown()
    own.reserve(cost=0).release()
    for wrong in (
        lambda: bursar.init(budget, lease=5),
        lambda: bursar.init(own, "$5"),
        lambda: bursar.init(own, cover=False),
    ):
        with pytest.raises(ValueError, match="takes no"):
            wrong()
    assert bursar.init("$1", lease=5).budget.limits
    assert own.child_session().budget is own.part("node").budget is budget


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_with_around_init_tears_down_at_its_end(way: str) -> None:
    """At that of the outermost; not where the session was entered before."""
    import asyncio

    async def enter(session: Session) -> None:
        async with session:
            assert bursar.get_session() is session

    session = bursar.init("$1")
    if way == "async":
        asyncio.run(enter(session))
    else:
        with session, session:
            pass
    assert bursar.get_session() is None
    bursar.init("$1")
    bursar.teardown()
    own = Budget("$1").session()
    with own:
        bursar.init(own)
        with own:
            pass
    assert bursar.get_session() is own


def test_a_session_that_cannot_be_entered_is_not_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for it."""

    def fail() -> None:
        raise KeyboardInterrupt

    session = Budget("$1").session()
    monkeypatch.setattr(session, "_cover", fail)
    with pytest.raises(KeyboardInterrupt):
        session.__enter__()
    assert bursar.get_session() is None and not coverage.context.is_somebody_inside()
