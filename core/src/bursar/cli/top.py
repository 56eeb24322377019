"""`top`: who spends now, how fast, and how long what is left lasts at this rate."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from ..errors import StoreError
from ..redaction import redacted
from ..reports.balance import balance
from ..store.base import Store
from ..store.views import AccountView
from ..values.account import is_session, shown_key
from ..values.money import show_usd, to_usd
from ..values.money import to_nanos as nanos_of
from . import accounts, figures, place
from .options import AccountOption, JsonOption, StoreOption
from .read import span
from .screen import Cell, Screen, aligned, drawn, styled

SPAN_S = 60.0  # over which a rate is taken
HEADINGS = ("account", ">spent", ">a minute", ">lasts for", ">calls", "used")
MODELS = ("model or tool", ">spent", ">a minute")


@dataclass(frozen=True, slots=True)
class Sample:
    """What accounts had spent at one time, in nano-dollars, by key, and by key of a subject."""

    at_s: float
    accounts: dict[str, tuple[AccountView, ...]]
    subjects: dict[str, int]


class Rates:
    """Spend by the minute, from samples of the last minute; those before a reset do not count."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> None:
        """Take the newest, and forget what is too old."""
        self._samples.append(sample)
        while len(self._samples) > 2 and sample.at_s - self._samples[1].at_s >= SPAN_S:
            self._samples.popleft()

    def account(self, key: str) -> float:
        """Nano-dollars a minute."""
        first, last = self._samples[0], self._samples[-1]
        before = first.accounts.get(key)
        return self._rate(last.accounts[key][-1].spent.usd, before[-1].spent.usd if before else 0)

    def subject(self, name: str) -> float:
        """Nano-dollars a minute."""
        return self._rate(self._samples[-1].subjects[name], self._samples[0].subjects.get(name, 0))

    def _rate(self, now: int, before: int) -> float:
        lasted_s = self._samples[-1].at_s - self._samples[0].at_s
        return max(0, now - before) / lasted_s * 60 if lasted_s > 0 else 0.0


def top(
    store: StoreOption,
    account: AccountOption = None,
    interval: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Between two looks.")] = 2.0,
    times: Annotated[
        int | None,
        typer.Option("--times", min=1, metavar="COUNT", help="How many looks; no end at a terminal, else 1."),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, metavar="COUNT", help="How many accounts.")] = 15,
    as_json: JsonOption = False,
) -> None:
    """Watch who spends now.

    Spend, its rate over the last minute, and how long what is left lasts at that rate; by account, and
    by model and tool. Ctrl-C ends it.

    \b
    bursar top --store redis://localhost:6379
    bursar top --store sqlite:///budget.db --account default --times 1 --json
    """
    opened, screen = place.open_store(store), Screen()
    found = [accounts.find(opened, account).key] if account else [one.key for one in accounts.roots(opened)]
    looks = _looks(opened, found, interval, times or (1 if screen.plain or as_json else None))
    try:
        if as_json:
            for rates, sample in looks:
                screen.write(json.dumps(redacted(_document(rates, sample, most))))
        elif screen.plain:
            for rates, sample in looks:
                screen.write(aligned(HEADINGS, _accounts(screen, rates, sample, most)))
                screen.gap()
                screen.write(aligned(MODELS, _subjects(rates, sample, most)))
        else:
            with Live(console=screen.console, screen=times is None, auto_refresh=False) as live:
                for rates, sample in looks:
                    live.update(_drawn(screen, rates, sample, most), refresh=True)
    except KeyboardInterrupt:
        return


def _looks(
    store: Store, keys: list[str], interval_s: float, times: int | None
) -> Iterator[tuple[Rates, Sample]]:
    """A look after each interval; the first one only begins."""
    rates, looked = Rates(), 0
    rates.add(_sample(store, keys))
    while times is None or looked < times:
        time.sleep(interval_s)
        try:
            sample = _sample(store, keys)
        except StoreError:
            if looked == 0:
                raise
            continue  # it may come back
        rates.add(sample)
        looked += 1
        yield rates, sample


def _sample(store: Store, keys: list[str]) -> Sample:
    """A bounded look: budgets, and the newest sessions right below those that were asked for."""
    found: dict[str, AccountView] = {}
    for key in keys:
        found |= (
            store.read(key.partition("/")[0], accounts.keys_of_path(key)).accounts
            if is_session(key)
            else (store.read(key).accounts)
        )
        found |= store.sessions(key, "", 50).accounts
    mine = {
        key: tuple(found[above] for above in accounts.keys_of_path(key) if above in found)
        for key in found
        if any(key == asked or key.startswith(f"{asked}/") for asked in keys)
    }
    subjects = {
        name: amounts.usd
        for _, name, amounts in figures.by_subject(found[key] for key in keys if key in found)
    }
    return Sample(time.monotonic(), mine, subjects)


def _busiest(rates: Rates, sample: Sample, most: int) -> list[tuple[AccountView, ...]]:
    def order(views: tuple[AccountView, ...]) -> tuple[float, int, str]:
        return -rates.account(views[-1].key), -views[-1].spent.usd, views[-1].key

    return sorted(sample.accounts.values(), key=order)[:most]


def _left_s(rate: float, views: tuple[AccountView, ...]) -> float | None:
    """Seconds that what is left lasts at this rate; None without a limit, or where nothing is spent."""
    left = balance(views).remaining
    return None if left is None or not rate else max(0.0, float(left) * 10**9 / rate * 60)


def _accounts(screen: Screen, rates: Rates, sample: Sample, most: int) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for views in _busiest(rates, sample, most):
        rate = rates.account(views[-1].key)
        name, spent, _, _, calls, used = figures.row(screen, shown_key(views[-1].key), views)
        left_s = _left_s(rate, views)
        lasts = "" if left_s is None else span(left_s)
        soon = left_s is not None and left_s < 600
        rows.append((name, spent, _usd(rate), styled(lasts, "bold red" if soon else ""), calls, used))
    return rows


def _subjects(rates: Rates, sample: Sample, most: int) -> list[tuple[Cell, ...]]:
    names = sorted(sample.subjects, key=lambda name: (-rates.subject(name), -sample.subjects[name], name))
    return [(name, show_usd(sample.subjects[name]), _usd(rates.subject(name))) for name in names[:most]]


def _drawn(screen: Screen, rates: Rates, sample: Sample, most: int) -> RenderableType:
    total = sum(rates.account(key) for key in sample.accounts if key.count("/") == 0)
    title = Text.assemble(
        ("bursar top", "bold"), f"   {time.strftime('%H:%M:%S')}   {_usd(total) or '$0'} a minute"
    )
    tables = (
        drawn(HEADINGS, _accounts(screen, rates, sample, most)),
        drawn(MODELS, _subjects(rates, sample, most)),
    )
    return Group(title, "", tables[0], "", tables[1])


def _usd(rate: float) -> str:
    return show_usd(nanos_of(round(rate / 10**9, 4))) if rate else ""


def _document(rates: Rates, sample: Sample, most: int) -> dict[str, Any]:
    listed = []
    for views in _busiest(rates, sample, most):
        rate = rates.account(views[-1].key)
        listed.append({
            "account": shown_key(views[-1].key),
            "spent": float(to_usd(views[-1].spent.usd)),
            "usd_per_minute": rate / 10**9,
            "seconds_left": _left_s(rate, views),
        })  # fmt: skip
    models = [
        {"name": name, "spent": float(to_usd(spent)), "usd_per_minute": rates.subject(name) / 10**9}
        for name, spent in sample.subjects.items()
    ]
    return {"accounts": listed, "by_model_and_tool": models}
