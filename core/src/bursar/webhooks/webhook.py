"""`Webhook`: posts alerts to a URL, again and again until it is taken or its time is up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

from ..reports.alert import Alert
from ..runtime.log import logger
from ..runtime.worker import Worker
from ..values.money import shown
from .address import Address, parse_address
from .payload import body_of
from .signature import Secrets, keys_of, signature_headers

Over: TypeAlias = "Callable[[bool], object]"

_ATTEMPT_S = 10.0
_IN_ALL_S = 120.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0
_MOST = 1000
_LATER = frozenset({408, 425, 429})
_dice = Random()  # noqa: S311 - spreads retries, hides nothing; the program's own dice are left alone


class Webhook:
    """One URL that alerts are posted to, by a thread of its own; what it has taken is not posted again.

    Args:
        address: where to.
        keys: that sign each delivery; none: it is not signed.
        allow_private: connect to private addresses, too.
        proxy: connects in our place; the variables of the environment are not read.
        dropped: told how many alerts found no room in the queue, once there is room again.
    """

    def __init__(
        self,
        address: Address,
        keys: tuple[bytes, ...],
        *,
        allow_private: bool,
        proxy: Address | None,
        dropped: Callable[[int, str], object],
    ) -> None:
        self._address = address
        self._keys = keys
        self._allow_private = allow_private
        self._proxy = proxy
        self._tell_dropped = dropped
        self._dropped = 0
        self._taken: deque[str] = deque(maxlen=_MOST)  # ids of alerts
        self._missed: deque[str] = deque(maxlen=_MOST)  # of those that could not be posted, as the log says
        self._worker: Worker[tuple[Alert, Over]] = Worker(
            "bursar-webhook", lambda item: self._deliver(*item), _MOST
        )

    def put(self, alert: Alert, over: Over) -> None:
        """Have an alert posted; returns at once.

        Args:
            alert: what is told.
            over: called at the end: with True where it is taken, or refused for good.
        """
        if not self._worker.put((alert, over)):
            self._dropped += 1
            over(False)

    def _deliver(self, alert: Alert, over: Over) -> None:
        taken = False
        try:
            taken = alert.id in self._taken or self._posted(alert)
        finally:
            if taken:
                self._taken.append(alert.id)
            over(taken)
        if self._dropped and not len(self._worker):
            dropped, self._dropped = self._dropped, 0
            self._tell_dropped(dropped, str(self._address))

    def _posted(self, alert: Alert) -> bool:
        """Post it again and again; False where its time is up, or it may not be posted there."""
        from .lookup import NotAllowed

        body = body_of(alert, self._address.host)
        end_s, pause_s = time.monotonic() + _IN_ALL_S, _FIRST_PAUSE_S
        try:
            while (why := self._attempt(alert.id, body, end_s)) is not None:
                wait_s = _dice.uniform(pause_s / 2, pause_s)
                if time.monotonic() + wait_s >= end_s:
                    return self._not_posted(alert, why)
                time.sleep(wait_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
        except NotAllowed as error:
            return self._not_posted(alert, str(error))
        return True

    def _not_posted(self, alert: Alert, why: str) -> bool:
        """Log that once of each alert, which may be tried again for a day; False."""
        if alert.id not in self._missed:
            self._missed.append(alert.id)
            logger.error("the webhook %s was not told of an alert: %s", self._address, why)
        return False

    def _attempt(self, alert_id: str, body: bytes, end_s: float) -> str | None:
        """None where it is taken, or refused for good; else why it was not, in words.

        Raises:
            NotAllowed: the address is not one for webhooks.
        """
        from .post import post

        headers = {
            "Content-Type": "application/json",
            "User-Agent": "bursar",
            **signature_headers(alert_id, body, self._keys, time.time()),
        }
        try:
            status = post(
                self._address,
                body,
                headers,
                deadline_s=min(end_s, time.monotonic() + _ATTEMPT_S),
                allow_private=self._allow_private,
                proxy=self._proxy,
            )
        except OSError as error:
            return error.strerror or str(error) or type(error).__name__
        if status in _LATER or status >= 500:
            return f"it answered {status}"
        if status >= 300:
            logger.error("the webhook %s refused an alert: it answered %s", self._address, status)
        return None


def open_webhooks(
    urls: str | Sequence[str] | None,
    secret: Secrets | None,
    *,
    allow_private: bool,
    proxy: str | None,
    dropped: Callable[[int, str], object],
) -> tuple[Webhook, ...]:
    """A webhook for each URL.

    Args:
        urls: one or several.
        secret: signs each delivery: one text, or two while one replaces the other.
        allow_private: connect to private addresses, too.
        proxy: the URL of a proxy of HTTP.
        dropped: see `Webhook`.

    Raises:
        ValueError: one of them cannot be used; the message names the setting.
    """
    keys = keys_of(secret)
    if type(allow_private) is not bool:
        raise ValueError(f"webhook_allow_private={shown(allow_private)} is not True or False")
    through = None if proxy is None else parse_address(proxy, "webhook_proxy")
    if through is not None and through.scheme != "http":
        raise ValueError("webhook_proxy= takes a URL of http, like 'http://proxy.example:3128'")
    given: object = urls
    if given is None:
        raise ValueError("webhook_secret=, webhook_proxy= and webhook_allow_private= need a webhook_url=")
    each = [given] if isinstance(given, str) else given
    if not isinstance(each, list | tuple) or not each:
        raise ValueError("webhook_url= takes a URL, or a list of URLs")
    addresses = dict.fromkeys(parse_address(url, "webhook_url") for url in each)
    return tuple(
        Webhook(address, keys, allow_private=allow_private, proxy=through, dropped=dropped)
        for address in addresses
    )
