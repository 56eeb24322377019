"""Alerts that a store keeps: each is due from the step that causes it until it is said to be delivered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from ..values.limits import Limit
from ..values.names import quoted
from .entry import Entry
from .results import Booked, Cause, Granted, Refused
from .views import MOST_AT_ONCE

StoredKind = Literal["soft_limit", "hard_limit", "loop_detected", "velocity", "overrun"]

_KINDS: dict[Cause, StoredKind] = {"limit": "hard_limit", "loop": "loop_detected", "velocity": "velocity"}


class StoredAlert(NamedTuple):
    """What a step of the store has to tell; amounts in the unit of the limit.

    Attributes:
        id: of the alert: the same wherever it is made of the same answer.
        kind: what happened.
        account: the key of the account that it is about.
        limit: the limit that was reached; None for a loop or an overrun.
        fraction_ppm: the fraction of a soft limit that was crossed, in millionths; None for others.
        spent: charged against the limit; for an overrun the nano-dollars above the hold.
        reserved: held of the limit.
        detail: what opened the breaker, or the model or tool of an overrun; else empty.
        at_ms: when, milliseconds since the epoch.
        due: True until somebody says that it was delivered.
    """

    id: str
    kind: StoredKind
    account: str
    limit: Limit | None
    fraction_ppm: int | None
    spent: int
    reserved: int
    detail: str
    at_ms: int
    due: bool = True


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Some of the alerts of a tree, the oldest first.

    Attributes:
        now_ms: the store's time, milliseconds since the epoch.
        alerts: those that came after what was asked for.
        after: what to ask for later ones with.
    """

    now_ms: int
    alerts: tuple[StoredAlert, ...]
    after: str


@runtime_checkable
class HasAlerts(Protocol):
    """A store that keeps alerts until they are delivered; a store need not.

    It keeps `alerts_of` each answer to reserve, settle, book and doubt, in the step that makes the answer:
    the newest 1,000 of a tree, delivered ones among them.
    """

    def alerts(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> AlertPage:
        """The alerts of a tree, the oldest first, whether due or delivered; nothing is changed.

        Args:
            root: the key of the tree.
            after: that of an earlier page.
            limit: how many; `MOST_AT_ONCE` at most.
        """
        ...

    def claim(self, root: str, idle_ms: int, limit: int = MOST_AT_ONCE) -> tuple[StoredAlert, ...]:
        """Alerts that have been due for longer than that; who asks delivers them.

        They are due anew from now on, so that nobody else claims them for as long. What happened more than
        a day ago is given up.

        Args:
            root: the key of the tree.
            idle_ms: milliseconds since an alert came, or was claimed last.
            limit: how many; `MOST_AT_ONCE` at most.
        """
        ...

    def delivered(self, root: str, ids: tuple[str, ...]) -> None:
        """These alerts are due no more; unknown ids are left out."""
        ...


def alerts_of(answer: Granted | Refused | Booked, entry: Entry, now_ms: int) -> tuple[StoredAlert, ...]:
    """What an answer of a store has to tell: marks, then an overrun, then the first refusal of its kind.

    Args:
        answer: to a reserve, settle, book or doubt.
        entry: what was asked for.
        now_ms: the store's time.
    """
    found: list[StoredAlert] = []
    refused: Refused | None
    if isinstance(answer, Booked):
        refused = answer.over
        found += [_stored(entry, "soft_limit", *mark, 0, "", now_ms) for mark in answer.marks]
        if answer.overrun_usd and not answer.repeated:
            subject, leaf = entry.subject, entry.path[-1].key
            name = subject.models[0] if subject.models else subject.tool or ""
            found.append(_stored(entry, "overrun", leaf, None, None, answer.overrun_usd, 0, name, now_ms))
    else:
        refused = answer if isinstance(answer, Refused) else answer.ignored
    if refused is not None and refused.first:
        kind, account, limit, spent, reserved, *_ = _KINDS[refused.cause], *refused
        found.append(
            _stored(entry, kind, account, limit, None, spent, reserved, refused.reason or "", now_ms)
        )
    return tuple(found)


def _stored(
    entry: Entry,
    kind: StoredKind,
    account: str,
    limit: Limit | None,
    fraction_ppm: int | None,
    spent: int,
    reserved: int,
    detail: str,
    now_ms: int,
) -> StoredAlert:
    id = alert_id(entry.id, kind, account, limit, fraction_ppm, spent)
    return StoredAlert(id, kind, account, limit, fraction_ppm, spent, reserved, detail, now_ms)


def alert_id(
    call: str, kind: str, account: str, limit: Limit | None, fraction_ppm: int | None, spent: int
) -> str:
    """The id of an alert: a digest of the call that caused it, and of what was reached."""
    what = "" if limit is None else ";".join(map(_escaped, limit.key))
    ppm = "" if fraction_ppm is None else str(fraction_ppm)
    words = "\n".join((_escaped(call), kind, account, what, ppm, str(spent)))
    return hashlib.sha1(words.encode(), usedforsecurity=False).hexdigest()


def _escaped(text: str) -> str:
    return quoted(text)
