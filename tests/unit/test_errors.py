"""The family of errors: bases, attributes, and what they survive."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import bursar
from bursar import errors
from bursar.errors import (
    BudgetExceeded,
    BursarError,
    CallVetoed,
    HoldClosed,
    InvalidAmount,
    LedgerRolledBack,
    LimitConflict,
    StoreError,
    StoreUnavailable,
    Tripped,
    UnknownModel,
    UnpriceableCall,
    UsageMissing,
)

FACTS: dict[type[BursarError], dict[str, Any]] = {
    BudgetExceeded: {
        "limit": "$5/session", "account": "default/run", "spent": Decimal("4.5"), "reserved": Decimal(0),
        "asked": Decimal("0.6"), "remaining": Decimal("0.5"), "retry_after": 30.0, "model": "gpt-4o",
        "tool": "web_search", "result": {"answer": 42},
    },
    CallVetoed: {"reason": "by night", "model": "gpt-4o"},
    Tripped: {"reason": "by hand", "account": "default"},
    UnpriceableCall: {"endpoint": "images"},
    UnknownModel: {"model": "gpt-9", "near": ("gpt-4o", "gpt-5")},
}  # fmt: skip


def family(root: type[BursarError] = BursarError) -> Iterator[type[BursarError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from family(kind)


FAMILY = list(family())


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        (BursarError, {Exception}),
        (BudgetExceeded, {BursarError}),
        (CallVetoed, {BudgetExceeded}),
        (Tripped, {BudgetExceeded}),
        (UnpriceableCall, {BursarError}),
        (InvalidAmount, {BursarError, ValueError}),
        (UsageMissing, {BursarError, ValueError}),
        (UnknownModel, {BursarError, LookupError}),
        (HoldClosed, {BursarError}),
        (StoreError, {BursarError}),
        (StoreUnavailable, {StoreError}),
        (LedgerRolledBack, {StoreError}),
        (LimitConflict, {StoreError}),
    ],
)
def test_family_tree(kind: type[BursarError], bases: set[type]) -> None:
    """Each error has exactly the documented bases."""
    assert set(kind.__bases__) == bases


@pytest.mark.parametrize("kind", FAMILY)
def test_every_error_is_exported_and_drawn(kind: type[BursarError]) -> None:
    """Each error can be imported from the front door and stands in the tree of the module's docstring."""
    assert getattr(bursar, kind.__name__) is kind
    assert kind.__name__ in bursar.__all__
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", FAMILY)
def test_no_error_is_a_runtime_error(kind: type[BursarError]) -> None:
    """Frameworks that swallow `RuntimeError` swallow none of these."""
    assert not issubclass(kind, RuntimeError)


@pytest.mark.parametrize("kind", FAMILY)
def test_error_survives_with_its_attributes(kind: type[BursarError]) -> None:
    """Built from a message alone or with all its facts, an error keeps both through pickle and copy."""
    facts = FACTS.get(kind, {})
    for error in (kind("no"), kind("no", **facts)):
        twins = [
            pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ]
        for twin in (*twins, copy.copy(error), copy.deepcopy(error)):
            assert type(twin) is kind
            assert str(twin) == "no"
            assert twin.args == ("no",)
            assert vars(twin) == vars(error)
    for name, value in facts.items():
        assert getattr(error, name) == value


@pytest.mark.parametrize("kind", FAMILY)
def test_error_without_a_message(kind: type[BursarError]) -> None:
    """An error can be raised by its class alone."""
    with pytest.raises(kind) as caught:
        raise kind
    assert str(caught.value) == ""


@pytest.mark.parametrize("kind", [BudgetExceeded, CallVetoed, Tripped])
@pytest.mark.parametrize(
    "name",
    ["limit", "account", "spent", "reserved", "asked", "remaining", "retry_after", "model", "tool", "result"],
)
def test_unknown_attribute_is_none(kind: type[BudgetExceeded], name: str) -> None:
    """All attributes of a refusal exist; one that is not known is None."""
    assert getattr(kind("no"), name) is None


@pytest.mark.parametrize("kind", FAMILY)
def test_misspelt_fact_is_refused(kind: type[BursarError]) -> None:
    """A fact that the error has no attribute for is a mistake in our own code, and does not pass silently."""
    with pytest.raises(TypeError, match="remaning"):
        kind("no", remaning=1)


def test_facts_of_one_error_are_its_own() -> None:
    """Setting an attribute of one error leaves the next one untouched."""
    BudgetExceeded("no", model="gpt-4o")
    assert BudgetExceeded("no").model is None


def test_error_can_take_the_bases_of_a_framework() -> None:
    """An integration may give its refusal another base, and it still survives pickle."""
    error = Foreign("no", model="gpt-4o")
    twin = pickle.loads(pickle.dumps(error))
    assert isinstance(twin, BudgetExceeded)
    assert isinstance(twin, KeyboardInterrupt)
    assert twin.model == "gpt-4o"


class Foreign(BudgetExceeded, KeyboardInterrupt):
    """A refusal with a base that some framework lets through."""
