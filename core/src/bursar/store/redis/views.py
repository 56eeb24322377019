"""Makes account views and audits from what the script read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import cast

from ...values.account import is_session, parent_key
from ...values.amounts import NOTHING, Amounts
from ...values.call import Subject
from ...values.limits import Limit
from ..entry import UNITS
from ..views import (
    AccountView,
    Circuit,
    DayView,
    Finding,
    HistoryView,
    HoldPage,
    LimitView,
    OpenHold,
    SessionPage,
    Snapshot,
)
from .encode import escape, limit_text, parse_limit, parse_subject, unescape

Fields = dict[str, str]


def with_parents(keys: Iterable[str]) -> list[str]:
    """The accounts, and those above them, which set limits for them."""
    wanted: dict[str, None] = {}
    for key in keys:
        above = key
        while above:
            wanted[above] = None
            above = parent_key(above)
    return list(wanted)


def accounts(lines: Sequence[str]) -> dict[str, Fields]:
    """The fields of each account, in the order in which they were opened."""
    found, at = {}, 0
    while at < len(lines):
        key, count = lines[at], int(lines[at + 1])
        words = lines[at + 2 : at + 2 + 2 * count]
        found[key] = dict(zip(words[::2], words[1::2], strict=True))
        at += 2 + 2 * count
    return dict(sorted(found.items(), key=lambda item: (int(item[1]["born"]), item[0])))


def snapshot(lines: Sequence[str], now_ms: int, keys: tuple[str, ...] | None) -> Snapshot:
    """The accounts of a tree, or those that were asked for."""
    found = accounts(lines)
    wanted = list(found) if keys is None else [key for key in keys if key in found]
    return Snapshot(now_ms, {key: _view(key, found, now_ms) for key in wanted})


def session_page(lines: Sequence[str], now_ms: int, key: str) -> SessionPage:
    """Sessions right below an account, the newest first."""
    after, count, *rest = lines
    found = accounts(rest)
    below = [other for other in reversed(found) if parent_key(other) == key and is_session(other)]
    return SessionPage(now_ms, {other: _view(other, found, now_ms) for other in below}, int(count), after)


def hold_page(lines: Sequence[str], now_ms: int) -> HoldPage:
    """Open holds, those first whose leases end first."""
    *rest, after = lines
    holds = tuple(
        OpenHold(
            unescape(id),
            leaf,
            parse_subject(subject),
            Amounts(*map(int, held.split(","))),
            int(until_ms),
        )
        for id, leaf, subject, held, until_ms in zip(*(rest[part::5] for part in range(5)), strict=True)
    )
    return HoldPage(now_ms, holds, after)


def _view(key: str, found: Mapping[str, Fields], now_ms: int) -> AccountView:
    fields = found[key]
    own, for_sessions = [], []
    for limit in _in_force(fields):
        if limit.window == "session" and not is_session(key):
            for_sessions.append(limit)
        else:
            own.append(limit)
    if is_session(key):
        own += _from_above(key, found)
    reason = fields.get("tripped", fields.get("trip:reason"))
    circuit = "forced_open" if "tripped" in fields else fields.get("trip", "closed")
    return AccountView(
        key=key,
        spent=_three(fields, "s:{}"),
        reserved=_three(fields, "r:{}"),
        subjects=MappingProxyType(_subjects(fields)),
        tally=MappingProxyType(
            {
                unescape(name[2:]): int(value)
                for name, value in fields.items()
                if name[:2] == "t:" and value != "0"
            }
        ),
        limits=tuple(_limit_view(limit, fields, now_ms) for limit in own),
        for_sessions=tuple(for_sessions),
        tripped=None if reason is None else unescape(reason),
        opened_ms=int(fields["opened"]),
        circuit=cast("Circuit", circuit),
        sessions=int(fields["sessions"]),
    )


def _in_force(fields: Fields) -> list[Limit]:
    slots = fields.get("limits", "").split(" ")
    return [parse_limit(text) for slot in slots if (text := slot.partition("|")[2])]


def _from_above(key: str, found: Mapping[str, Fields]) -> list[Limit]:
    """The limits that the budgets above set for each session right below them."""
    limits: list[Limit] = []
    above = parent_key(key)
    while above and not is_session(above):
        here = [limit for limit in _in_force(found.get(above, {})) if limit.window == "session"]
        limits = here + limits
        above = parent_key(above)
    return limits


def _three(fields: Fields, name: str) -> Amounts:
    return Amounts(*(int(fields.get(name.format(unit), "0")) for unit in UNITS))


def _subjects(fields: Fields) -> dict[Subject, tuple[Amounts, Amounts]]:
    texts = {
        name.split(":", 2)[2]: None
        for name, value in fields.items()
        if name[:2] in ("S:", "R:") and value != "0"
    }
    return {
        parse_subject(text): (_three(fields, f"S:{{}}:{text}"), _three(fields, f"R:{{}}:{text}"))
        for text in texts
    }


def _limit_view(limit: Limit, fields: Fields, now_ms: int) -> LimitView:
    if limit.windowed:
        name = "w:" + ";".join(limit_text(limit).split(";")[:5])
        if limit.tz and now_ms >= int(fields.get(f"{name}:end", "0")):
            return LimitView(limit, 0, 0)
        frees = fields.get(f"{name}:frees")
        spent, reserved = int(fields[f"{name}:spent"]), int(fields[f"{name}:reserved"])
        return LimitView(limit, spent, reserved, int(frees) if frees else None)
    unit = UNITS.index(limit.unit)
    if limit.unit != "calls" and not limit.selective:
        return LimitView(limit, _three(fields, "s:{}")[unit], _three(fields, "r:{}")[unit])
    covered = [sums for subject, sums in _subjects(fields).items() if limit.covers(subject)]
    return LimitView(limit, sum(spent[unit] for spent, _ in covered), sum(held[unit] for _, held in covered))


_AUDITED = ("born", "epoch", *(f"{kind}:{unit}" for kind in "srfp" for unit in UNITS))


def findings(lines: Sequence[str]) -> tuple[Finding, ...]:
    """What the balances of a tree have that its records do not add up to."""
    divider, last = lines.index("records"), lines.index("days")
    size = 1 + len(_AUDITED)
    found = {
        lines[at]: dict(zip(_AUDITED, lines[at + 1 : at + size], strict=True))
        for at in range(1, divider, size)
    }
    spent = {key: _three(fields, "f:{}") for key, fields in found.items()}
    reserved = dict.fromkeys(found, NOTHING)
    records = lines[divider + 1 : last]
    for at in range(0, len(records), 6):
        leaf, epochs, still_open = records[at : at + 3]
        sums = Amounts(*map(int, records[at + 3 : at + 6]))
        for key, epoch in zip(reversed(with_parents([leaf])), epochs.split(","), strict=True):
            born, _, part = epoch.partition(".")
            if key not in found or found[key]["born"] != born:
                continue
            if still_open == "1":
                reserved[key] = reserved[key].plus(sums)
            elif found[key]["epoch"] == part:
                spent[key] = spent[key].plus(sums)
    wrong = []
    for key, fields in found.items():
        balances = _three(fields, "s:{}"), _three(fields, "r:{}")
        if balances[0] != spent[key]:
            wrong.append(Finding(key, "spent", balances[0], spent[key]))
        if balances[1] != reserved[key]:
            wrong.append(Finding(key, "reserved", balances[1], reserved[key]))
    for key, booked in _booked(lines[last + 1 :]).items():
        if key in found:
            expected = _three(found[key], "s:{}").plus(_three(found[key], "p:{}"))
            if booked != expected:
                wrong.append(Finding(key, "history", expected, booked))
    return tuple(wrong)


def _booked(lines: Sequence[str]) -> dict[str, Amounts]:
    """What the days of each account add up to."""
    total: dict[str, Amounts] = {}
    for at in range(0, len(lines), 4):
        key, *sums = lines[at : at + 4]
        total[key] = total.get(key, NOTHING).plus(Amounts(*map(int, sums)))
    return total


def history_view(lines: Sequence[str], now_ms: int, keys: tuple[str, ...], tz: str) -> HistoryView:
    """The days of accounts in one time zone."""
    found: dict[str, list[DayView]] = {key: [] for key in keys}
    prefix, at = "" if tz == "UTC" else f"{escape(tz)}|", 1
    while at < len(lines):
        key, day, count = lines[at], int(lines[at + 1]), int(lines[at + 2])
        words = lines[at + 3 : at + 3 + 2 * count]
        at += 3 + 2 * count
        ours = {
            tuple(name.removeprefix(prefix).split("|")): int(value)
            for name, value in zip(words[::2], words[1::2], strict=True)
            if name.startswith(prefix)
        }
        if any(len(name) in (1, 3) for name in ours):
            found[key].append(_day(day, ours))
    return HistoryView(now_ms, int(lines[0]), {key: tuple(days) for key, days in found.items()})


def _day(day: int, fields: Mapping[tuple[str, ...], int]) -> DayView:
    named: dict[str, dict[str, Amounts]] = {"model": {}, "tool": {}, "correction": {}}
    spent, tally = NOTHING, {}
    for (first, *rest), value in fields.items():
        if len(rest) == 2 and value:
            kind, name = named[first], unescape(rest[0])
            more = NOTHING._replace(**{rest[1]: value})
            kind[name] = kind.get(name, NOTHING).plus(more)
            spent = spent.plus(more)
        elif not rest and value and not first.startswith("#"):
            tally[unescape(first)] = value
    return DayView(day, spent, named["model"], named["tool"], tally)
