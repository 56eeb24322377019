"""What becomes of a hold."""

from __future__ import annotations

import asyncio

from ...errors import HoldClosed
from ...store.entry import PLAIN, Entry
from ...store.results import Refused
from ...values.account import session_account
from ...values.amounts import NOTHING, Amounts
from .vocabulary import GPT, LEASE_MS, Vocabulary, below, limit, root, usd


class Outcomes(Vocabulary):
    """Settled, in doubt or released: booked once, and whole."""

    def test_a_settle_books_the_cost_and_gives_back_the_rest(self) -> None:
        """Spent grows by the charge, reserved shrinks by the hold, on every account."""
        path = below(root(limit(100)), session_account, "s")
        self.held("a", path, usd(60))
        booked = self.settle(Entry("a", path, GPT, usd(25), {"input": 7}))
        assert (booked.held, booked.overrun_usd, booked.repeated) == (usd(60), 0, False)
        for account in path:
            assert self.numbers(account) == (25, 0)
            view = self.store.read("default", (account.key,)).accounts[account.key]
            assert view.tally == {"input": 7} and view.subjects == {GPT: (usd(25), NOTHING)}
        self.clean()

    def test_a_settle_above_the_hold_is_booked_as_an_overrun(self) -> None:
        """The bill exists: it is booked whole, reported, and blocks what comes next."""
        path = root(limit(100))
        self.held("a", path, usd(60))
        booked = self.settle(Entry("a", path, GPT, usd(130)))
        assert booked.overrun_usd == 70 and booked.over is not None and booked.over.remaining == -30
        tally = self.store.read("default").accounts["default"].tally
        assert tally["overruns"] == 1 and tally["overrun_usd"] == 70
        self.refused("b", path, usd(1))
        self.clean()

    def test_a_settle_is_final(self) -> None:
        """The same again does nothing; another amount is an error and does nothing either."""
        path = root(limit(100))
        self.held("a", path, usd(60))
        self.settle(Entry("a", path, GPT, usd(25)))
        assert self.settle(Entry("a", path, GPT, usd(25))).repeated
        self.raises(HoldClosed, self.settle, Entry("a", path, GPT, usd(26)))
        self.raises(HoldClosed, self.store.release, "a", path, {})
        assert self.doubt(Entry("a", path, GPT, usd(60))).repeated
        assert self.numbers(path[0]) == (25, 0)

    def test_a_settle_without_a_hold_is_booked(self) -> None:
        """An unknown id and a released one are charges too; both count as overruns."""
        path = root(limit(100))
        assert self.settle(Entry("lost", path, GPT, usd(30))).overrun_usd == 30
        self.held("a", path, usd(20))
        self.store.release("a", path, {})
        assert self.settle(Entry("a", path, GPT, usd(10))).overrun_usd == 10
        assert self.numbers(path[0]) == (40, 0)
        self.clean()

    def test_a_release_gives_everything_back(self) -> None:
        """Nothing is spent or reserved afterwards, and doing it twice is no harm."""
        path = root(limit(100))
        self.held("a", path, usd(100))
        self.refused("b", path, usd(1))
        self.store.release("a", path, {"saved": 5})
        self.store.release("a", path, {"saved": 5})
        assert self.numbers(path[0]) == (0, 0)
        assert self.store.read("default").accounts["default"].tally["saved"] == 5
        self.held("c", path, usd(100))
        self.raises(HoldClosed, self.doubt, Entry("a", path, GPT, usd(1)))

    def test_a_release_that_comes_first_refuses_its_reserve(self) -> None:
        """A reserve that was delayed on the way must not hold what nobody will give back."""
        path = root(limit(100))
        self.store.release("a", path, {})
        self.raises(HoldClosed, self.ask, "a", path, usd(1))
        assert self.numbers(path[0]) == (0, 0)

    def test_a_doubt_is_booked_and_corrected_by_the_exact_difference(self) -> None:
        """Unknown costs count at once; the truth replaces them, and its counters too."""
        path = root(limit(100))
        self.held("a", path, usd(60))
        self.doubt(Entry("a", path, GPT, usd(60), {"estimated": 1}))
        assert self.numbers(path[0]) == (60, 0)
        self.refused("b", path, usd(41))
        self.settle(Entry("a", path, GPT, usd(10), {"input": 3}))
        assert self.numbers(path[0]) == (10, 0)
        tally = self.store.read("default").accounts["default"].tally
        assert tally.get("estimated", 0) == 0 and tally["input"] == 3
        self.held("b", path, usd(90))
        self.clean()

    def test_a_charge_is_booked_past_every_limit(self) -> None:
        """`book` never refuses, says which limit is passed, and is applied once."""
        path = root(limit(100))
        assert self.book(Entry("a", path, GPT, usd(100))).over is None
        booked = self.book(Entry("b", path, GPT, usd(20)))
        assert booked.over is not None and booked.over.remaining == -20 and booked.overrun_usd == 0
        assert self.book(Entry("b", path, GPT, usd(20))).repeated
        self.book(Entry("c", path, GPT, Amounts(-30, 0, 0)))
        assert self.numbers(path[0]) == (90, 0)
        self.clean()

    def test_a_hold_whose_lease_ends_is_booked_at_its_worst(self) -> None:
        """To give it back could overspend: the call may have been made. A late settle corrects it."""
        path = root(limit(100))
        self.held("a", path, usd(60))
        self.clock.advance(59)
        assert self.numbers(path[0]) == (0, 60)
        self.clock.advance(2)
        assert self.numbers(path[0]) == (60, 0)
        self.refused("b", path, usd(41))
        self.raises(HoldClosed, self.store.extend, "a", path, LEASE_MS)
        self.settle(Entry("a", path, GPT, usd(25)))
        assert self.numbers(path[0]) == (25, 0)
        self.clean()

    def test_a_lease_can_be_extended(self) -> None:
        """The new lease counts from the moment it is asked for."""
        path = root()
        self.held("a", path, usd(60))
        self.clock.advance(50)
        self.store.extend("a", path, LEASE_MS)
        self.clock.advance(50)
        assert self.numbers(path[0]) == (0, 60)
        self.clock.advance(11)
        assert self.numbers(path[0]) == (60, 0)
        self.raises(HoldClosed, self.store.extend, "unknown", path, LEASE_MS)

    def test_a_clock_that_runs_backwards_stands_still(self) -> None:
        """No lease comes back to life."""
        path = root()
        self.held("a", path, usd(60))
        self.clock.advance(61)
        before = self.store.read("default").now_ms
        self.clock.set(1_000_000_000)
        assert self.store.read("default").now_ms == before
        assert self.numbers(path[0]) == (60, 0)

    def test_a_verb_is_awaited_by_its_name(self) -> None:
        """With or without the arguments that have defaults, it answers what the blocking one does."""
        path = root(limit(100))

        async def live() -> None:
            granted = await self.store.acall("reserve", Entry("a", path, GPT, usd(60)), usd(60))
            assert (granted.amounts, granted.state, granted.repeated) == (usd(60), "reserved", False)
            probed = await self.store.acall("probe", Entry("b", path, GPT, usd(60)), usd(60), PLAIN)
            assert isinstance(probed, Refused)
            booked = await self.store.acall("settle", Entry("a", path, GPT, usd(25)))
            assert (booked.held, booked.repeated) == (usd(60), False)
            await self.store.acall("release", "c", path, {})
            await self.store.acall("trip", path, "enough")
            snapshot = await self.store.acall("read", "default")
            assert snapshot.accounts == self.store.read("default").accounts
            assert await self.store.acall("audit", "default") == ()

        asyncio.run(live())
        assert self.numbers(path[0]) == (25, 0)
