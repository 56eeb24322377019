"""What was booked is counted by day, where a store keeps a history."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ...store.base import HasHistory
from ...store.entry import Entry, Path
from ...store.views import OTHER, DayView, HistoryView
from ...values.account import child_account, other_account, session_account
from ...values.amounts import Amounts
from ...values.call import Subject
from ...values.window import day_number
from .vocabulary import GPT, LEASE_MS, MINI, SEARCH, TERMS, Vocabulary, below, limit, root, usd

_DAY_S = 86_400
_START_S = 1_750_000_000  # 2025-06-15 15:06:40 UTC
_TODAY = _START_S // _DAY_S


def _where_kept(promise: Callable[[Any], None]) -> Callable[[Any], None]:
    """The promise of a store that keeps a history; others have nothing to keep."""

    @wraps(promise)
    def test(self: Any) -> None:
        if isinstance(self.store, HasHistory):
            promise(self)

    return test


class History(Vocabulary):
    """Days of budgets, by the clock of the store; none of sessions."""

    @_where_kept
    def test_charges_add_up_by_day_in_each_budget(self) -> None:
        """By model and tool, with the classes of tokens; a session has no days of its own."""
        top = root()
        alice = below(top, child_account, "alice")
        session = below(alice, session_account, "s")
        self.held("a", session, usd(50, 20))
        self.settle(Entry("a", session, GPT, usd(20, 9), {"input": 7, "output": 2}))
        self.book(Entry("b", alice, MINI, usd(5, 1), {"input": 1}))
        self.book(Entry("c", top, SEARCH, usd(3)))
        self.clock.advance(_DAY_S)
        self.book(Entry("d", session, GPT, usd(1)))
        self.book(Entry("e", top, Subject("correction"), Amounts(-4, 0, 0)))
        days = self.days(top, alice, session)
        models = {GPT.models[0]: usd(20, 9), MINI.models[0]: usd(5, 1)}
        first = DayView(_TODAY, Amounts(28, 10, 3), models, {"search": usd(3)}, {"input": 8, "output": 2})
        assert days[0] == (first, DayView(_TODAY + 1, Amounts(-3, 0, 1), {GPT.models[0]: usd(1)}, {}, {}))
        assert [day.spent.usd for day in days[1]] == [25, 1] and days[2] == ()

    @_where_kept
    def test_a_correction_counts_on_the_day_of_the_first_booking(self) -> None:
        """A call in doubt that is settled later, also after its lease; a settle of a release counts today."""
        top = root(limit(1000))
        month = TERMS._replace(lease_ms=40 * LEASE_MS)
        for id in ("doubted", "forgotten", "released", "free"):
            self.held(id, top, usd(50), MINI if id == "free" else GPT, TERMS if id == "forgotten" else month)
        self.store.release("released", top, {})
        self.doubt(Entry("free", top, MINI, usd(5)))
        self.settle(Entry("free", top, MINI, Amounts()))
        self.doubt(Entry("doubted", top, GPT, usd(50)))
        self.clock.advance(LEASE_MS / 1000)
        ((before,),) = self.days(top)
        assert before.spent == Amounts(100, 0, 2) and before.tally == {"in_doubt": 2, "estimated": 1}
        self.clock.advance(_DAY_S / 2)
        self.settle(Entry("doubted", top, GPT, usd(20), {"input": 4}))
        self.settle(Entry("forgotten", top, GPT, usd(7)))
        self.settle(Entry("released", top, GPT, usd(1)))
        first, second = self.days(top)[0]
        assert (first.day, first.spent, first.tally) == (_TODAY, Amounts(27, 0, 2), {"input": 4})
        assert first.models == {GPT.models[0]: Amounts(27, 0, 2)}
        assert (second.day, second.spent) == (_TODAY + 1, usd(1))
        assert second.tally == {"overruns": 1, "overrun_usd": 1, "alerts": 1}

    @_where_kept
    def test_a_reset_changes_no_day(self) -> None:
        """And a call that was reserved before it counts in the days all the same."""
        top = root(limit(1000))
        alice = below(top, child_account, "alice")
        self.book(Entry("a", alice, GPT, usd(10)))
        for id in ("late", "doubted"):
            self.held(id, alice, usd(50))
        self.doubt(Entry("doubted", alice, GPT, usd(50)))
        self.store.reset(alice, "a new week")
        self.settle(Entry("late", alice, GPT, usd(20)))
        self.settle(Entry("doubted", alice, GPT, usd(3)))
        self.book(Entry("b", alice, GPT, usd(1)))
        assert [day.spent for (day,) in self.days(top, alice)] == [Amounts(34, 0, 4)] * 2
        self.clean()

    @_where_kept
    def test_days_begin_at_midnight_in_the_zone_of_the_budget(self) -> None:
        """Beside the days of UTC; also where it is half an hour off, and where clocks are moved."""
        top = root()
        for zone, minutes in (("America/St_Johns", 60 * 24 + 150), ("Europe/Oslo", 60 * 22)):
            terms = TERMS._replace(tz=zone)
            midnight_s = _TODAY * _DAY_S + minutes * 60 - self.clock.now()
            self.clock.advance(midnight_s - 1)
            before = day_number(int(self.clock.now() * 1000), zone)
            self.book(Entry(f"{zone} before", top, GPT, usd(20)), terms)
            self.clock.advance(1)
            self.book(Entry(f"{zone} after", below(top, child_account, "new"), GPT, usd(30)), terms)
            days = {day.day: day.spent.usd for day in self.days(top, tz=zone)[0]}
            assert days == {before: 20, before + 1: 30}
            utc = {day.day: day.spent.usd for day in self.days(top)[0]}
            assert utc == {int(self.clock.now()) // _DAY_S: 50}
            self.clean()
            self.setup_method()

    @_where_kept
    def test_what_is_refused_or_told_is_counted(self) -> None:
        """Refusals, alerts and overruns of a day, in the budgets above; no money."""
        top = root(limit(100))
        alice = below(top, child_account, "alice")
        terms = TERMS._replace(soft_ppm=(500_000,))
        self.refused("a", alice, usd(101))
        self.refused("b", alice, usd(101))
        self.held("c", alice, usd(10))
        self.settle(Entry("c", alice, GPT, usd(60)), terms)
        for (day,) in self.days(top, alice):
            expected = {"refusals": 2, "alerts": 3, "overruns": 1, "overrun_usd": 50}
            assert (day.spent, day.tally) == (usd(60), expected)

    @_where_kept
    def test_the_first_fifty_names_of_a_day_are_told(self) -> None:
        """What comes later is one sum, of models and of tools each; the next day begins anew."""
        top = root()
        for number in range(53):
            self.book(Entry(f"m{number}", top, Subject("model", (f"m {number}|;",)), usd(1)))
            self.book(Entry(f"t{number}", top, Subject("tool", (), None, f"t/{number}"), usd(2)))
        self.book(Entry("known", top, Subject("model", ("m 7|;",)), usd(5)))
        ((day,),) = self.days(top)
        assert len(day.models) == len(day.tools) == 51 and day.spent.usd == 53 * 3 + 5
        assert day.models[OTHER] == Amounts(3, 0, 3) and day.tools[OTHER] == Amounts(6, 0, 3)
        assert day.models["m 7|;"].usd == 6 and day.tools["t/49"].usd == 2
        self.clock.advance(_DAY_S)
        self.book(Entry("next", top, Subject("model", ("m 52|;",)), usd(1)))
        assert set(self.days(top)[0][1].models) == {"m 52|;"}

    @_where_kept
    def test_old_days_leave_within_a_verb(self) -> None:
        """The day that is one too many goes with the next booking; the books add up before and after."""
        top = root()
        terms = TERMS._replace(history_days=3)
        for number in range(3):
            self.book(Entry(f"b{number}", top, GPT, usd(10 + number)), terms)
            self.clock.advance(_DAY_S)
        assert [day.spent.usd for day in self.days(top)[0]] == [10, 11, 12]
        self.book(Entry("b3", top, GPT, usd(13)), terms)
        assert [day.spent.usd for day in self.days(top)[0]] == [11, 12, 13]
        self.clean()
        self.clock.advance(9 * _DAY_S)
        for number in range(4, 8):
            self.book(Entry(f"b{number}", top, GPT, usd(1)), terms)
        assert [day.spent.usd for day in self.days(top)[0]] == [4]
        self.clean()

    @_where_kept
    def test_a_history_says_since_when_it_knows(self) -> None:
        """Since the tree was made; accounts that there are not have no days."""
        top = root()
        self.clock.advance(2 * _DAY_S)
        self.book(Entry("a", top, GPT, usd(1)))
        self.clock.advance(_DAY_S)
        store: Any = self.store
        view = store.history("default", ("default", "default/nobody", other_account("default")), 7)
        assert view.since == _TODAY + 2 and view.now_ms == int(self.clock.now() * 1000)
        counts = {key: len(days) for key, days in view.accounts.items()}
        assert counts == {"default": 1, "default/nobody": 0, "default/*": 0}
        assert store.history("nobody", ("nobody",), 7).since == _TODAY + 3

    # -- words ------------------------------------------------------------------------------

    def days(self, *paths: Path, tz: str = "UTC") -> Any:
        """The days of the last account of each path."""
        keys = tuple(path[-1].key for path in paths)
        view = self.store.history("default", keys, 30, tz)  # type: ignore[attr-defined]
        assert isinstance(view, HistoryView)
        return [view.accounts[key] for key in keys]
