"""What the page of an account shows, read in steps that do not grow with the number of sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from .. import __version__
from ..ledger import verbs
from ..ledger.steps import Steps
from ..redaction import redacted
from ..reports.history import build_history
from ..reports.page import Page
from ..store.base import HasHistory
from ..store.views import AccountView
from ..values.account import is_session, root_key
from ..values.money import to_usd
from . import figures
from .accounts import Found


def read_days(found: Found, days: int) -> Steps[dict[str, Any] | None]:
    """The days of a budget in the time zone of its limits, in one step; None where none are kept."""
    if not isinstance(found.store, HasHistory) or is_session(found.key):
        return None
    view = yield from verbs.history(root_key(found.key), (found.key,), days, found.zone)
    return build_history(view, found.key, days, found.zone)


def read_parts(found: Found, most: int) -> Steps[Found]:
    """The same with the newest sessions nested in each of so many sessions, a step for each."""
    parts: dict[str, AccountView] = {}
    for key in with_parts(found)[:most]:
        parts |= (yield from verbs.sessions(key)).accounts
    return beside(found, parts)


def with_parts(found: Found) -> list[str]:
    """The keys of the sessions below a budget in which others are nested, the newest first."""
    if is_session(found.key):
        return []
    views = found.snapshot.accounts.values()
    return [view.key for view in views if is_session(view.key) and view.sessions][::-1]


def beside(found: Found, accounts: Mapping[str, AccountView]) -> Found:
    """The same with more accounts."""
    snapshot = replace(found.snapshot, accounts={**found.snapshot.accounts, **accounts})
    return replace(found, snapshot=snapshot)


def page_of(
    found: Found,
    history: Mapping[str, Any] | None,
    where: str,
    findings: Sequence[str] | None = None,
    remarks: Iterable[str] = (),
) -> Page:
    """The page of an account that was read.

    Args:
        found: with the accounts below it.
        history: its days.
        where: the URL of the store; what may be a password in it is not shown.
        findings: of an audit, in words; None where there was none.
        remarks: sentences about how it was read.
    """
    return Page(
        report=figures.document(found),
        made=made(),
        where=redacted(where),
        history=history,
        day_limit=_day_limit(found),
        findings=findings,
        remarks=tuple(remarks),
    )


def made() -> str:
    """When, and by which version."""
    return f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC by bursar {__version__}"


def _day_limit(found: Found) -> tuple[str, float] | None:
    """The limit in USD over a day of the time zone in which the days are shown, whatever is spent on."""
    for view in found.view.limits:
        limit = view.limit
        if (limit.unit, limit.window, limit.tz) == ("usd", "day", found.zone) and not limit.selective:
            return str(limit), float(to_usd(limit.amount))
    return None
