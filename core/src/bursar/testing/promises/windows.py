"""Limits over calendar periods and rolling spans."""

from __future__ import annotations

from datetime import datetime, timezone

from ...store.entry import Entry, Path
from ...store.results import StalePeriod
from ...store.views import LimitView
from ...values.account import root_account, session_account
from ...values.limits import Limit
from ...values.policy import Terms
from .vocabulary import GPT, TERMS, Vocabulary, below, limit, root, usd

_SOFT = Terms(lease_ms=TERMS.lease_ms, soft_ppm=(500_000, 900_000))


class Windows(Vocabulary):
    """What a window has forgotten may be spent again, and nothing before that."""

    def test_a_rolling_window_forgets_by_its_age(self) -> None:
        """A charge counts for the whole span, and leaves at most 1/288 of it late."""
        path = root(limit(100, "24h"))
        self.spend("a", path, 60)
        self.clock.advance(12 * 3600)
        self.spend("b", path, 40)
        self.refused("c", path, usd(1))
        self.clock.advance(12 * 3600 - 1)
        self.refused("d", path, usd(1))
        self.clock.advance(301)
        self.held("e", path, usd(60))
        assert self.refused("f", path, usd(1)).reserved == 60
        self.clean()

    def test_a_rolling_window_says_when_there_is_room(self) -> None:
        """Waiting for `retry_after_s` suffices; None where the call is larger than the limit."""
        path = root(limit(100, "1h"))
        self.spend("a", path, 60)
        self.clock.advance(600)
        self.spend("b", path, 40)
        wait_s = self.refused("c", path, usd(50)).retry_after_s
        assert wait_s is not None and 3000 - 13 <= wait_s <= 3000 + 13
        assert self.refused("d", path, usd(101)).retry_after_s is None
        self.clock.advance(wait_s)
        self.held("e", path, usd(50))

    def test_a_refusal_by_two_windows_waits_for_the_longer_one(self) -> None:
        """Whichever it names; and None where a limit that forgets nothing is in the way as well."""
        for name, windows in (("a", ("1h", "24h")), ("b", ("24h", "1h"))):
            path = (root_account(name, tuple(limit(100, window) for window in windows)),)
            self.spend(f"{name} all", path, 100)
            wait_s = self.refused(f"{name} more", path, usd(1)).retry_after_s
            assert wait_s is not None and 86_400 <= wait_s <= 86_400 + 301
            self.store.set_limit(path, limit(100))
            assert self.refused(f"{name} never", path, usd(1)).retry_after_s is None

    def test_what_is_held_counts_in_a_window_however_long(self) -> None:
        """A hold from before the span still counts: its call may be made at any time."""
        path = root(limit(100, "10s"))
        self.held("a", path, usd(100))
        self.clock.advance(50)
        assert self.refused("b", path, usd(1)).reserved == 100
        self.settle(Entry("a", path, GPT, usd(100)))
        self.clock.advance(9)
        self.refused("c", path, usd(1))
        self.clock.advance(2)
        self.held("d", path, usd(100))

    def test_a_late_settle_moves_what_was_booked_in_doubt(self) -> None:
        """The lease end books the worst case in its own moment; the truth replaces it."""
        path = root(limit(100, "1h"))
        self.held("a", path, usd(80))
        self.clock.advance(61)
        assert self.refused("b", path, usd(21)).spent == 80
        self.clock.advance(1800)
        self.settle(Entry("a", path, GPT, usd(30)))
        assert self.refused("c", path, usd(71)).spent == 30
        self.clock.advance(1801)
        self.refused("d", path, usd(71))
        self.clock.advance(1813)
        self.held("e", path, usd(100))
        self.clean()

    def test_a_calendar_day_begins_at_midnight_of_its_zone(self) -> None:
        """The day of the budget's own time zone, not of the store."""
        self.clock.set(_moment(2026, 1, 15, 22, 59))  # 23:59 in Oslo
        path = root(limit(100, "day").in_zone("Europe/Oslo"))
        self.spend("a", path, 100)
        refused = self.refused("b", path, usd(1))
        assert refused.retry_after_s == 60
        self.clock.advance(60)
        self.held("c", path, usd(100))

    def test_a_call_counts_in_the_period_in_which_it_was_reserved(self) -> None:
        """A settle after midnight is of the day before."""
        self.clock.set(_moment(2026, 2, 28, 23, 59, 30))
        path = root(limit(100, "month"), limit(90, "day"))
        self.held("a", path, usd(90))
        self.clock.advance(40)
        self.settle(Entry("a", path, GPT, usd(90)))
        self.held("b", path, usd(90))
        self.refused("c", path, usd(1))

    def test_a_stale_calendar_changes_nothing(self) -> None:
        """Bounds that do not hold now are sent back, with the time and the zones that are needed."""
        path = root(limit(100, "day"), limit(100, "hour").in_zone("Asia/Kolkata"))
        answer = self.store.reserve(Entry("a", path, GPT, usd(60)), usd(60), TERMS)
        assert isinstance(answer, StalePeriod) and set(answer.zones) == {"UTC", "Asia/Kolkata"}
        assert answer.now_ms == int(self.clock.now() * 1000)
        assert isinstance(self.store.book(Entry("b", path, GPT, usd(60)), TERMS), StalePeriod)
        assert self.numbers(path[0]) == (0, 0)
        self.held("a", path, usd(60))
        self.clock.advance(3600)
        answer = self.store.reserve(Entry("c", path, GPT, usd(40)), usd(40), TERMS)
        assert isinstance(answer, StalePeriod) and answer.zones == ("Asia/Kolkata",)
        self.held("c", path, usd(40))

    def test_a_settle_of_a_known_hold_needs_no_calendar(self) -> None:
        """It touches what its reserve touched."""
        path = root(limit(100, "hour"))
        self.held("a", path, usd(60))
        self.clock.advance(7200)
        assert not isinstance(self.store.settle(Entry("a", path, GPT, usd(10)), TERMS), StalePeriod)

    def test_windows_of_all_units_hold_at_once(self) -> None:
        """Money, tokens and calls, each over its own window; all admit or none does."""
        path = root(limit(100, "1h"), Limit("50 tokens/10min"), Limit("2 calls/day"))
        self.spend("a", path, 10, tokens=50)
        assert str(self.refused("b", path, usd(1, tokens=1)).limit) == "50 tokens/10min"
        self.clock.advance(605)
        self.spend("b", path, 10, tokens=10)
        assert str(self.refused("c", path, usd(1)).limit) == "2 calls/day"

    def test_a_window_that_is_added_begins_at_zero(self) -> None:
        """And one that is raised goes on; one over the total counts what was spent before."""
        path = root()
        self.spend("a", path, 80)
        self.store.set_limit(path, limit(100, "1h"))
        self.spend("b", path, 100)
        self.refused("c", path, usd(1))
        self.store.set_limit(path, limit(150, "1h"))
        self.held("d", path, usd(50))
        self.refused("e", path, usd(1))
        self.store.drop_limit(path, limit(150, "1h"))
        self.store.set_limit(path, limit(200))
        assert self.refused("f", path, usd(1)).limit == limit(200)

    def test_a_reset_empties_the_windows(self) -> None:
        """What is reserved stays; an older hold is not booked in them any more."""
        path = root(limit(100, "1h"), limit(100, "day"))
        self.spend("a", path, 70)
        self.held("b", path, usd(30))
        self.store.reset(path, "a new run")
        self.refused("c", path, usd(71))
        self.settle(Entry("b", path, GPT, usd(30)))
        self.held("d", path, usd(100))
        self.clean()

    def test_a_correction_and_a_charge_without_a_hold_count_in_windows(self) -> None:
        """Also what gives money back."""
        path = root(limit(100, "1h"), limit(120, "day"))
        assert self.book(Entry("a", path, GPT, usd(90))).over is None
        assert self.book(Entry("b", path, GPT, usd(20))).over is not None
        self.book(Entry("c", path, GPT, usd(-30)))
        self.refused("d", path, usd(21))
        self.held("e", path, usd(20))

    def test_views_tell_what_a_window_holds_now(self) -> None:
        """And when all of a rolling one has left; a period that is over is empty."""
        path = root(limit(100, "1h"), limit(100, "hour"))
        self.spend("a", path, 70)
        now_ms = int(self.clock.now() * 1000)
        rolling, hour = self.seen("1h"), self.seen("hour")
        assert (rolling.spent, hour.spent) == (70, 70) and hour.frees_ms is None
        assert rolling.frees_ms is not None and 0 <= rolling.frees_ms - now_ms - 3_600_000 <= 12_500
        self.clock.advance(3613)
        rolling, hour = self.seen("1h"), self.seen("hour")
        assert (rolling.spent, hour.spent, rolling.frees_ms) == (0, 0, None)

    def test_fractions_of_a_limit_are_told_once_a_period(self) -> None:
        """Each as it is reached; again in the next period, or for a limit that was changed."""
        path = below(root(limit(100, "day")), session_account, "s", limit(200, "session"))
        assert self.told("a", path, 49) == []
        assert self.told("b", path, 1) == [("default", 500_000)]
        assert self.told("c", path, 10) == []
        assert self.told("d", path, 40) == [("default", 900_000), ("default/@s", 500_000)]
        self.clock.advance(86_400)
        assert self.told("e", path, 90) == [
            ("default", 500_000),
            ("default", 900_000),
            ("default/@s", 900_000),
        ]
        self.store.set_limit(path[:1], limit(150, "day"))
        assert self.told("f", path, 1) == [("default", 500_000)]

    def test_fractions_of_a_rolling_limit_are_told_once_in_its_length(self) -> None:
        """However often the spending goes below it and comes back."""
        path = root(limit(100, "1h"))
        assert self.told("a", path, 95) == [("default", 500_000), ("default", 900_000)]
        self.clock.advance(3590)
        self.book(Entry("back", path, GPT, usd(-95)))
        assert self.told("b", path, 95) == []
        self.clock.advance(11)
        assert self.told("c", path, 95) == [("default", 500_000), ("default", 900_000)]

    def test_a_refusal_is_told_once_a_period(self) -> None:
        """The first one in the period of the limit, and the charge that passes it."""
        path = root(limit(100, "hour"))
        self.spend("a", path, 100)
        assert [self.refused(id, path, usd(1)).first for id in "bc"] == [True, False]
        self.clock.advance(3600)
        over = self.book(Entry("d", path, GPT, usd(101))).over
        assert over is not None and over.first
        assert not self.refused("e", path, usd(1)).first

    def spend(self, id: str, path: Path, nanos: int, tokens: int = 0) -> None:
        """Reserve and settle."""
        line = Entry(id, path, GPT, usd(nanos, tokens))
        self.held(id, line.path, line.amounts)
        self.settle(line)

    def seen(self, window: str) -> LimitView:
        """The limit over a window, as a reader sees it."""
        views = self.store.read("default").accounts["default"].limits
        return next(view for view in views if view.limit.window == window)

    def told(self, id: str, path: Path, nanos: int) -> list[tuple[str, int]]:
        """The fractions that a charge is told to have reached."""
        marks = self.book(Entry(id, path, GPT, usd(nanos)), _SOFT).marks
        return sorted((mark.account, mark.fraction_ppm) for mark in marks)


def _moment(year: int, month: int, day: int, hour: int, minute: int, second: int = 0) -> float:
    return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc).timestamp()
