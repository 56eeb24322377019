"""`watch`: the alerts of all processes as they come, and when the limit is used up at this rate."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from ..errors import StoreError
from ..ledger.reading import read_path
from ..ledger.steps import run
from ..redaction import redacted
from ..reports.alert import Alert, AlertLevel
from ..reports.alerts import Alerts
from ..reports.listeners import Listeners
from ..store.alerts import HasAlerts, StoredAlert
from ..store.base import Store
from ..values.account import is_session, path_of, root_key
from . import accounts, place
from .mistake import Mistake
from .options import AccountOption, JsonOption, StoreOption
from .screen import Screen, styled

_ROOTS_S = 30.0  # between two looks for budgets that are new


class Follower:
    """What of the alerts of a store was not seen yet.

    Args:
        store: it is only read.
        account: the key of the account that is followed, with all below it; None: all.
    """

    def __init__(self, store: Store, account: str | None) -> None:
        if not isinstance(store, HasAlerts):
            raise Mistake("this store keeps no alerts")
        self._store = store
        self._account = account
        self._after: dict[str, str] = {}  # by root
        self._looked_s = -_ROOTS_S
        self._roots: list[str] = []

    def roots(self) -> list[str]:
        """The trees that are followed."""
        if self._account is not None:
            return [root_key(self._account)]
        if not self._roots or time.monotonic() - self._looked_s >= _ROOTS_S:
            self._roots, self._looked_s = accounts.root_keys(self._store), time.monotonic()
        return self._roots

    def new(self, root: str) -> Iterator[StoredAlert]:
        """The alerts of a tree since the last look, the oldest first."""
        store = self._store
        while isinstance(store, HasAlerts):
            page = store.alerts(root, self._after.get(root, ""))
            self._after[root] = page.after
            for alert in page.alerts:
                if self._account is None or f"{alert.account}/".startswith(f"{self._account}/"):
                    yield alert
            if not page.alerts:
                return


def watch(
    store: StoreOption,
    account: AccountOption = None,
    interval: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Between two looks.")] = 2.0,
    times: Annotated[
        int | None, typer.Option("--times", min=1, metavar="COUNT", help="How many looks; no end by default.")
    ] = None,
    last: Annotated[int, typer.Option(min=0, metavar="COUNT", help="Alerts of before to begin with.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Follow the alerts of all processes.

    The newest ones first, then each as it comes, also those that a webhook has delivered; and after an
    alert, when the limit is used up at this rate. Nothing is changed. Ctrl-C ends it. With --json an
    object a line.

    \b
    bursar watch --store redis://localhost:6379
    bursar watch --store sqlite:///budget.db --account default/alice --json
    """
    opened = place.open_store(store)
    key = accounts.find(opened, account).key if account else None
    follower, teller = Follower(opened, key), _Teller(store, opened, as_json)
    looked = 0
    try:
        while True:
            try:
                for root in follower.roots():
                    found = list(follower.new(root))
                    for alert in found[len(found) - last if last < len(found) and not looked else 0 :]:
                        teller.alert(alert)
                    if found or not looked:
                        teller.forecast(key or root)
            except StoreError:
                if not looked:
                    raise  # else it may come back
            looked += 1
            if looked == times:
                return
            time.sleep(interval)
    except KeyboardInterrupt:
        return


class _Teller:
    """Writes alerts and forecasts, each at once."""

    def __init__(self, url: str, store: Store, as_json: bool) -> None:
        self._url = url
        self._store = store
        self._json = as_json
        self._screen = Screen()
        self._words = Alerts(Listeners({}, (), "inline"), lambda: store.durability)

    def alert(self, stored: StoredAlert) -> None:
        """One alert."""
        path = path_of(stored.account)
        alert = self._words.alert(stored, path, run(read_path(path), self._store))
        if self._json:
            self._object("alert", alert.facts() | {"due": stored.due})
            return
        at = f"{datetime.fromtimestamp(alert.at):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006 - the time of who looks
        level = styled(alert.level.value, _style(alert))
        self._screen.line(styled(at, "dim"), level, f"{alert.account}:", alert.message)
        sys.stdout.flush()

    def forecast(self, key: str) -> None:
        """When the limit of a budget is used up, where that is to be seen."""
        while is_session(key):
            key = key.rpartition("/")[0]
        root, *below = accounts.names_of_path(key)
        snapshot = self._store.read(root_key(key), accounts.keys_of_path(key))
        budget = place.open_budget(self._url, root, tz=accounts.Found(self._store, key, snapshot).zone)
        for name in below:
            budget = budget.child(name)
        forecast = budget.forecast()
        if forecast is not None and self._json:
            self._object("forecast", forecast)
        elif forecast is not None:
            self._screen.line(f"{forecast['account']}:", forecast["text"])
        sys.stdout.flush()

    def _object(self, event: str, facts: dict[str, Any]) -> None:
        self._screen.write(json.dumps(redacted({"event": event, **facts})))
        sys.stdout.flush()


def _style(alert: Alert) -> str:
    return "bold red" if alert.level is AlertLevel.CRITICAL else "yellow"
