"""The options that commands have in common."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

StoreOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--store",
        "--redis",
        envvar="BURSAR_STORE",
        metavar="URL",
        help="Where balances live: a URL, or a file.",
    ),
]
AccountOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--account", "--agent", metavar="NAME", help="A budget or a session: default, default/alice, alice."
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
YesOption: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ReasonOption: TypeAlias = Annotated[str, typer.Option("--reason", metavar="TEXT", help="For the journal.")]
