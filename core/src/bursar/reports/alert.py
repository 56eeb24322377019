"""`Alert`: one thing to know about the money, and how bad it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import Enum
from typing import Any


class AlertKind(str, Enum):
    """What happened."""

    SOFT_LIMIT = "soft_limit"
    HARD_LIMIT = "hard_limit"
    LOOP_DETECTED = "loop_detected"
    VELOCITY = "velocity"
    OVERRUN = "overrun"
    STORE_TROUBLE = "store_trouble"


class AlertLevel(str, Enum):
    """How bad it is: a warning lets the calls go on."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to know, told once.

    Attributes:
        id: its own; a receiver that sees it twice can drop the second.
        kind: what happened.
        level: how bad it is.
        message: one line for people.
        account: the account that it is about.
        limit: the limit, as text, or None.
        threshold: the fraction of `soft_limit` that was crossed; None for other kinds.
        fraction: how much of the limit is spent, from 0 to 1 and above, or None.
        spent: charged against the limit, in USD or as a count; for an overrun the part above the hold.
        at: seconds since the epoch, by the clock of the store.
        report: the cost report of the account, with the fields above as its ``"alert"``; nothing but these
            for trouble with the store, which cannot be asked.
    """

    id: str
    kind: AlertKind
    level: AlertLevel
    message: str
    account: str
    limit: str | None = None
    threshold: float | None = None
    fraction: float | None = None
    spent: Decimal | int | None = None
    at: float = 0.0
    report: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """The fields but the report, as a dict that ``json.dumps`` takes; money in USD as float."""
        facts = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "report"}
        spent = facts["spent"]
        return facts | {
            "kind": self.kind.value,
            "level": self.level.value,
            "spent": float(spent) if isinstance(spent, Decimal) else spent,
        }
