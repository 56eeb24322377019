"""Values that are frozen when they are made: by their own constructor, and by the quick one."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from decimal import Decimal
from typing import Any

import pytest

from bursar import Call, Charge, Usage
from bursar.values.call import new_call
from bursar.values.charge import new_charge
from bursar.values.usage import new_usage

CALL = ("a-1", "model", "gpt-4o", None, None, 800, 200, 1, "batch")

both = pytest.mark.parametrize(
    ("kind", "quick", "given"),
    [
        (Usage, new_usage, (640, 120)),
        (Usage, new_usage, (640, 120, 1, 2, 3, 4, 5, 6, {"web_search": 2})),
        (Call, new_call, CALL),
        (Charge, new_charge, ("a-1", Call(*CALL), Decimal("0.5"), Usage(1, 2), False, Decimal(0), Decimal(0), 1.5)),
    ],
    ids=["Usage", "Usage with parts", "Call", "Charge"],
)  # fmt: skip


@both
def test_the_quick_constructor_makes_the_same_value(kind: Any, quick: Any, given: tuple[Any, ...]) -> None:
    """Of the same class, equal in every field, as text, as a copy and after a pickle."""
    made, usual = quick(*given), kind(*given)
    assert type(made) is kind and isinstance(made, kind)
    assert made == usual and repr(made) == repr(usual)
    assert hash(replace(made)) == hash(usual)
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == replace(usual)


@both
def test_what_it_makes_is_frozen(kind: Any, quick: Any, given: tuple[Any, ...]) -> None:
    """No field of it can be set or deleted, and nothing added; as with the class's own constructor."""
    for value in (quick(*given), kind(*given)):
        for field in fields(kind):
            with pytest.raises(FrozenInstanceError):
                setattr(value, field.name, None)
            with pytest.raises(FrozenInstanceError):
                delattr(value, field.name)
        with pytest.raises((AttributeError, TypeError)):
            value.more = 1
        assert not hasattr(value, "__dict__")


@both
def test_it_takes_the_same_arguments(kind: Any, quick: Any, given: tuple[Any, ...]) -> None:
    """By name as well; one too many or none at all is a `TypeError`."""
    names = [field.name for field in fields(kind)]
    assert quick(**dict(zip(names, given, strict=False))) == kind(*given)
    for wrong in ((), (*given, *range(10))):
        with pytest.raises(TypeError):
            quick(*wrong)


def test_defaults_are_not_shared() -> None:
    """Each usage has requests of its own."""
    assert new_usage(1, 2).requests is not new_usage(1, 2).requests
