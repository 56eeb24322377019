"""How a webhook is signed, and how its receiver checks that: as Standard Webhooks says.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ..values.duration import Duration, to_seconds

Secrets: TypeAlias = "str | Sequence[str]"

_PREFIX = "whsec_"  # what follows is base64 of the key


def keys_of(secret: Secrets | None) -> tuple[bytes, ...]:
    """The keys that sign: none, one, or two while one replaces the other.

    Raises:
        ValueError: it is no secret, is empty, or says that it is base64 and is not.
    """
    if secret is None:
        return ()
    given = (secret,) if isinstance(secret, str) else secret
    if not isinstance(given, Sequence) or not given or not all(isinstance(one, str) and one for one in given):
        raise ValueError("webhook_secret= takes a text, or a list of two while one replaces the other")
    return tuple(map(_key, given))


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"webhook_secret= begins with {_PREFIX!r} and is not base64 after it") from None


def signature_headers(alert_id: str, body: bytes, keys: Sequence[bytes], now_s: float) -> dict[str, str]:
    """The headers of one delivery: its id, when it was sent, and a signature by each key."""
    moment = str(int(now_s))
    headers = {"webhook-id": alert_id, "webhook-timestamp": moment}
    if keys:
        headers["webhook-signature"] = " ".join(_sign(alert_id, moment, body, key) for key in keys)
    return headers


def verify_webhook(
    body: bytes | str, headers: Mapping[str, str], secret: Secrets, tolerance: Duration = "5min"
) -> bool:
    """Whether a request is an alert of bursar, signed with the secret, and was sent just now.

    Compared in constant time. A request that was recorded and is sent again later than `tolerance` is
    false; one that comes again within it has the same ``webhook-id``, by which a receiver drops it.

    Args:
        body: as it came, before any parsing.
        headers: of the request; upper or lower case.
        secret: the text that was given as `webhook_secret`, or several.
        tolerance: how far the clocks may be apart, and how old a request may be; a duration.

    Raises:
        ValueError: the secret or the tolerance is none.
    """
    keys, most_s = keys_of(secret), to_seconds(tolerance, "tolerance")
    if not keys:
        raise ValueError("secret= takes the text that signed the webhook")
    sent = {str(name).lower(): value for name, value in headers.items()}
    try:
        alert_id, moment = sent["webhook-id"], sent["webhook-timestamp"]
        age_s = time.time() - int(moment)
        given = [one.encode() for one in sent["webhook-signature"].split()]
    except (KeyError, ValueError, AttributeError, TypeError):
        return False
    whole = body.encode() if isinstance(body, str) else body
    expected = [_sign(alert_id, moment, whole, key).encode() for key in keys]
    matches = [hmac.compare_digest(one, other) for one in given for other in expected]
    return any(matches) and abs(age_s) <= most_s


def _sign(alert_id: str, moment: str, body: bytes, key: bytes) -> str:
    signed = hmac.new(key, f"{alert_id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"
