"""Every public name says what it is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import bursar
import bursar.store
import bursar.testing


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The names of a module, and the methods and properties of its classes."""
    for name in module.__all__:
        thing = getattr(module, name)
        if not inspect.isclass(thing) and not inspect.isfunction(thing):
            continue  # a value, or a name for a type
        yield name, thing
        for member, value in vars(thing).items():
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                yield f"{name}.{member}", getattr(thing, member)


@pytest.mark.parametrize("module", [bursar, bursar.store, bursar.testing])
def test_every_public_name_has_a_docstring(module: ModuleType) -> None:
    """Also the methods and properties of public classes, be they inherited or made from steps."""
    names = dict(public(module))
    assert len(names) > 10
    assert [name for name, thing in names.items() if not inspect.getdoc(thing)] == []
