"""What a reserve is granted while other calls are in flight, and when it is asked to come again."""

from __future__ import annotations

from ...errors import HoldClosed
from ...store.entry import Ask, Entry, Path
from ...store.results import Contended, Granted, Refused, StalePeriod
from ...values.account import child_account, session_account
from ...values.amounts import Amounts
from ...values.limits import Limit
from ...values.policy import Breaker, Terms
from .vocabulary import GPT, LEASE_MS, Vocabulary, below, dated, limit, root, usd

_EIGHTH = Terms(lease_ms=LEASE_MS, share_ppm=125_000)
_FAST = _EIGHTH._replace(breaker=Breaker(None, 60_000, limit(100, "60s"), None))
_LOOP = _EIGHTH._replace(breaker=Breaker(2, 60_000, None, 30_000, loop_trips=True))


class Contention(Vocabulary):
    """Shares, floors, and calls that only others in flight keep out."""

    def test_a_call_holds_a_share_of_what_is_left_and_half_of_it_alone(self) -> None:
        """Half of all while nothing is held, then an eighth of each rest; the minimum is no bound."""
        path = root(limit(800))
        assert self.granted("a", path, usd(900), usd(10)) == usd(400)
        assert self.granted("b", path, usd(900), usd(10)) == usd(50)
        assert self.granted("c", path, usd(900), usd(10)) == usd(43)
        assert self.granted("d", path, usd(20), usd(10)) == usd(20)
        self.clean()

    def test_a_call_that_others_wait_beside_has_an_eighth_of_what_is_left(self) -> None:
        """Also while nothing is held, so that they fit beside it; not below the floor."""
        path, shared = root(limit(800)), _EIGHTH._replace(others_wait=True)
        assert self.granted("a", path, usd(900), usd(10), terms=shared) == usd(100)
        self.store.release("a", path, {})
        assert self.granted("b", path, usd(900), usd(10), usd(300), terms=shared) == usd(300)

    def test_a_share_of_one_is_all_that_is_left(self) -> None:
        """Without a bound one call may hold everything."""
        path = root(limit(800))
        assert self.granted("a", path, usd(900), usd(10), terms=_EIGHTH._replace(share_ppm=1_000_000)) == usd(
            800
        )

    def test_a_grant_is_not_below_the_floor_while_that_fits(self) -> None:
        """The floor beats the share, in money and in tokens, down to the last unit that fits."""
        path = root(limit(800), Limit("80 tokens/total"))
        self.held("other", path, Amounts(400, 40, 1))
        assert self.granted("a", path, Amounts(900, 90, 1), Amounts(1, 1, 1), Amounts(300, 30, 1)) == Amounts(
            300, 30, 1
        )
        last = self.granted("b", path, Amounts(900, 90, 1), Amounts(1, 1, 1), Amounts(100, 10, 1))
        assert last == Amounts(100, 10, 1)

    def test_a_call_that_cannot_be_lowered_is_held_whole(self) -> None:
        """Where the floor is all that it asks for, the share does not count."""
        path = root(limit(800))
        self.held("other", path, usd(100))
        assert self.granted("a", path, usd(700), usd(700)) == usd(700)

    def test_the_same_id_with_another_floor_is_a_conflict(self) -> None:
        """With the same one it is the same hold."""
        path = root(limit(800))
        for _ in range(2):
            assert self.granted("a", path, usd(300), usd(10), usd(250)) == usd(300)
        self.raises(HoldClosed, self.tries, "a", path, usd(300), usd(10), usd(251))

    def test_calls_in_flight_contend_and_money_that_is_spent_refuses(self) -> None:
        """What is only held may come back; what is spent does not, whatever is held beside it."""
        path = root(limit(100))
        self.held("a", path, usd(95))
        held = self.contended("b", path, usd(50), usd(20))
        (way,) = held.limits
        assert (way.account, str(way.limit), way.spent, way.reserved, way.kept) == (
            "default", str(limit(100)), 0, 95, 0,
        )  # fmt: skip
        self.settle(Entry("a", path, GPT, usd(81)))
        assert isinstance(self.tries("b", path, usd(50), usd(20), ask="again"), Refused)
        self.held("c", path, usd(19))
        assert isinstance(self.tries("d", path, usd(50), usd(20)), Refused)
        assert self.numbers(path[0]) == (81, 19)
        self.clean()

    def test_a_floor_that_no_longer_fits_at_all_is_not_waited_for(self) -> None:
        """Where what is spent leaves less than the floor, and nobody holds any of it, the rest is granted."""
        path = root(limit(100))
        self.held("a", path, usd(80))
        self.settle(Entry("a", path, GPT, usd(80)))
        assert self.granted("b", path, usd(90), usd(5), usd(50)) == usd(20)
        assert isinstance(self.tries("c", path, usd(90), usd(5), usd(50)), Contended)
        self.store.release("b", path, {})
        assert self.granted("c", path, usd(90), usd(5), usd(50), ask="again") == usd(20)

    def test_the_last_ask_takes_what_is_there_and_is_never_contended(self) -> None:
        """Down to the minimum; below it the refusal says that others hold the rest, and no alert is due."""
        path = root(limit(100))
        self.held("a", path, usd(70))
        self.contended("b", path, usd(90), usd(20), usd(40))
        assert self.granted("b", path, usd(90), usd(20), usd(40), ask="last") == usd(30)
        refused = self.tries("c", path, usd(90), usd(20), usd(40), ask="last")
        assert isinstance(refused, Refused)
        assert (refused.first, refused.retry_after_s, refused.reserved) == (False, None, 100)
        self.settle(Entry("a", path, GPT, usd(70)))
        self.settle(Entry("b", path, GPT, usd(30)))
        assert self.refused("d", path, usd(1)).first

    def test_contended_asks_count_once_and_refusals_at_the_end(self) -> None:
        """The first ask is counted, the next ones leave no trace, and the last one is a refusal."""
        path = below(root(limit(100)), session_account, "s")
        self.held("a", path, usd(100))
        before = self.store.read("default", (path[0].key, path[1].key))
        assert isinstance(self.tries("b", path, usd(10), usd(10), ask="again"), Contended)
        assert self.store.read("default", (path[0].key, path[1].key)) == before
        self.contended("b", path, usd(10), usd(10))
        for _ in range(3):
            assert isinstance(self.tries("b", path, usd(10), usd(10), ask="again"), Contended)
        assert self.tally(path) == {"contended": 1}
        assert isinstance(self.tries("b", path, usd(10), usd(10), ask="last"), Refused)
        assert self.tally(path) == {"contended": 1, "refusals": 1}

    def test_any_refusal_wins_over_any_contention(self) -> None:
        """A child without money refuses although its parent is only held, and the other way round."""
        top = root(limit(100))
        alice = below(top, child_account, "alice", limit(10))
        self.held("a", top, usd(95))
        assert isinstance(self.tries("b", alice, usd(20), usd(20)), Refused)
        self.contended("c", alice, usd(8), usd(8))
        self.store.release("a", top, {})
        self.held("d", alice, usd(9))
        (way,) = self.contended("e", alice, usd(8), usd(8)).limits
        assert way.account == "default/alice"
        self.book(Entry("f", top, GPT, usd(95)))
        refused = self.tries("e", alice, usd(8), usd(8), ask="again")
        assert isinstance(refused, Refused) and refused.account == "default"

    def test_all_limits_in_the_way_are_told(self) -> None:
        """The leaf's first, each with what is kept of it; a limit with room is none of them."""
        kept = _EIGHTH._replace(kept_nanos=10)
        path = below(root(limit(100), limit(500, "hour")), session_account, "s", limit(90, "session"))
        self.held("a", path, usd(80), terms=kept)
        held = self.tries("b", path, usd(60), usd(30), terms=kept)
        assert isinstance(held, Contended)
        ways = [(way.account, way.spent, way.reserved, way.kept) for way in held.limits]
        assert ways == [("default/@s", 0, 80, 10), ("default", 0, 80, 0)]

    def test_a_contended_answer_says_when_a_lease_ends(self) -> None:
        """Not later than the first one does; then the hold is booked, and the call is refused."""
        path = root(limit(100))
        self.held("a", path, usd(100))
        held = self.contended("b", path, usd(10), usd(10))
        assert held.expires_ms == held.now_ms + LEASE_MS
        self.clock.advance(LEASE_MS / 1000)
        assert isinstance(self.tries("b", path, usd(10), usd(10), ask="again"), Refused)
        assert self.numbers(path[0]) == (100, 0)

    def test_windows_share_and_contend_like_totals(self) -> None:
        """A rolling and a calendar limit grant a share, are contended, and refuse with a time."""
        for name, window in (("r", "60s"), ("c", "hour")):
            path = below(root(), child_account, name, limit(80, window))
            assert self.granted(f"{name}1", path, usd(90), usd(1)) == usd(40)
            assert self.granted(f"{name}2", path, usd(90), usd(1)) == usd(5)
            self.contended(f"{name}3", path, usd(90), usd(60))
            self.settle(Entry(f"{name}1", path, GPT, usd(40)))
            refused = self.tries(f"{name}3", path, usd(90), usd(60), ask="again")
            assert isinstance(refused, Refused) and refused.retry_after_s

    def test_limits_of_calls_contend_too(self) -> None:
        """Two may be in flight; the third comes again, and is refused once two were answered."""
        path = root(Limit("2 calls/total"))
        self.held("a", path, usd(1))
        self.held("b", path, usd(1))
        self.contended("c", path, usd(1), usd(1))
        self.store.release("a", path, {})
        self.held("c", path, usd(1))
        for id in "bc":
            self.settle(Entry(id, path, GPT, usd(1)))
        assert isinstance(self.tries("d", path, usd(1), usd(1)), Refused)

    def test_a_velocity_contends_where_it_is_only_held(self) -> None:
        """It grants a share, and opens the breaker for what is spent alone."""
        path = below(root(), session_account, "s")
        assert self.granted("a", path, usd(200), usd(1), terms=_FAST) == usd(50)
        (way,) = self.contended("b", path, usd(90), usd(60), terms=_FAST).limits
        assert (way.account, way.reserved) == ("default/@s", 50)
        refused = self.tries("b", path, usd(90), usd(60), terms=_FAST, ask="last")
        assert isinstance(refused, Refused)
        assert (refused.cause, refused.first, refused.retry_after_s) == ("velocity", False, None)
        self.settle(Entry("a", path, GPT, usd(50)), _FAST)
        refused = self.tries("c", path, usd(90), usd(60), terms=_FAST)
        assert isinstance(refused, Refused) and (refused.cause, refused.first) == ("velocity", True)

    def test_a_repeated_call_and_an_open_breaker_refuse_before_any_limit(self) -> None:
        """Neither is ever contended; a half-open breaker refuses others at once."""
        path = below(root(limit(100)), session_account, "s")
        for id in "ab":
            self.held(id, path, usd(50), terms=_LOOP, fingerprint="same")
        again = self.tries("c", path, usd(50), usd(50), terms=_LOOP, fingerprint="same")
        assert isinstance(again, Refused) and again.cause == "loop"
        assert isinstance(self.tries("d", path, usd(50), usd(50), terms=_LOOP), Refused)
        self.store.release("a", path, {})
        self.clock.advance(30)
        self.held("e", path, usd(50), terms=_LOOP)
        refused = self.tries("f", path, usd(50), usd(50), terms=_LOOP)
        assert isinstance(refused, Refused) and refused.tripped
        self.store.untrip(path, "looked into")
        self.store.trip(path, "stop")
        refused = self.tries("g", path, usd(50), usd(50), terms=_LOOP)
        assert isinstance(refused, Refused) and refused.cause == "tripped"

    def test_shadow_mode_is_never_contended_and_has_no_share(self) -> None:
        """It admits in full at the first ask, and says what it would have refused."""
        path = root(limit(100))
        shadow = _EIGHTH._replace(enforce=False)
        assert self.granted("a", path, usd(100), usd(1), terms=shadow) == usd(100)
        answer = self.tries("b", path, usd(70), usd(60), terms=shadow)
        assert isinstance(answer, Granted) and answer.amounts == usd(70) and answer.ignored is not None

    def test_a_finalization_shares_what_is_kept(self) -> None:
        """Inside it nothing is kept, so that others in flight are in the way sooner."""
        kept = _EIGHTH._replace(kept_nanos=40)
        path = below(root(), session_account, "s", limit(100, "session"))
        assert self.granted("a", path, usd(90), usd(1), terms=kept) == usd(30)
        assert self.granted("b", path, usd(90), usd(1), terms=kept._replace(finalizing=True)) == usd(8)
        assert isinstance(self.tries("c", path, usd(90), usd(40), terms=kept), Contended)
        assert self.granted("d", path, usd(90), usd(40), terms=kept._replace(finalizing=True)) == usd(40)

    def test_a_probe_answers_as_the_last_ask_would(self) -> None:
        """Never contended: it is told what would be granted at the end, or what would refuse."""
        path = root(limit(100))
        self.held("a", path, usd(70))
        entry = Entry("b", path, GPT, usd(90))
        granted = self.store.probe(entry, usd(20), _EIGHTH, usd(40))
        assert isinstance(granted, Granted) and granted.amounts == usd(30)
        assert isinstance(self.store.probe(entry, usd(31), _EIGHTH, usd(40)), Refused)
        assert self.tally(path) == {}

    def test_a_repeated_reserve_with_another_minimum_is_another_call(self) -> None:
        """The same numbers answer the first grant again, however it is asked."""
        path = root(limit(100))
        self.granted("a", path, usd(90), usd(10), usd(30))
        again = self.tries("a", path, usd(90), usd(10), usd(30), ask="again")
        assert isinstance(again, Granted) and again.repeated and again.amounts == usd(50)
        self.raises(HoldClosed, self.tries, "a", path, usd(90), usd(11), usd(30))

    # -- words ------------------------------------------------------------------------------

    def tries(
        self,
        id: str,
        path: Path,
        want: Amounts,
        minimum: Amounts,
        floor: Amounts | None = None,
        *,
        terms: Terms = _EIGHTH,
        ask: Ask = "first",
        fingerprint: str | None = None,
    ) -> Granted | Contended | Refused:
        """Ask once, with the calendar that the store asks for."""
        entry = Entry(id, path, GPT, want, fingerprint=fingerprint)
        answer = self.store.reserve(entry, minimum, terms, floor, ask)
        if isinstance(answer, StalePeriod):
            answer = self.store.reserve(dated(entry, answer), minimum, terms, floor, ask)
        assert not isinstance(answer, StalePeriod), answer
        return answer

    def granted(
        self,
        id: str,
        path: Path,
        want: Amounts,
        minimum: Amounts,
        floor: Amounts | None = None,
        *,
        terms: Terms = _EIGHTH,
        ask: Ask = "first",
    ) -> Amounts:
        """What is granted of what has to fit."""
        answer = self.tries(id, path, want, minimum, floor, terms=terms, ask=ask)
        assert isinstance(answer, Granted), answer
        return answer.amounts

    def contended(
        self,
        id: str,
        path: Path,
        want: Amounts,
        minimum: Amounts,
        floor: Amounts | None = None,
        terms: Terms = _EIGHTH,
    ) -> Contended:
        """What only others in flight keep out."""
        answer = self.tries(id, path, want, minimum, floor, terms=terms)
        assert isinstance(answer, Contended), answer
        return answer

    def tally(self, path: Path) -> dict[str, int]:
        """The counters of the last account."""
        return dict(self.store.read("default", (path[-1].key,)).accounts[path[-1].key].tally)
