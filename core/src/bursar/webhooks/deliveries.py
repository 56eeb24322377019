"""`Deliveries`: sees to it that the alerts of a tree reach the webhooks, whichever process caused them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from ..errors import BursarError
from ..ledger.reading import read_session
from ..ledger.steps import run
from ..reports.alert import Alert, AlertKind
from ..reports.alerts import Alerts
from ..runtime.log import logger
from ..store.alerts import HasAlerts
from ..store.base import Store
from ..values.account import path_of
from .lookout import lookout
from .webhook import Webhook

_IDLE_MS = 30_000  # what is due for longer was left by somebody
_AT_ONCE = 50


class Deliveries:
    """The webhooks of one budget.

    Each alert of this process goes to every webhook, and the store is told when all have taken it. Every 10
    seconds the store is asked for alerts that are due for 30, which their own process, killed or cut off,
    has not delivered.

    Args:
        webhooks: each gets every alert.
        store: where alerts are due.
        root: the key of the tree.
        alerts: puts an alert of the store into words.
    """

    def __init__(self, webhooks: Sequence[Webhook], store: Store, root: str, alerts: Alerts) -> None:
        self._webhooks = webhooks
        self._store = store
        self._root = root
        self._alerts = alerts
        self.renew()
        lookout.add(self)

    def renew(self) -> None:
        """Nothing is on its way."""
        self._lock = threading.Lock()
        self._open: dict[str, list[bool]] = {}  # by id of the alert: which webhooks have taken it, so far

    def __call__(self, alert: Alert) -> None:
        """Have an alert delivered; returns at once."""
        lookout.add(self)  # in a forked child nobody looks yet
        with self._lock:
            self._open[alert.id] = []
        for webhook in self._webhooks:
            webhook.put(alert, partial(self._over, alert))

    def look(self) -> None:
        """Deliver what others have left; not while something is on its way, which is due as well."""
        if self._open or not isinstance(self._store, HasAlerts):
            return
        for stored in self._store.claim(self._root, _IDLE_MS, _AT_ONCE):
            path = path_of(stored.account)
            self(self._alerts.alert(stored, path, run(read_session(path), self._store)))

    def _over(self, alert: Alert, taken: bool) -> None:
        """A webhook has taken it, or has given up."""
        with self._lock:
            told = self._open.setdefault(alert.id, [])
            told.append(taken)
            if len(told) < len(self._webhooks):
                return
            del self._open[alert.id]
        if all(told) and alert.kind is not AlertKind.STORE_TROUBLE and isinstance(self._store, HasAlerts):
            try:
                self._store.delivered(self._root, (alert.id,))
            except BursarError as error:  # it is due once more, and is not posted again by this process
                logger.debug("the store was not told that an alert is delivered: %s", error)
