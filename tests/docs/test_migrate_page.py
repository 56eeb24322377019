"""The page for those who come from another library, and the table that it shares with the errors."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import bursar
from bursar import Budget, Charge, Limit, Session, wrap_client
from bursar.values.peer_names import OURS, PEERS

PAGE = (Path(__file__).parents[2] / "docs/migrate.md").read_text("utf-8")


@pytest.mark.parametrize("peer", PEERS)
def test_the_page_has_the_table_of_the_errors(peer: str) -> None:
    """Row by row, in the same order; what a user reads there is what an error says."""
    section = PAGE.partition(f"\n## {peer}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE)
    assert rows == list(PEERS[peer].items())
    assert section.count("```python") >= 1


@pytest.mark.parametrize("theirs", OURS)
def test_what_is_said_to_be_ours_is_ours(theirs: str) -> None:
    """Code that runs, a setting of a budget, or a name that there is; and theirs is none of ours."""
    ours = OURS[theirs]
    settings = inspect.signature(Budget).parameters
    if ours.startswith("prices="):
        assert "prices" in settings
    elif re.match(r"\w+=", ours):
        name, _, value = ours.partition("=")
        Budget(**{name: eval(value)})  # a store connects when it is first asked
    else:
        session, budget, charge = Budget("$5").session(), Budget("$5"), Charge
        known = {"Budget": Budget, "Limit": Limit, "session": session, "budget": budget, "charge": charge}
        for module in re.findall(r"bursar_\w+", ours):
            known[module] = import_module(module)
        if ours.startswith("wrap_client("):
            assert bursar.wrap_client is wrap_client
        else:
            eval(ours, {name: getattr(bursar, name) for name in bursar.__all__} | known)
    accepted = {"max_spend"}
    assert theirs in accepted or not (theirs in settings or hasattr(bursar, theirs))
    assert not any(hasattr(ours, theirs) for ours in (Budget, Session, Charge))


def test_the_names_that_are_the_same_are_there() -> None:
    """The sentences about names that need no change name what there is."""
    names = [
        name
        for sentence in re.findall(r"The same names: (.*?)\. ", PAGE, re.DOTALL)
        for name in re.findall(r"`(\w+)`", sentence)
    ]
    settings = inspect.signature(Budget).parameters
    assert len(names) > 30
    missing = [
        name
        for name in names
        if name not in settings and not any(hasattr(place, name) for place in (bursar, Budget, Session))
    ]
    assert missing == []
