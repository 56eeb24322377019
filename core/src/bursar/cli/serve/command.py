"""The command `serve`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from .. import accounts, place
from ..mistake import Mistake
from ..options import AccountOption, JsonOption, StoreOption
from ..screen import Screen
from .look import Look
from .reader import Reader
from .server import PageServer


def serve(
    store: StoreOption,
    account: AccountOption = None,
    days: Annotated[int, typer.Option(min=1, max=400, metavar="DAYS", help="How many it shows.")] = 30,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, metavar="PORT", help="On 127.0.0.1; 0: one that is free.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show the page of `bursar report --html` live.

    On 127.0.0.1, for whoever has the URL that it prints; nothing can be changed there. The store is read
    while a page is open, at most two steps a second. Ctrl-C ends it.

    \b
    bursar serve --store sqlite:///budget.db
    bursar serve --store redis://localhost:6379 --account default/alice --port 8765
    """
    found, screen = accounts.chosen(place.open_store(store), account), Screen()
    try:
        server = PageServer(port, Reader(Look(found, days, store), found.store))
    except OSError as error:
        raise Mistake(
            f"port {port} cannot be had: {error.strerror}; --port 0 takes one that is free"
        ) from None
    screen.write(json.dumps({"url": server.url}) if as_json else f"{server.url}\nCtrl-C ends it.")
    sys.stdout.flush()
    server.run()
