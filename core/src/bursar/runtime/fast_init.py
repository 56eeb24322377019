"""Makes frozen values as fast as plain ones."""

from __future__ import annotations

from dataclasses import Field, field, fields, make_dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")

new_tuple = tuple.__new__  # of a named tuple, from all its fields: half the time of its constructor


def maker(frozen: type[T]) -> type[T]:
    """Another constructor of a frozen dataclass with slots, which takes a third of the time.

    Its own writes field by field through ``object.__setattr__``. This one fills in an unlocked
    twin that has the same slots, and is of the frozen class from then on.
    """

    def lock(self: Any) -> None:
        self.__class__ = frozen

    members = [(member.name, member.type, _like(member)) for member in fields(cast("Any", frozen))]
    known = {"__post_init__": lock, "__doc__": ""}  # else its signature would be looked at for a docstring
    twin = make_dataclass(frozen.__name__, members, slots=True, repr=False, eq=False, namespace=known)
    return cast("type[T]", twin)


def _like(member: Field[Any]) -> Any:
    return field(default=member.default, default_factory=cast("Any", member.default_factory))
