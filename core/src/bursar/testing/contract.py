"""The promises of a store, as a test suite to subclass."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ..account import Account, child_account, root_account, session_account
from ..amounts import NOTHING, Amounts
from ..call import Subject
from ..errors import BursarError, HoldClosed, LimitConflict
from ..limits import Limit
from ..store.base import Entry, Granted, Path, Refused, Store
from .clock import ManualClock

E = TypeVar("E", bound=BursarError)

_LEASE_MS = 60_000
_GPT = Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "openai")
_MINI = Subject("model", ("gpt-4o-mini",), "openai")
_SEARCH = Subject("tool", (), None, "search")


def _usd(nanos: int, tokens: int = 0) -> Amounts:
    return Amounts(nanos, tokens, 1)


def _limit(nanos: int, window: str = "total", **selectors: str) -> Limit:
    return Limit(f"0.{nanos:09d}/{window}", **selectors)


def _root(*limits: Limit) -> Path:
    return (root_account("default", limits),)


def _below(path: Path, make: Callable[..., Account], name: str, *limits: Limit) -> Path:
    return (*path, make(path[-1], name, limits))


class StoreContract:
    """Subclass it, and return an empty store of yours from `open_store`.

    Every method is one promise; pytest finds them by itself::

        class TestMyStore(StoreContract):
            def open_store(self, clock):
                return MyStore(clock=clock)
    """

    def open_store(self, clock: ManualClock) -> Store:
        """An empty store that takes its time from `clock`."""
        raise NotImplementedError("return an empty store of yours")

    def setup_method(self) -> None:
        """A fresh store and clock for every test."""
        self.clock = ManualClock(1_750_000_000)
        self.store = self.open_store(self.clock)

    # -- words of the suite ---------------------------------------------------------------

    def ask(
        self, id: str, path: Path, want: Amounts, minimum: Amounts | None = None, subject: Subject = _GPT
    ) -> Granted | Refused:
        """Reserve."""
        return self.store.reserve(Entry(id, path, subject, want), minimum or want, _LEASE_MS)

    def held(self, id: str, path: Path, want: Amounts, subject: Subject = _GPT) -> Granted:
        """Reserve what has to fit."""
        answer = self.ask(id, path, want, subject=subject)
        assert isinstance(answer, Granted), answer
        return answer

    def refused(self, id: str, path: Path, want: Amounts, subject: Subject = _GPT) -> Refused:
        """Reserve what must not fit."""
        answer = self.ask(id, path, want, subject=subject)
        assert isinstance(answer, Refused), answer
        return answer

    def numbers(self, account: Account) -> tuple[int, int]:
        """Spent and reserved nano-dollars; nothing where the account is not known."""
        view = self.store.read("default", (account.key,)).accounts.get(account.key)
        return (view.spent.usd, view.reserved.usd) if view else (0, 0)

    def clean(self) -> None:
        """The books add up."""
        assert self.store.audit("default") == ()

    def raises(self, expected: type[E], act: Callable[..., Any], *arguments: Any) -> E:
        """The error that an act has to end in."""
        try:
            answer = act(*arguments)
        except expected as error:
            return error
        raise AssertionError(f"no {expected.__name__}, but {answer!r}")

    # -- reserve ----------------------------------------------------------------------------

    def test_a_reserve_fits_to_the_last_nano_and_not_beyond(self) -> None:
        """Exactly the limit is granted; one nano-dollar more is refused and changes nothing."""
        path = _root(_limit(100))
        self.held("a", path, _usd(60))
        answer = self.refused("b", path, _usd(41))
        assert (answer.account, answer.spent, answer.reserved, answer.asked, answer.remaining) == (
            "default", 0, 60, 41, 40,
        )  # fmt: skip
        assert self.numbers(path[0]) == (0, 60)
        self.held("c", path, _usd(40))
        assert self.numbers(path[0]) == (0, 100)
        self.clean()

    def test_all_accounts_admit_or_none_does(self) -> None:
        """A limit anywhere on the path refuses for the whole path."""
        root = _root(_limit(100))
        alice = _below(root, child_account, "alice", _limit(50))
        bob = _below(root, child_account, "bob")
        self.held("a", alice, _usd(50))
        assert self.refused("b", alice, _usd(1)).account == "default/alice"
        assert self.numbers(root[0]) == (0, 50)
        self.held("c", bob, _usd(50))
        assert self.refused("d", bob, _usd(1)).account == "default"
        assert self.numbers(bob[-1]) == (0, 50)
        self.clean()

    def test_every_dimension_counts(self) -> None:
        """Tokens and calls refuse like money does."""
        path = _root(Limit("100 tokens/total"), Limit("2 calls/total"))
        self.held("a", path, Amounts(0, 60, 1))
        assert str(self.refused("b", path, Amounts(0, 41, 1)).limit) == "100 tokens/total"
        self.held("c", path, Amounts(0, 40, 1))
        assert str(self.refused("d", path, Amounts(0, 0, 1)).limit) == "2 calls/total"

    def test_selectors_count_what_they_name(self) -> None:
        """A limit for a model, a tool or a provider looks at nothing else."""
        path = _root(
            _limit(50, model="gpt-4o"), Limit("1 calls/total", tool="search"), _limit(70, provider="openai")
        )
        self.held("a", path, _usd(50))
        assert "model=gpt-4o" in str(self.refused("b", path, _usd(1)).limit)
        self.held("c", path, _usd(20), _MINI)
        assert "provider=openai" in str(self.refused("d", path, _usd(1), _MINI).limit)
        self.held("e", path, _usd(500), _SEARCH)
        assert "tool=search" in str(self.refused("f", path, _usd(0), _SEARCH).limit)
        self.held("g", path, _usd(500), Subject("tool", (), None, "other"))

    def test_a_call_limit_counts_models_unless_it_names_a_tool(self) -> None:
        """Runs of tools do not use up calls to models, and the other way round."""
        path = _root(Limit("1 calls/total"), Limit("1 calls/total", tool="*"))
        self.held("a", path, _usd(1), _SEARCH)
        self.held("b", path, _usd(1))
        self.refused("c", path, _usd(1))
        self.refused("d", path, _usd(1), Subject("tool", (), None, "other"))

    def test_a_session_limit_of_a_budget_holds_for_each_session(self) -> None:
        """Two sessions spend it each; a nested session spends its parent's."""
        root = _root(_limit(100, "session"))
        first, second = (_below(root, session_account, name) for name in ("1", "2"))
        nested = _below(first, session_account, "nested", _limit(80, "session"))
        self.held("a", first, _usd(70))
        self.held("b", second, _usd(100))
        assert self.refused("c", nested, _usd(31)).account == "default/@1"
        self.held("d", nested, _usd(30))
        assert self.numbers(root[0]) == (0, 200)

    def test_a_grant_shrinks_to_what_is_left_but_not_below_the_minimum(self) -> None:
        """Clamping is part of the step: min(want, left), or a refusal below the minimum."""
        path = _root(_limit(100), Limit("40 tokens/total"))
        answer = self.ask("a", path, Amounts(90, 60, 1), Amounts(10, 20, 1))
        assert isinstance(answer, Granted) and answer.amounts == Amounts(90, 40, 1)
        self.store.settle(Entry("a", path, _GPT, Amounts(30, 10, 1)))
        answer = self.ask("b", path, Amounts(90, 30, 1), Amounts(71, 1, 1))
        assert isinstance(answer, Refused) and (answer.asked, answer.remaining) == (90, 70)
        answer = self.ask("c", path, Amounts(90, 30, 1), Amounts(70, 30, 1))
        assert isinstance(answer, Granted) and answer.amounts == Amounts(70, 30, 1)

    def test_a_repeated_reserve_is_applied_once(self) -> None:
        """The second answer is the first one; the same id for another call is an error."""
        path = _root(_limit(100))
        assert not self.held("a", path, _usd(60)).repeated
        again = self.held("a", path, _usd(60))
        assert again.repeated and again.amounts == _usd(60) and again.state == "reserved"
        self.raises(HoldClosed, self.ask, "a", path, _usd(61))
        assert self.numbers(path[0]) == (0, 60)
        self.clean()

    def test_a_debt_refuses_even_a_free_call(self) -> None:
        """After an overrun nothing is admitted, whatever it costs."""
        path = _root(_limit(100))
        self.held("a", path, _usd(100))
        self.held("b", path, _usd(0))
        self.store.settle(Entry("a", path, _GPT, _usd(101)))
        assert self.refused("c", path, _usd(0)).remaining == -1

    def test_a_zero_limit_refuses_every_paid_call(self) -> None:
        """A nano-dollar is refused where nothing may be spent, and a free call is not."""
        path = _root(_limit(0))
        self.refused("a", path, _usd(1))
        self.held("b", path, _usd(0))

    # -- settle, doubt, release ---------------------------------------------------------------

    def test_a_settle_books_the_cost_and_gives_back_the_rest(self) -> None:
        """Spent grows by the charge, reserved shrinks by the hold, on every account."""
        path = _below(_root(_limit(100)), session_account, "s")
        self.held("a", path, _usd(60))
        booked = self.store.settle(Entry("a", path, _GPT, _usd(25), {"input": 7}))
        assert (booked.held, booked.overrun_usd, booked.repeated) == (_usd(60), 0, False)
        for account in path:
            assert self.numbers(account) == (25, 0)
            view = self.store.read("default", (account.key,)).accounts[account.key]
            assert view.tally == {"input": 7} and view.subjects == {_GPT: (_usd(25), NOTHING)}
        self.clean()

    def test_a_settle_above_the_hold_is_booked_as_an_overrun(self) -> None:
        """The bill exists: it is booked whole, reported, and blocks what comes next."""
        path = _root(_limit(100))
        self.held("a", path, _usd(60))
        booked = self.store.settle(Entry("a", path, _GPT, _usd(130)))
        assert booked.overrun_usd == 70 and booked.over is not None and booked.over.remaining == -30
        tally = self.store.read("default").accounts["default"].tally
        assert tally["overruns"] == 1 and tally["overrun_usd"] == 70
        self.refused("b", path, _usd(1))
        self.clean()

    def test_a_settle_is_final(self) -> None:
        """The same again does nothing; another amount is an error and does nothing either."""
        path = _root(_limit(100))
        self.held("a", path, _usd(60))
        self.store.settle(Entry("a", path, _GPT, _usd(25)))
        assert self.store.settle(Entry("a", path, _GPT, _usd(25))).repeated
        self.raises(HoldClosed, self.store.settle, Entry("a", path, _GPT, _usd(26)))
        self.raises(HoldClosed, self.store.release, "a", path, {})
        assert self.store.doubt(Entry("a", path, _GPT, _usd(60))).repeated
        assert self.numbers(path[0]) == (25, 0)

    def test_a_settle_without_a_hold_is_booked(self) -> None:
        """An unknown id and a released one are charges too; both count as overruns."""
        path = _root(_limit(100))
        assert self.store.settle(Entry("lost", path, _GPT, _usd(30))).overrun_usd == 30
        self.held("a", path, _usd(20))
        self.store.release("a", path, {})
        assert self.store.settle(Entry("a", path, _GPT, _usd(10))).overrun_usd == 10
        assert self.numbers(path[0]) == (40, 0)
        self.clean()

    def test_a_release_gives_everything_back(self) -> None:
        """Nothing is spent or reserved afterwards, and doing it twice is no harm."""
        path = _root(_limit(100))
        self.held("a", path, _usd(100))
        self.refused("b", path, _usd(1))
        self.store.release("a", path, {"saved": 5})
        self.store.release("a", path, {"saved": 5})
        assert self.numbers(path[0]) == (0, 0)
        assert self.store.read("default").accounts["default"].tally["saved"] == 5
        self.held("c", path, _usd(100))
        self.raises(HoldClosed, self.store.doubt, Entry("a", path, _GPT, _usd(1)))

    def test_a_release_that_comes_first_refuses_its_reserve(self) -> None:
        """A reserve that was delayed on the way must not hold what nobody will give back."""
        path = _root(_limit(100))
        self.store.release("a", path, {})
        self.raises(HoldClosed, self.ask, "a", path, _usd(1))
        assert self.numbers(path[0]) == (0, 0)

    def test_a_doubt_is_booked_and_corrected_by_the_exact_difference(self) -> None:
        """Unknown costs count at once; the truth replaces them, and its counters too."""
        path = _root(_limit(100))
        self.held("a", path, _usd(60))
        self.store.doubt(Entry("a", path, _GPT, _usd(60), {"estimated": 1}))
        assert self.numbers(path[0]) == (60, 0)
        self.refused("b", path, _usd(41))
        self.store.settle(Entry("a", path, _GPT, _usd(10), {"input": 3}))
        assert self.numbers(path[0]) == (10, 0)
        tally = self.store.read("default").accounts["default"].tally
        assert tally.get("estimated", 0) == 0 and tally["input"] == 3
        self.held("b", path, _usd(90))
        self.clean()

    def test_a_charge_is_booked_past_every_limit(self) -> None:
        """`book` never refuses, says which limit is passed, and is applied once."""
        path = _root(_limit(100))
        assert self.store.book(Entry("a", path, _GPT, _usd(100))).over is None
        booked = self.store.book(Entry("b", path, _GPT, _usd(20)))
        assert booked.over is not None and booked.over.remaining == -20 and booked.overrun_usd == 0
        assert self.store.book(Entry("b", path, _GPT, _usd(20))).repeated
        self.store.book(Entry("c", path, _GPT, Amounts(-30, 0, 0)))
        assert self.numbers(path[0]) == (90, 0)
        self.clean()

    # -- leases -------------------------------------------------------------------------------

    def test_a_hold_whose_lease_ends_is_booked_at_its_worst(self) -> None:
        """To give it back could overspend: the call may have been made. A late settle corrects it."""
        path = _root(_limit(100))
        self.held("a", path, _usd(60))
        self.clock.advance(59)
        assert self.numbers(path[0]) == (0, 60)
        self.clock.advance(2)
        assert self.numbers(path[0]) == (60, 0)
        self.refused("b", path, _usd(41))
        self.raises(HoldClosed, self.store.extend, "a", path, _LEASE_MS)
        self.store.settle(Entry("a", path, _GPT, _usd(25)))
        assert self.numbers(path[0]) == (25, 0)
        self.clean()

    def test_a_lease_can_be_extended(self) -> None:
        """The new lease counts from the moment it is asked for."""
        path = _root()
        self.held("a", path, _usd(60))
        self.clock.advance(50)
        self.store.extend("a", path, _LEASE_MS)
        self.clock.advance(50)
        assert self.numbers(path[0]) == (0, 60)
        self.clock.advance(11)
        assert self.numbers(path[0]) == (60, 0)
        self.raises(HoldClosed, self.store.extend, "unknown", path, _LEASE_MS)

    def test_a_clock_that_runs_backwards_stands_still(self) -> None:
        """No lease comes back to life."""
        path = _root()
        self.held("a", path, _usd(60))
        self.clock.advance(61)
        before = self.store.read("default").now_ms
        self.clock.set(1_000_000_000)
        assert self.store.read("default").now_ms == before
        assert self.numbers(path[0]) == (60, 0)

    # -- accounts and their limits -------------------------------------------------------------

    def test_another_declaration_is_a_conflict(self) -> None:
        """The same limits again are fine, none adopts them, others are refused unchanged."""
        self.held("a", _root(_limit(100)), _usd(1))
        self.held("b", _root(_limit(100)), _usd(1))
        self.held("c", _root(), _usd(1))
        for others in ((_limit(200),), (_limit(100), Limit("5 calls/total")), (Limit("5 calls/total"),)):
            error = self.raises(LimitConflict, self.ask, "d", _root(*others), _usd(1))
            assert "name" in str(error)
        self.refused("e", _root(), _usd(98))

    def test_a_limit_can_be_replaced_added_and_dropped(self) -> None:
        """The next reserve sees it, and whoever still declares the old text is no conflict."""
        path = _root(_limit(100))
        self.held("a", path, _usd(60))
        self.store.set_limit(path, _limit(200))
        self.held("b", path, _usd(140))
        self.held("c", _root(_limit(200)), _usd(0))
        self.raises(LimitConflict, self.ask, "d", _root(_limit(300)), _usd(0))
        self.store.set_limit(path, _limit(300, model="gpt-4o"))
        self.store.drop_limit(path, _limit(200))
        assert "model" in str(self.refused("e", path, _usd(101)).limit)
        self.held("f", path, _usd(100))
        self.store.drop_limit(path, _limit(300, model="gpt-4o"))
        self.held("g", path, _usd(10**9))

    def test_a_stopped_account_stops_all_below(self) -> None:
        """Trip refuses with its reason, also for a free call; untrip lets go on."""
        root = _root()
        below = _below(root, session_account, "s")
        self.held("a", below, _usd(10))
        self.store.trip(root, "runaway")
        answer = self.refused("b", below, _usd(0))
        assert (answer.tripped, answer.account, answer.limit) == ("runaway", "default", None)
        self.store.settle(Entry("a", below, _GPT, _usd(10)))
        self.store.untrip(root, "mended")
        self.held("c", below, _usd(10))

    def test_a_reset_starts_anew_and_keeps_what_is_reserved(self) -> None:
        """Spent is zero; a call from before it is booked above the account only."""
        root = _root(_limit(100))
        below = _below(root, session_account, "s", _limit(50, "session"))
        self.store.book(Entry("old", below, _GPT, _usd(30)))
        self.held("a", below, _usd(20))
        self.refused("b", below, _usd(1))
        self.store.reset(below, "a new day")
        assert self.numbers(below[-1]) == (0, 20) and self.numbers(root[0]) == (30, 20)
        self.store.settle(Entry("a", below, _GPT, _usd(15)))
        assert self.numbers(below[-1]) == (0, 0) and self.numbers(root[0]) == (45, 0)
        self.held("c", below, _usd(50))
        self.clean()

    def test_trees_do_not_see_each_other(self) -> None:
        """`read` and `audit` answer for one root."""
        self.held("a", _root(), _usd(10))
        other = (root_account("other", ()),)
        self.held("b", other, _usd(20))
        assert list(self.store.read("default").accounts) == ["default"]
        assert self.store.read("other").accounts["other"].reserved == _usd(20)
        self.store.acknowledge("other", "checked")
        assert self.store.audit("other") == ()

    def test_old_records_fold_into_their_accounts(self) -> None:
        """Many finished calls leave the balances exact and the books clean."""
        path = _root()
        for number in range(12_000):
            self.held(f"h{number}", path, _usd(3))
            self.store.settle(Entry(f"h{number}", path, _GPT, _usd(2)))
        assert self.numbers(path[0]) == (24_000, 0)
        self.clean()

    def test_threads_never_pass_a_limit_together(self) -> None:
        """Of 64 threads that ask at once exactly those are admitted that fit."""
        path = _root(_limit(1000))

        def work(number: int) -> int:
            answer = self.ask(f"t{number}", path, _usd(7))
            if isinstance(answer, Refused):
                return 0
            self.store.settle(Entry(f"t{number}", path, _GPT, _usd(7)))
            return 7

        with ThreadPoolExecutor(64) as pool:
            spent = sum(pool.map(work, range(640)))
        assert spent == 994 and self.numbers(path[0]) == (994, 0)
        self.clean()
