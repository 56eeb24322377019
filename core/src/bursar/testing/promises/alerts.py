"""What a step has to tell is due until it is delivered, where a store keeps alerts."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ...store.alerts import AlertPage, HasAlerts, StoredAlert, alerts_of
from ...store.entry import Entry, Path
from ...store.results import Granted
from ...values.account import child_account, session_account
from ...values.amounts import Amounts
from ...values.policy import Breaker, Terms
from .vocabulary import GPT, SEARCH, TERMS, Vocabulary, below, limit, root, usd

_IDLE_MS = 30_000
_DAY_S = 86_400


def _where_kept(promise: Callable[[Any], None]) -> Callable[[Any], None]:
    """The promise of a store that keeps alerts; others have nothing to keep."""

    @wraps(promise)
    def test(self: Any) -> None:
        if isinstance(self.store, HasAlerts):
            promise(self)

    return test


class Alerts(Vocabulary):
    """Alerts of a tree, in the step that causes them."""

    @_where_kept
    def test_what_an_answer_tells_is_due(self) -> None:
        """Marks, refusals, loops, speed, overruns: what `alerts_of` makes of the answers, in order."""
        top = root(limit(1_000))
        alice = below(top, child_account, "alice |;é", limit(500, "day"))
        session = below(alice, session_account, "s")
        terms = TERMS._replace(soft_ppm=(500_000, 900_000), breaker=_breaker())
        expected: list[StoredAlert] = []

        def note(entry: Entry, answer: Any) -> None:
            expected.extend(alerts_of(answer, entry, int(self.clock.now() * 1000)))

        def ask(id: str, path: Path, amounts: Amounts, fingerprint: str | None = None) -> None:
            entry = Entry(id, path, GPT, amounts, fingerprint=fingerprint)
            note(entry, self.ask(id, path, amounts, None, GPT, terms, fingerprint))

        ask("too fast", below(top, session_account, "quick"), usd(401))
        for id in ("a", "b", "loop"):
            ask(id, session, usd(100), "same")
        settled = Entry("a", session, GPT, usd(460))
        note(settled, self.settle(settled, terms))
        ask("refused", session, usd(400))
        self.clock.advance(1)
        charge = Entry("charge |;é", top, SEARCH, usd(600))
        note(charge, self.book(charge, terms))
        assert [alert.kind for alert in expected] == [
            *("velocity", "loop_detected", "soft_limit", "soft_limit", "overrun", "hard_limit"),
            *("soft_limit", "soft_limit", "hard_limit"),
        ]
        page = self.alerts()
        assert list(page.alerts) == expected and page.now_ms == int(self.clock.now() * 1000)
        assert len({alert.id for alert in expected}) == len(expected)

    @_where_kept
    def test_a_step_that_crosses_no_mark_tells_nothing(self) -> None:
        """Nor does a repeated one, a contended one, or a refusal that was told before."""
        top = root(limit(100))
        self.held("a", top, usd(60))
        contended = Entry("b", top, GPT, usd(60))
        self.store.reserve(contended, usd(60), TERMS, None, "first")
        self.settle(Entry("a", top, GPT, usd(50)))
        self.settle(Entry("a", top, GPT, usd(50)))
        assert self.alerts() == AlertPage(int(self.clock.now() * 1000), (), "")
        for id in ("c", "c", "d"):
            self.refused(id, top, usd(60))
        assert [alert.kind for alert in self.alerts().alerts] == ["hard_limit"]

    @_where_kept
    def test_a_refusal_that_is_not_enforced_is_due(self) -> None:
        """In shadow mode the call goes through, and the alert is told all the same."""
        top = root(limit(100))
        entry, terms = Entry("a", top, GPT, usd(160)), Terms(enforce=False)
        answer = self.store.reserve(entry, usd(160), terms)
        assert isinstance(answer, Granted)
        assert list(self.alerts().alerts) == list(alerts_of(answer, entry, answer.now_ms)) != []

    @_where_kept
    def test_what_is_delivered_is_due_no_more(self) -> None:
        """It is listed all the same, and told in no other tree; an unknown id harms nothing."""
        self.refused("a", root(limit(1)), usd(2))
        self.refused("b", root(limit(1)), usd(2))
        store: Any = self.store
        (alert,) = self.alerts().alerts
        assert store.alerts("another").alerts == () and store.claim("another", 0) == ()
        store.delivered("another", (alert.id,))
        store.delivered("default", ("unknown",))
        assert alert.due and self.alerts().alerts == (alert,)
        store.delivered("default", (alert.id, "unknown"))
        assert self.alerts().alerts == (alert._replace(due=False),)
        self.clock.advance(60)
        assert store.claim("default", _IDLE_MS) == ()
        assert store.alerts("nobody") == AlertPage(int(self.clock.now() * 1000), (), "")

    @_where_kept
    def test_what_is_due_for_long_is_claimed_by_one(self) -> None:
        """Not before its time, and after it again; a day later it is given up."""
        self.refused("a", root(limit(1)), usd(2))
        (alert,) = self.alerts().alerts
        store: Any = self.store
        self.clock.advance(29)
        assert store.claim("default", _IDLE_MS) == ()
        self.clock.advance(1)
        assert store.claim("default", _IDLE_MS) == (alert,)
        assert store.claim("default", _IDLE_MS) == ()
        self.clock.advance(30)
        assert store.claim("default", _IDLE_MS, 5) == (alert,)
        self.clock.advance(_DAY_S - 60)
        assert store.claim("default", _IDLE_MS) == ()
        assert self.alerts().alerts == (alert._replace(due=False),)

    @_where_kept
    def test_the_newest_thousand_are_kept(self) -> None:
        """Page by page, the oldest first; those that come later are on the next page."""
        many = TERMS._replace(soft_ppm=tuple(range(1_000, 251_000, 1_000)))
        for number in range(5):
            path = below(root(), child_account, f"child{number}", limit(1_000))
            self.book(Entry(f"b{number}", path, GPT, usd(250 if number else 7)), many)
        store: Any = self.store
        found: list[StoredAlert] = []
        after = ""
        while (page := store.alerts("default", after)).alerts:
            assert len(page.alerts) <= 200
            found += page.alerts
            after = page.after
        assert page.after == after
        assert len({alert.id for alert in found}) == len(found) == 1_000
        assert [alert.account for alert in found[::250]] == [
            f"default/child{number}" for number in range(1, 5)
        ]
        self.refused("last", below(root(), child_account, "late", limit(1)), usd(3))
        (last,) = store.alerts("default", after, 7).alerts
        assert last.account == "default/late"
        assert next(iter(self.alerts().alerts)) == found[1]

    # -- words ------------------------------------------------------------------------------

    def alerts(self) -> AlertPage:
        """The first page of the tree."""
        page = self.store.alerts("default")  # type: ignore[attr-defined]
        assert isinstance(page, AlertPage)
        return page


def _breaker() -> Breaker:
    return Breaker(max_repeated=2, loop_ms=60_000, velocity=limit(399, "1min"), cooldown_ms=1_000)
