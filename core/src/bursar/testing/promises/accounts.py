"""Accounts, and the limits that were declared for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ...errors import LimitConflict
from ...store.entry import Entry
from ...store.results import Refused
from ...store.views import OTHER
from ...values.account import root_account, session_account
from ...values.call import Subject
from ...values.limits import Limit
from .vocabulary import GPT, Vocabulary, below, limit, root, usd


class Declared(Vocabulary):
    """Accounts keep their limits, whoever comes."""

    def test_another_declaration_is_a_conflict(self) -> None:
        """The same limits again are fine, none adopts them, others are refused unchanged."""
        self.held("a", root(limit(100)), usd(1))
        self.held("b", root(limit(100)), usd(1))
        self.held("c", root(), usd(1))
        for others in ((limit(200),), (limit(100), Limit("5 calls/total")), (Limit("5 calls/total"),)):
            error = self.raises(LimitConflict, self.ask, "d", root(*others), usd(1))
            assert "name" in str(error)
        self.refused("e", root(), usd(98))

    def test_a_limit_is_the_same_however_it_is_written(self) -> None:
        """Whoever declares it in other words is no conflict; in the same words with another amount is one."""
        typed = root(Limit("$5 per day"), Limit("5 USD/24 hours"), Limit("9 requests a minute"))
        short = root(Limit("$5/day"), Limit("$5/24h"), Limit("9 calls/60s"))
        self.held("a", typed, usd(1))
        self.held("b", short, usd(1))
        self.raises(LimitConflict, self.ask, "c", root(Limit("$6 per day"), *short[0].limits[1:]), usd(1))

    def test_a_limit_can_be_replaced_added_and_dropped(self) -> None:
        """The next reserve sees it, and whoever still declares the old text is no conflict."""
        path = root(limit(100))
        self.held("a", path, usd(60))
        self.store.set_limit(path, limit(200))
        self.held("b", path, usd(140))
        self.held("c", root(limit(200)), usd(0))
        self.raises(LimitConflict, self.ask, "d", root(limit(300)), usd(0))
        self.store.set_limit(path, limit(300, model="gpt-4o"))
        self.store.drop_limit(path, limit(200))
        assert "model" in str(self.refused("e", path, usd(101)).limit)
        self.held("f", path, usd(100))
        self.store.drop_limit(path, limit(300, model="gpt-4o"))
        self.held("g", path, usd(10**9))

    def test_a_stopped_account_stops_all_below(self) -> None:
        """Trip refuses with its reason, also for a free call; untrip lets go on."""
        top = root()
        inner = below(top, session_account, "s")
        self.held("a", inner, usd(10))
        self.store.trip(top, "runaway")
        answer = self.refused("b", inner, usd(0))
        assert (answer.tripped, answer.account, answer.limit) == ("runaway", "default", None)
        self.settle(Entry("a", inner, GPT, usd(10)))
        self.store.untrip(top, "mended")
        self.held("c", inner, usd(10))

    def test_a_reset_starts_anew_and_keeps_what_is_reserved(self) -> None:
        """Spent is zero; a call from before it is booked above the account only."""
        top = root(limit(100))
        inner = below(top, session_account, "s", limit(50, "session"))
        self.book(Entry("old", inner, GPT, usd(30)))
        self.held("a", inner, usd(20))
        self.refused("b", inner, usd(1))
        self.store.reset(inner, "a new day")
        assert self.numbers(inner[-1]) == (0, 20) and self.numbers(top[0]) == (30, 20)
        self.settle(Entry("a", inner, GPT, usd(15)))
        assert self.numbers(inner[-1]) == (0, 0) and self.numbers(top[0]) == (45, 0)
        self.held("c", inner, usd(50))
        self.clean()

    def test_trees_do_not_see_each_other(self) -> None:
        """`read` and `audit` answer for one root."""
        self.held("a", root(), usd(10))
        other = (root_account("other", ()),)
        self.held("b", other, usd(20))
        assert list(self.store.read("default").accounts) == ["default"]
        assert self.store.read("other").accounts["other"].reserved == usd(20)
        self.store.acknowledge("other", "checked")
        assert self.store.audit("other") == ()

    def test_hostile_names_are_counted_together(self) -> None:
        """An account names 200 subjects; the others are one of models, one of tools. No limit misses any."""
        path = below(root(Limit("7 calls/total", tool="*"), limit(50, model="gpt-4o")), session_account, "s")
        for number in range(230):
            subject = Subject("model", (f"m {number}|;,",), "openai")
            self.held(f"h{number}", path, usd(3), subject)
            self.settle(Entry(f"h{number}", path, subject, usd(2)))
        for number in range(7):
            self.book(Entry(f"t{number}", path, Subject("tool", (), None, f"t/{number}"), usd(1)))
        self.refused("more", path, usd(0), Subject("tool", (), None, "t/8"))
        self.held("gpt", path, usd(50))
        assert self.refused("gpt 2", path, usd(1)).spent == 0
        self.settle(Entry("gpt", path, GPT, usd(49)))
        assert self.refused("gpt 3", path, usd(2)).spent == 49
        other, tools = Subject("model", (OTHER,)), Subject("tool", (), None, OTHER)
        for account, others in zip(
            path, ({other: 60, tools: 7, GPT: 49}, {other: 109, tools: 7}), strict=True
        ):
            subjects = self.store.read("default", (account.key,)).accounts[account.key].subjects
            found = {subject: spent.usd for subject, (spent, _) in subjects.items()}
            assert len(found) == 200 + len(others) and sum(found.values()) == 230 * 2 + 7 + 49
            assert others.items() <= found.items()
        self.clean()

    def test_old_records_fold_into_their_accounts(self) -> None:
        """Many finished calls, a day later, leave the balances exact and the books clean."""
        path = root()
        for number in range(self.many_calls):
            self.held(f"h{number}", path, usd(3))
            self.settle(Entry(f"h{number}", path, GPT, usd(2)))
        self.clock.advance(90_000)
        self.held("after", path, usd(3))
        assert self.numbers(path[0]) == (2 * self.many_calls, 3)
        self.clean()

    def test_threads_never_pass_a_limit_together(self) -> None:
        """Of 64 threads that ask at once exactly those are admitted that fit."""
        path = root(limit(1000))

        def work(number: int) -> int:
            answer = self.ask(f"t{number}", path, usd(7))
            if isinstance(answer, Refused):
                return 0
            self.settle(Entry(f"t{number}", path, GPT, usd(7)))
            return 7

        with ThreadPoolExecutor(64) as pool:
            spent = sum(pool.map(work, range(640)))
        assert spent == 994 and self.numbers(path[0]) == (994, 0)
        self.clean()
