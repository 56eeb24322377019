"""What tests of adapters start from: the SDK in miniature, covered by a plugin, and a provider."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from bursar import coverage, plugins
from bursar.integration import admission
from bursar.ledger import context
from bursar.testing import ScriptedProvider

from .sdk import patching
from .toy_hooks import Plugin


@pytest.fixture
def covered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """The SDK is imported, has a plugin, and no kind of client has come around it yet."""
    plugin = Plugin()
    found = plugins._plugin(plugin, "openai")
    monkeypatch.setattr(plugins, "_installed", lambda: (found,))
    monkeypatch.setattr(coverage, "_for_good", set())
    monkeypatch.setattr(admission, "_elsewhere", set())
    monkeypatch.setitem(sys.modules, "openai", sys.modules[__name__])
    yield plugin
    patching.unpatch()


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """It serves until the test is over."""
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def _nobody_pays() -> Iterator[None]:
    """Calls that a test leaves open pay for nothing afterwards."""
    before = context._innermost.set(None)
    yield
    context._innermost.set(before.old_value if isinstance(before.old_value, context.Payment) else None)
