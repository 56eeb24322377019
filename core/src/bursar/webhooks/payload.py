"""What a webhook's body says: the alert as JSON; for Slack, as a message."""

from __future__ import annotations

import json
from dataclasses import fields
from decimal import Decimal
from typing import Any

from ..redaction import redacted
from ..reports.alert import Alert, AlertLevel

_SLACK = "hooks.slack.com"


def body_of(alert: Alert, host: str) -> bytes:
    """The body for a host, UTF-8.

    ``{"event_type": kind, ...the fields of the alert, "report": {...}}``; money in USD as a number.
    Slack gets ``{"text": ...}``, which is all that it shows.
    """
    if host == _SLACK:
        return json.dumps({"text": slack_text(alert)}).encode()
    return json.dumps(payload(alert), allow_nan=False).encode()


def payload(alert: Alert) -> dict[str, Any]:
    """The alert as a dict that ``json.dumps`` takes, without keys and passwords."""
    told = {field.name: getattr(alert, field.name) for field in fields(alert)}
    spent = told["spent"]
    told["spent"] = float(spent) if isinstance(spent, Decimal) else spent
    told |= {"kind": alert.kind.value, "level": alert.level.value, "report": dict(alert.report)}
    cleaned: dict[str, Any] = redacted({"event_type": alert.kind.value, **told})
    return cleaned


def slack_text(alert: Alert) -> str:
    """One line for a channel of Slack; nothing in it is a link, a mention or markup."""
    sign = ":rotating_light:" if alert.level is AlertLevel.CRITICAL else ":warning:"
    text = redacted(alert.message).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{sign} bursar: {text}"
