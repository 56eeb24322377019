"""What a reserve grants and refuses."""

from __future__ import annotations

from ...errors import HoldClosed
from ...store.entry import Entry
from ...store.results import Granted, Refused
from ...values.account import child_account, session_account
from ...values.amounts import Amounts
from ...values.call import Subject
from ...values.limits import Limit
from .vocabulary import GPT, MINI, SEARCH, Vocabulary, below, limit, root, usd


class Admission(Vocabulary):
    """A call is admitted by every limit, or nothing happens."""

    def test_a_reserve_fits_to_the_last_nano_and_not_beyond(self) -> None:
        """Exactly the limit is granted; one nano-dollar more is refused and changes nothing."""
        path = root(limit(100))
        self.held("a", path, usd(60))
        answer = self.refused("b", path, usd(41))
        assert (answer.account, answer.spent, answer.reserved, answer.asked, answer.remaining) == (
            "default", 0, 60, 41, 40,
        )  # fmt: skip
        assert self.numbers(path[0]) == (0, 60)
        self.held("c", path, usd(40))
        assert self.numbers(path[0]) == (0, 100)
        self.clean()

    def test_all_accounts_admit_or_none_does(self) -> None:
        """A limit anywhere on the path refuses for the whole path."""
        top = root(limit(100))
        alice = below(top, child_account, "alice", limit(50))
        bob = below(top, child_account, "bob")
        self.held("a", alice, usd(50))
        assert self.refused("b", alice, usd(1)).account == "default/alice"
        assert self.numbers(top[0]) == (0, 50)
        self.held("c", bob, usd(50))
        assert self.refused("d", bob, usd(1)).account == "default"
        assert self.numbers(bob[-1]) == (0, 50)
        self.clean()

    def test_every_dimension_counts(self) -> None:
        """Tokens and calls refuse like money does."""
        path = root(Limit("100 tokens/total"), Limit("2 calls/total"))
        self.held("a", path, Amounts(0, 60, 1))
        assert str(self.refused("b", path, Amounts(0, 41, 1)).limit) == "100 tokens/total"
        self.held("c", path, Amounts(0, 40, 1))
        assert str(self.refused("d", path, Amounts(0, 0, 1)).limit) == "2 calls/total"

    def test_selectors_count_what_they_name(self) -> None:
        """A limit for a model, a tool or a provider looks at nothing else."""
        path = root(
            limit(50, model="gpt-4o"), Limit("1 calls/total", tool="search"), limit(70, provider="openai")
        )
        self.held("a", path, usd(50))
        assert "model=gpt-4o" in str(self.refused("b", path, usd(1)).limit)
        self.held("c", path, usd(20), MINI)
        assert "provider=openai" in str(self.refused("d", path, usd(1), MINI).limit)
        self.held("e", path, usd(500), SEARCH)
        assert "tool=search" in str(self.refused("f", path, usd(0), SEARCH).limit)
        self.held("g", path, usd(500), Subject("tool", (), None, "other"))

    def test_a_call_limit_counts_models_unless_it_names_a_tool(self) -> None:
        """Runs of tools do not use up calls to models, and the other way round."""
        path = root(Limit("1 calls/total"), Limit("1 calls/total", tool="*"))
        self.held("a", path, usd(1), SEARCH)
        self.held("b", path, usd(1))
        self.refused("c", path, usd(1))
        self.refused("d", path, usd(1), Subject("tool", (), None, "other"))

    def test_a_session_limit_of_a_budget_holds_for_each_session(self) -> None:
        """Two sessions spend it each; a nested session spends its parent's."""
        top = root(limit(100, "session"))
        first, second = (below(top, session_account, name) for name in ("1", "2"))
        nested = below(first, session_account, "nested", limit(80, "session"))
        self.held("a", first, usd(70))
        self.held("b", second, usd(100))
        assert self.refused("c", nested, usd(31)).account == "default/@1"
        self.held("d", nested, usd(30))
        assert self.numbers(top[0]) == (0, 200)

    def test_a_grant_shrinks_to_what_is_left_but_not_below_the_minimum(self) -> None:
        """Clamping is part of the step: min(want, left), or a refusal below the minimum."""
        path = root(limit(100), Limit("40 tokens/total"))
        answer = self.ask("a", path, Amounts(90, 60, 1), Amounts(10, 20, 1))
        assert isinstance(answer, Granted) and answer.amounts == Amounts(90, 40, 1)
        self.settle(Entry("a", path, GPT, Amounts(30, 10, 1)))
        answer = self.ask("b", path, Amounts(90, 30, 1), Amounts(71, 1, 1))
        assert isinstance(answer, Refused) and (answer.asked, answer.remaining) == (90, 70)
        answer = self.ask("c", path, Amounts(90, 30, 1), Amounts(70, 30, 1))
        assert isinstance(answer, Granted) and answer.amounts == Amounts(70, 30, 1)

    def test_a_repeated_reserve_is_applied_once(self) -> None:
        """The second answer is the first one; the same id for another call is an error."""
        path = root(limit(100))
        assert not self.held("a", path, usd(60)).repeated
        again = self.held("a", path, usd(60))
        assert again.repeated and again.amounts == usd(60) and again.state == "reserved"
        self.raises(HoldClosed, self.ask, "a", path, usd(61))
        assert self.numbers(path[0]) == (0, 60)
        self.clean()

    def test_a_debt_refuses_even_a_free_call(self) -> None:
        """After an overrun nothing is admitted, whatever it costs."""
        path = root(limit(100))
        self.held("a", path, usd(100))
        self.held("b", path, usd(0))
        self.settle(Entry("a", path, GPT, usd(101)))
        assert self.refused("c", path, usd(0)).remaining == -1

    def test_a_zero_limit_refuses_every_paid_call(self) -> None:
        """A nano-dollar is refused where nothing may be spent, and a free call is not."""
        path = root(limit(0))
        self.refused("a", path, usd(1))
        self.held("b", path, usd(0))

    def test_a_charge_past_a_limit_of_calls_says_so(self) -> None:
        """A third run of a tool that may run twice is booked, and names the limit that it passes."""
        path = root(Limit("2 calls/total", tool="search"), limit(100))
        for id in "ab":
            assert self.book(Entry(id, path, SEARCH, usd(0))).over is None
        over = self.book(Entry("c", path, SEARCH, usd(0))).over
        assert over is not None and (over.spent, over.remaining) == (3, -1)
        assert over.limit is not None and (over.limit.unit, over.limit.tool) == ("calls", "search")
