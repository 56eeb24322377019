"""A process that dies between an alert and its delivery, and one that comes after it: `python -m tests.chaos.dying`."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import Any

from bursar import Budget
from bursar.webhooks import deliveries, lookout, webhook

PLACES = ("marked", "connecting", "posted")


def die(*_: Any) -> Any:
    """SIGKILL, to this process itself."""
    os.kill(os.getpid(), signal.SIGKILL)


def cross(url: str, hook: str, name: str, place: str) -> None:
    """Cross a mark, and die: before the listeners are told, before the request, or before its answer is booked."""
    if place == "connecting":
        socket.create_connection = die
    elif place == "posted":
        webhook.Webhook._posted = lambda self, alert, post=webhook.Webhook._posted: (
            post(self, alert) and die()
        )  # type: ignore[assignment,misc]
    budget = Budget(
        "$1",
        store=url,
        webhook_url=hook,
        webhook_allow_private=True,
        alerts="inline",
        on_alert=die if place == "marked" else None,
    )
    budget.session(id=name).reserve(cost="$0.95").settle(cost="$0.95")
    time.sleep(30)
    raise AssertionError("nobody died")


def come_after(url: str, hook: str) -> None:
    """The next process: it has the webhook, and does nothing else until it is told to end."""
    deliveries._IDLE_MS = 500
    lookout._PAUSE_S = (0.05, 0.1)
    budget = Budget("$1", store=url, webhook_url=hook, webhook_allow_private=True)
    sys.stdin.read()
    assert budget.reserved == 0


if __name__ == "__main__":
    cross(*sys.argv[1:]) if len(sys.argv) > 3 else come_after(*sys.argv[1:])
