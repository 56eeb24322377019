"""A named balance in a store, and its place in the tree."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from ..runtime.ids import is_made
from .limits import Limit
from .names import check_name, quoted, unquoted

_SESSION = "@"  # quoted() never leaves one in a name, so no name can pose as a session


@dataclass(frozen=True, slots=True)
class Account:
    """One account as its owner declares it.

    Attributes:
        key: unique in the store: the percent-encoded names from the root, joined by
            ``/``; a session's name is marked by ``@`` (``default/alice/@run-7``).
        limits: the declared limits; none at all adopts those that the store has.
        unless_declared: the limits of an account that is new to the store and declares none.
    """

    key: str
    limits: tuple[Limit, ...] = ()
    unless_declared: tuple[Limit, ...] = ()


def root_account(name: str, limits: tuple[Limit, ...]) -> Account:
    """The account at the top of a tree: the unit that a store changes atomically."""
    return Account(quoted(check_name("name", name)), limits)


def child_account(
    parent: Account, name: str, limits: tuple[Limit, ...], unless_declared: tuple[Limit, ...] = ()
) -> Account:
    """The account of a budget below another one: a tenant, a team, a user."""
    return Account(f"{parent.key}/{quoted(check_name('name', name))}", limits, unless_declared)


def session_account(parent: Account, session_id: str, limits: tuple[Limit, ...]) -> Account:
    """The account of a session, below a budget or another session."""
    return Account(f"{parent.key}/{_SESSION}{quoted(check_name('session id', session_id))}", limits)


def path_of(key: str) -> tuple[Account, ...]:
    """The accounts from the root to one; their limits are those that the store has."""
    return tuple(map(Account, accumulate(key.split("/"), lambda above, own: f"{above}/{own}")))


def is_session(key: str) -> bool:
    """True for the account of a session."""
    return key.rpartition("/")[2].startswith(_SESSION)


def other_account(root: str) -> str:
    """The key of what a history counts for all accounts of a tree beyond its most; no name is encoded so."""
    return f"{root}/*"


def parent_key(key: str) -> str:
    """The key of the account above; empty at the root."""
    return key.rpartition("/")[0]


def root_key(key: str) -> str:
    """The key of the root of the tree that the account is in."""
    return key.partition("/")[0]


def name_of(key: str) -> str:
    """The account's own name, as it was given."""
    return unquoted(key.rpartition("/")[2].removeprefix(_SESSION))


def shown_key(key: str) -> str:
    """The account as people know it: ``default/alice/run-7``."""
    return "/".join(_names(key))


def told_key(key: str) -> str:
    """The account in a message to people: without the names of sessions that nobody gave."""
    return "/".join(name for name in _names(key) if not is_made(name))


def is_made_session(key: str) -> bool:
    """True for the account of a session whose name nobody gave."""
    return is_session(key) and is_made(name_of(key))


def _names(key: str) -> list[str]:
    return [unquoted(part.removeprefix(_SESSION)) for part in key.split("/")]
