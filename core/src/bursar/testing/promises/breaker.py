"""What stops a session although its money would suffice, and what is admitted all the same."""

from __future__ import annotations

from ...store.entry import Entry, Path
from ...store.results import Granted, Refused
from ...store.views import AccountView
from ...values.account import session_account
from ...values.amounts import Amounts
from ...values.limits import Limit
from ...values.policy import Breaker, Terms
from .vocabulary import GPT, LEASE_MS, Vocabulary, below, limit, root, usd

_LOOP = Terms(lease_ms=LEASE_MS, breaker=Breaker(3, 60_000, None, None, loop_trips=True))
_COOLS = Terms(lease_ms=LEASE_MS, breaker=Breaker(3, 60_000, None, 30_000, loop_trips=True))
_REFUSES = Terms(lease_ms=LEASE_MS, breaker=Breaker(3, 60_000, None, None))
_FAST = Terms(lease_ms=LEASE_MS, breaker=Breaker(None, 60_000, limit(100, "60s"), None))
_SHADOW = _LOOP._replace(enforce=False)


def _session(*limits: Limit) -> Path:
    return below(root(), session_account, "s", *limits)


class Breaking(Vocabulary):
    """Loops, speed, cooling down, the finalization reserve, and shadow mode."""

    def test_a_call_that_is_repeated_too_often_stops_its_session(self) -> None:
        """Three are allowed, the fourth is refused; then nothing of the session is admitted."""
        path, other = _session(), below(root(), session_account, "other")
        self.repeat("abc", path, _LOOP)
        refused = self.refused("d", path, usd(1), terms=_LOOP, fingerprint="same")
        assert (refused.cause, refused.times, refused.account) == ("loop", 4, "default/@s")
        assert refused.first and refused.tripped is None
        again = self.refused("e", path, usd(1), terms=_LOOP, fingerprint="different")
        assert (again.cause, again.first) == ("loop", False) and again.tripped
        assert self.view(path).circuit == "open"
        self.held("f", other, usd(1), terms=_LOOP, fingerprint="same")

    def test_a_repeated_call_is_refused_until_its_window_has_room(self) -> None:
        """Others go on; it is told once a window, and says when it is not refused any more."""
        path = _session()
        for id in "abc":
            self.held(id, path, usd(1), terms=_REFUSES, fingerprint="same")
            self.clock.advance(10)
        refused = self.refused("d", path, usd(1), terms=_REFUSES, fingerprint="same")
        assert (refused.cause, refused.times, refused.first) == ("loop", 4, True)
        assert (refused.retry_after_s, refused.tripped) == (30, None)
        assert self.view(path).circuit == "closed"
        self.held("other", path, usd(1), terms=_REFUSES, fingerprint="other")
        again = self.refused("e", path, usd(1), terms=_REFUSES, fingerprint="same")
        assert again.cause == "loop" and not again.first
        self.clock.advance(30)
        self.held("f", path, usd(1), terms=_REFUSES, fingerprint="same")
        assert self.refused("g", path, usd(1), terms=_REFUSES, fingerprint="same").retry_after_s == 10
        self.clock.advance(70)
        self.held("h", path, usd(1), terms=_REFUSES, fingerprint="same")

    def test_a_call_that_is_refused_in_a_row_stops_its_session(self) -> None:
        """As often as it may be made, within a window; one that is admitted in between begins anew."""
        path = _session()
        self.repeat("abc", path, _REFUSES)
        for id in "de":
            refused = self.refused(id, path, usd(1), terms=_REFUSES, fingerprint="same")
            assert refused.tripped is None and self.view(path).circuit == "closed"
        self.clock.advance(61)
        self.repeat("fgh", path, _REFUSES)
        for id in "ij":
            self.refused(id, path, usd(1), terms=_REFUSES, fingerprint="same")
            assert self.view(path).circuit == "closed"
        last = self.refused("k", path, usd(1), terms=_REFUSES, fingerprint="same")
        assert (last.cause, last.tripped) == ("loop", None) and self.view(path).circuit == "open"
        assert self.refused("l", path, usd(1), terms=_REFUSES, fingerprint="other").tripped

    def test_a_call_that_was_released_is_no_part_of_a_loop(self) -> None:
        """It has cost nothing: an error answer, or never sent. One that is in doubt counts."""
        path = _session()
        for number in range(9):
            self.held(f"r{number}", path, usd(1), terms=_REFUSES, fingerprint="same")
            self.clock.advance(1)
            self.store.release(f"r{number}", path, {})
        self.repeat("ab", path, _REFUSES)
        self.store.release("a", path, {})
        self.doubt(Entry("b", path, GPT, usd(1)), _REFUSES)
        self.repeat("cd", path, _REFUSES)
        assert self.refused("e", path, usd(1), terms=_REFUSES, fingerprint="same").times == 4

    def test_only_admitted_calls_with_a_known_input_count(self) -> None:
        """Refused and repeated reserves do not, nor what has no fingerprint, nor different calls."""
        path = _session(limit(10, "session"))
        self.repeat("ab", path, _LOOP)
        for id in ("a", "b", "a"):
            assert self.held(id, path, usd(1), terms=_LOOP, fingerprint="same").repeated
        for id in "cdef":
            assert self.refused(id, path, usd(9), terms=_LOOP, fingerprint="same").cause == "limit"
        for number in range(5):
            self.held(f"n{number}", path, usd(0), terms=_LOOP)
            self.held(f"o{number}", path, usd(0), terms=_LOOP, fingerprint=f"other {number}")
        self.held("g", path, usd(1), terms=_LOOP, fingerprint="same")
        assert self.refused("h", path, usd(1), terms=_LOOP, fingerprint="same").cause == "loop"

    def test_calls_outside_the_window_do_not_count(self) -> None:
        """Four in two minutes are no loop."""
        path = _session()
        for id in "abcdefgh":
            self.held(id, path, usd(0), terms=_LOOP, fingerprint="same")
            self.clock.advance(21)

    def test_a_nested_session_counts_in_the_outermost_one(self) -> None:
        """A loop that opens a session for each call is one, too."""
        path = _session()
        for name in "abc":
            self.held(name, below(path, session_account, name), usd(1), terms=_LOOP, fingerprint="same")
        inner = below(path, session_account, "d")
        assert self.refused("d", inner, usd(1), terms=_LOOP, fingerprint="same").account == "default/@s"

    def test_after_the_cooldown_one_call_at_a_time_tries(self) -> None:
        """Its answer closes the breaker; while it is out, and while it cools down, others are refused."""
        path = _session()
        self.trip_loop(path)
        assert self.refused("e", path, usd(1), terms=_COOLS).retry_after_s == 30
        self.clock.advance(30)
        self.held("probe", path, usd(1), terms=_COOLS, fingerprint="same")
        assert self.view(path).circuit == "half_open"
        self.refused("f", path, usd(1), terms=_COOLS)
        self.settle(Entry("probe", path, GPT, usd(1)), _COOLS)
        assert self.view(path).circuit == "closed"
        for id in "gh":
            self.held(id, path, usd(1), terms=_COOLS, fingerprint="same")
        assert self.refused("i", path, usd(1), terms=_COOLS, fingerprint="same").cause == "loop"

    def test_a_try_without_an_answer_gives_its_place_to_the_next(self) -> None:
        """Released or in doubt, it proves nothing."""
        path = _session()
        self.trip_loop(path)
        self.clock.advance(30)
        self.held("one", path, usd(1), terms=_COOLS)
        self.store.release("one", path, {})
        self.held("two", path, usd(1), terms=_COOLS)
        self.refused("e", path, usd(1), terms=_COOLS)
        self.doubt(Entry("two", path, GPT, usd(1)), _COOLS)
        assert self.view(path).circuit == "half_open"
        self.held("three", path, usd(1), terms=_COOLS)
        self.settle(Entry("three", path, GPT, usd(1)), _COOLS)
        self.held("four", path, usd(1), terms=_COOLS)

    def test_too_much_in_too_short_a_time_stops_the_session(self) -> None:
        """Spent and reserved count; a call that fits the rest of the span is lowered to it."""
        path = _session()
        self.held("a", path, usd(60), terms=_FAST)
        self.settle(Entry("a", path, GPT, usd(50)), _FAST)
        clamped = self.ask("b", path, usd(70), usd(20), terms=_FAST)
        assert isinstance(clamped, Granted) and clamped.amounts.usd == 50
        self.settle(Entry("b", path, GPT, usd(20)), _FAST)
        refused = self.refused("c", path, usd(31), terms=_FAST)
        assert (refused.cause, refused.spent, refused.first) == ("velocity", 70, True)
        self.clock.advance(120)
        assert self.refused("d", path, usd(1), terms=_FAST).tripped
        self.store.untrip(path, "looked into")
        self.held("e", path, usd(100), terms=_FAST)

    def test_a_charge_without_a_hold_may_be_too_fast(self) -> None:
        """It is booked, says so once, and stops the session."""
        path = _session()
        assert self.book(Entry("a", path, GPT, usd(100)), _FAST).over is None
        over = self.book(Entry("b", path, GPT, usd(1)), _FAST).over
        assert over is not None and (over.cause, over.first) == ("velocity", True)
        assert self.book(Entry("c", path, GPT, usd(1)), _FAST).over is None
        assert self.refused("d", path, usd(0), terms=_FAST).tripped

    def test_the_refusal_that_opens_a_breaker_says_how_long_it_cools_down(self) -> None:
        """By a loop, by a reserve that is too fast, and by a charge that was; None without a cooldown."""
        slow = Breaker(None, 60_000, limit(100, "60s"), 30_000)
        for name, cooldown_ms in (("a", 30_000), ("b", None)):
            wait_s = None if cooldown_ms is None else cooldown_ms / 1000
            loop, fast = (
                Terms(lease_ms=LEASE_MS, breaker=breaker._replace(cooldown_ms=cooldown_ms))
                for breaker in (Breaker(1, 60_000, None, None, loop_trips=True), slow)
            )
            inner = [below(root(), session_account, f"{name}{number}") for number in range(3)]
            self.held(f"{name} once", inner[0], usd(1), terms=loop, fingerprint="same")
            again = self.refused(f"{name} again", inner[0], usd(1), terms=loop, fingerprint="same")
            assert (again.cause, again.retry_after_s) == ("loop", wait_s)
            much = self.refused(f"{name} much", inner[1], usd(101), terms=fast)
            assert (much.cause, much.retry_after_s) == ("velocity", wait_s)
            over = self.book(Entry(f"{name} over", inner[2], GPT, usd(101)), fast).over
            assert over is not None and (over.cause, over.retry_after_s) == ("velocity", wait_s)

    def test_a_slow_session_is_never_stopped(self) -> None:
        """The span rolls."""
        path = _session()
        for number in range(20):
            self.held(f"h{number}", path, usd(50), terms=_FAST)
            self.settle(Entry(f"h{number}", path, GPT, usd(50)), _FAST)
            self.clock.advance(31)

    def test_untrip_and_reset_close_the_breaker(self) -> None:
        """And forget the calls that opened it; the kill switch outlives a reset."""
        path = _session()
        self.trip_loop(path)
        self.store.untrip(path, "mended")
        self.repeat("efg", path, _COOLS)
        self.refused("h", path, usd(1), terms=_COOLS, fingerprint="same")
        self.store.reset(path, "anew")
        self.held("i", path, usd(1), terms=_COOLS, fingerprint="same")
        self.store.trip(path, "stop")
        assert self.view(path).circuit == "forced_open"
        self.store.reset(path, "anew")
        assert self.refused("j", path, usd(1), terms=_COOLS).cause == "tripped"

    def test_the_finalization_reserve_is_kept_for_the_end(self) -> None:
        """Of each session's own limit in USD; nothing of it is asked of the budget above."""
        kept = Terms(lease_ms=LEASE_MS, kept_ppm=100_000)
        path = below(root(limit(150)), session_account, "s", limit(100, "session"))
        self.held("a", path, usd(90), terms=kept)
        refused = self.refused("b", path, usd(1), terms=kept)
        assert (refused.remaining, refused.kept) == (10, 10)
        self.held("c", path, usd(10), terms=kept._replace(finalizing=True))
        fixed = Terms(lease_ms=LEASE_MS, kept_nanos=30)
        other = below(root(limit(150)), session_account, "t", limit(60, "session"))
        self.held("d", other, usd(30), terms=fixed)
        assert self.refused("e", other, usd(1), terms=fixed).account == "default/@t"
        self.held("f", other, usd(20), terms=fixed._replace(finalizing=True))
        assert self.refused("g", other, usd(1), terms=fixed._replace(finalizing=True)).account == "default"

    def test_shadow_mode_admits_in_full_and_says_what_it_ignores(self) -> None:
        """Limits, loops and speed are counted, not enforced; nothing is lowered."""
        path = _session(limit(100, "session"))
        answer = self.ask("a", path, usd(150), usd(10), terms=_SHADOW)
        assert isinstance(answer, Granted) and answer.amounts.usd == 150 and answer.ignored is None
        answer = self.ask("b", path, usd(1), terms=_SHADOW)
        assert isinstance(answer, Granted) and answer.ignored is not None and not answer.ignored.first
        self.settle(Entry("a", path, GPT, usd(150)), _SHADOW)
        answer = self.ask("c", path, usd(1), terms=_SHADOW)
        assert isinstance(answer, Granted) and answer.ignored is not None and answer.ignored.first
        tally = self.view(path).tally
        assert tally["would_refuse"] == 2 and "refusals" not in tally
        self.store.trip(path, "a person said so")
        assert self.refused("d", path, usd(1), terms=_SHADOW).cause == "tripped"

    def test_a_probe_answers_like_a_reserve_and_changes_nothing(self) -> None:
        """Refused or granted, lowered or stopped: the same words, and no trace."""
        path = _session(limit(100, "session"))
        self.held("a", path, usd(60), terms=_LOOP)
        entry = Entry("x", path, GPT, usd(50), fingerprint="same")
        for _ in range(5):
            granted = self.store.probe(entry, usd(10), _LOOP)
            assert isinstance(granted, Granted) and granted.amounts == Amounts(40, 0, 1)
        refused = self.store.probe(entry, usd(50), _LOOP)
        assert isinstance(refused, Refused) and refused.remaining == 40
        assert self.view(path).tally == {} and self.numbers(path[-1]) == (0, 60)
        self.repeat("bcd", path, _LOOP)
        assert isinstance(self.store.probe(entry, usd(1), _LOOP), Refused)
        self.refused("e", path, usd(1), terms=_LOOP, fingerprint="same")
        assert isinstance(self.store.probe(entry._replace(fingerprint=None), usd(0), _LOOP), Refused)

    # -- words ------------------------------------------------------------------------------

    def repeat(self, ids: str, path: Path, terms: Terms) -> None:
        """The same call, once for each id."""
        for id in ids:
            self.held(id, path, usd(1), terms=terms, fingerprint="same")

    def trip_loop(self, path: Path) -> None:
        """Open the breaker of a session that can cool down."""
        self.repeat("abc", path, _COOLS)
        self.refused("d", path, usd(1), terms=_COOLS, fingerprint="same")

    def view(self, path: Path) -> AccountView:
        """The last account of a path."""
        return self.store.read("default", (path[-1].key,)).accounts[path[-1].key]
