"""Accounts: names become keys that no other name can pose as."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.values.account import (
    Account,
    child_account,
    is_session,
    name_of,
    parent_key,
    root_account,
    root_key,
    session_account,
    shown_key,
)
from bursar.values.limits import Limit

ROOT = root_account("default", ())
names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=40)


def test_keys() -> None:
    """A key is the path of names from the root, with a mark before that of a session."""
    limits = (Limit("$5"),)
    root = root_account("acme", limits)
    alice = child_account(root, "alice", ())
    run = session_account(alice, "run-7", limits)
    assert root == Account("acme", limits)
    assert alice == Account("acme/alice")
    assert run == Account("acme/alice/@run-7", limits)
    assert session_account(run, "inner", ()).key == "acme/alice/@run-7/@inner"


@given(names, names, names)
def test_no_name_can_pose_as_another(first: str, second: str, third: str) -> None:
    """Whatever the names are, the key falls apart into exactly their parts, and gives each name back."""
    root = root_account(first, ())
    child = child_account(root, second, ())
    run = session_account(child, third, ())
    assert run.key.count("/") == 2
    assert root_key(run.key) == root.key
    assert parent_key(run.key) == child.key
    assert parent_key(child.key) == root.key
    assert parent_key(root.key) == ""
    assert [is_session(account.key) for account in (root, child, run)] == [False, False, True]
    assert [name_of(account.key) for account in (root, child, run)] == [first, second, third]
    assert shown_key(run.key) == f"{first}/{second}/{third}"


@given(names, names)
def test_different_names_have_different_keys(first: str, second: str) -> None:
    """Two accounts have one key only if they have one name, and a session never has that of a child."""
    assert (child_account(ROOT, first, ()).key == child_account(ROOT, second, ()).key) == (first == second)
    assert session_account(ROOT, first, ()).key != child_account(ROOT, second, ()).key


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "@run",
        "../..",
        "}x{default",
        "a b",
        "*?[a]",
        "a'; DROP TABLE x--",
        "<b>",
        "%2F",
        "é",
        "😀",
        "\u202egnp.exe",
    ],
)
def test_hostile_name_is_encoded(name: str) -> None:
    """Names with the syntax of stores, files or pages leave nothing of it in the key."""
    key = session_account(ROOT, name, ()).key
    assert re.fullmatch(r"default/@[A-Za-z0-9_.~%-]+", key)
    assert name_of(key) == name
    assert parent_key(key) == "default"


@pytest.mark.parametrize(
    "name", ["", "a\nb", "\x00", "\x1b[31m", "\ud800", "x" * 201, None, 5, b"a"], ids=repr
)
def test_what_is_no_name_is_refused(name: object) -> None:
    """A name that is empty, too long, unprintable or no text is a `ValueError` for every kind of account."""
    with pytest.raises(ValueError, match="name"):
        root_account(name, ())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name"):
        child_account(ROOT, name, ())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="session id"):
        session_account(ROOT, name, ())  # type: ignore[arg-type]


def test_longest_name_is_accepted() -> None:
    """A name of 200 characters is one, even where each takes twelve in the key."""
    assert name_of(root_account("😀" * 200, ()).key) == "😀" * 200
