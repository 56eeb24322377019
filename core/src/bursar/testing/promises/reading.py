"""What readers see, however many sessions there are, and what becomes of those that have ended."""

from __future__ import annotations

from ...store.base import HasHolds, HasRoots
from ...store.entry import Entry, Path
from ...store.views import OpenHold
from ...values.account import child_account, root_account, session_account
from .vocabulary import GPT, LEASE_MS, Vocabulary, below, limit, root, usd

_DAY_S = 86_400


class Reading(Vocabulary):
    """Budgets are read without their sessions, and sessions page by page."""

    def test_a_budget_is_read_without_its_sessions(self) -> None:
        """With the budgets above and below it, and how many sessions are right below each."""
        top = root(limit(100))
        alice, bob = (below(top, child_account, name) for name in ("alice", "bob"))
        team = below(alice, child_account, "team")
        for path in (top, alice, alice, team, bob):
            self.spend_in(below(path, session_account, f"s{self.calls}"), 1)
        self.spend_in(below(below(bob, session_account, "outer"), session_account, "inner"), 1)
        keys = {path[-1].key: path for path in (top, alice, team, bob)}
        accounts = self.store.read("default").accounts
        counts = dict(zip(keys, (1, 2, 1, 2), strict=True))
        assert {key: view.sessions for key, view in accounts.items()} == counts
        assert set(self.store.read("default/alice").accounts) == {
            "default",
            "default/alice",
            "default/alice/team",
        }
        assert set(self.store.read("default/alice/team").accounts) == set(list(keys)[:3])
        inner = self.store.read("default", ("default/bob/@outer",)).accounts["default/bob/@outer"]
        assert (inner.sessions, inner.spent.usd) == (1, 1)

    def test_names_that_begin_alike_are_not_below_each_other(self) -> None:
        """A budget whose name goes on, or has a slash in it, is another one."""
        top = root()
        for name in ("a", "ab", "a/b", "a.", "a@"):
            self.spend_in(below(top, child_account, name), 1)
        assert set(self.store.read("default/a").accounts) == {"default", "default/a"}
        assert len(self.store.read("default").accounts) == 6

    def test_sessions_are_read_page_by_page(self) -> None:
        """The newest first; each once, also when some are made meanwhile; and how many there are."""
        top = root(limit(100, "session"))
        for number in range(7):
            self.spend_in(below(top, session_account, f"s{number}"), number)
        page = self.store.sessions("default", "", 3)
        assert list(page.accounts) == [f"default/@s{number}" for number in (6, 5, 4)] and page.count == 7
        assert [view.limits[0].spent for view in page.accounts.values()] == [6, 5, 4]
        self.spend_in(below(top, session_account, "new"), 1)
        seen: list[str] = []
        after = page.after
        while True:
            page = self.store.sessions("default", after, 2)
            seen += page.accounts
            after = page.after
            if not after:
                break
        assert seen[-4:] == [f"default/@s{number}" for number in (3, 2, 1, 0)] and page.count == 8
        assert self.store.sessions("nobody").accounts == {} and self.store.sessions("nobody").count == 0

    def test_a_session_that_has_ended_is_dropped_a_day_later(self) -> None:
        """With those below it; what they spent stays above. Others stay, also one that is used again."""
        top = root(limit(100))
        names = ("ended", "used", "held", "stays")
        ended, used, held, stays = (below(top, session_account, name) for name in names)
        inner = below(ended, session_account, "inner")
        for path in (ended, inner, used, stays):
            self.spend_in(path, 5)
        self.held("open", held, usd(5))
        self.store.extend("open", held, 9 * _DAY_S * 1000)
        self.store.end("default", (*(path[-1].key for path in (ended, used, held)), "default", "nobody"))
        self.clock.advance(_DAY_S - 1)
        self.spend_in(used, 5)
        assert self.store.sessions("default").count == 4
        self.clock.advance(1)
        self.spend_in(top, 1)
        assert set(self.store.sessions("default").accounts) == {f"default/@{name}" for name in names[1:]}
        assert self.store.read("default", (inner[-1].key, "default")).accounts.keys() == {"default"}
        self.clean()

    def test_sessions_below_one_that_has_ended_go_with_it(self) -> None:
        """However many, some with each step; but none while one of them is stopped by a person."""
        top = root()
        outer = below(top, session_account, "outer")
        inner = [below(outer, session_account, f"i{number}") for number in range(25)]
        for path in inner:
            self.spend_in(path, 2)
        self.store.trip(inner[0], "look at this")
        self.store.end("default", (outer[-1].key,))
        self.clock.advance(_DAY_S)
        self.spend_in(top, 1)
        assert self.store.sessions("default").count == 1
        self.store.untrip(inner[0], "seen")  # which uses them
        self.store.end("default", (outer[-1].key,))
        self.clock.advance(_DAY_S)
        for _ in range(4):
            self.spend_in(top, 1)
        assert self.store.sessions("default").count == 0 and self.numbers(top[0]) == (55, 0)
        assert self.store.read("default", tuple(path[-1].key for path in inner)).accounts == {}
        self.clean()

    def test_a_session_with_the_key_of_a_dropped_one_begins_anew(self) -> None:
        """Nothing is spent in it, and a late settle of the old one is booked above it only."""
        top = root()
        old = below(top, session_account, "s", limit(50, "session"))
        self.held("late", old, usd(20))
        self.store.end("default", (old[-1].key,))
        self.clock.advance(100)
        assert self.numbers(old[-1]) == (20, 0)
        self.clock.advance(_DAY_S - 100)
        self.spend_in(top, 1)
        self.held("new", old, usd(50))
        self.settle(Entry("late", old, GPT, usd(7)))
        assert self.numbers(old[-1]) == (0, 50) and self.numbers(top[0]) == (8, 50)
        self.clean()

    def test_open_holds_are_listed_by_their_leases(self) -> None:
        """Page by page, where the store can list them: what is held, where, until when."""
        if not isinstance(self.store, HasHolds):
            return
        path, other = below(root(), session_account, "s"), (root_account("other", ()),)
        for number in range(5):
            self.held(f"h{number}", path, usd(10 + number))
            self.clock.advance(number % 2)
        self.held("elsewhere", other, usd(1))
        self.settle(Entry("h1", path, GPT, usd(1)))
        found: list[OpenHold] = []
        after = ""
        while True:
            page = self.store.holds("default", after, 2)
            found += page.holds
            after = page.after
            if not after:
                break
        assert [hold.id for hold in found] == ["h0", "h2", "h3", "h4"]
        assert found[0] == ("h0", "default/@s", GPT, usd(10), 1_750_000_000_000 + LEASE_MS)

    def test_the_roots_are_listed(self) -> None:
        """Each tree once, where the store can list them."""
        if not isinstance(self.store, HasRoots):
            return
        for name in ("default", "other {tree}*", "a"):
            path = (root_account(name, ()),)
            self.held(name, below(path, child_account, "child"), usd(1))
        assert sorted(self.store.roots()) == ["a", "default", "other%20%7Btree%7D%2A"]

    # -- words ------------------------------------------------------------------------------

    calls = 0

    def spend_in(self, path: Path, nanos: int) -> None:
        """A charge of its own."""
        self.calls += 1
        self.book(Entry(f"spend {self.calls}", path, GPT, usd(nanos)))
