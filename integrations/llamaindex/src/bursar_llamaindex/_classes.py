"""Objects that stay what they are, and do one thing differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def swap_class(instance: object, kind: Any, methods: Mapping[str, Any]) -> None:
    """Give an object a subclass with other methods; by its name, and for `isinstance`, it is the same class.

    Args:
        instance: may be of pydantic, or have a metaclass.
        kind: what to make the subclass of.
        methods: the other methods, by name.
    """
    members = {"__module__": kind.__module__, "__doc__": kind.__doc__, **methods}
    object.__setattr__(instance, "__class__", type(kind)(kind.__name__, (kind,), members))
