"""The promises find out a script that breaks one: the sound one passes the same test."""

from __future__ import annotations

import pytest

from bursar import BursarError
from bursar.store.redis import RedisStore, open_redis, script
from bursar.testing import ManualClock, StoreContract

from ..servers import shared_url

BROKEN = {
    "looks at no limit": (
        "part_of(unit, limit.amount - spent - kept, reserved, entry, terms)",
        "part_of(unit, MOST_AMOUNT, 0, entry, terms)",
        "test_a_reserve_fits_to_the_last_nano_and_not_beyond",
    ),
    "forgets that it settled": (
        "if h and before == 'settled' then",
        "if false then",
        "test_a_settle_is_final",
    ),
    "gives back what a lease leaves behind": (
        "close(h, 'in_doubt', split(h.seen.held, ',')",
        "close(h, 'in_doubt', NOTHING",
        "test_a_hold_whose_lease_ends_is_booked_at_its_worst",
    ),
    "holds twice": (
        "local known = not only_probe and record_of(entry.id)",
        "local known = nil",
        "test_a_repeated_reserve_is_applied_once",
    ),
    "keeps no tombstone": (
        "    write('ZADD', base .. 'final', int(now), id)\n  elseif",
        "    writes = {}\n  elseif",
        "test_a_release_that_comes_first_refuses_its_reserve",
    ),
    "lets nobody wait for what is only held": (
        "return nil, 'held'",
        "return nil, 'spent'",
        "test_calls_in_flight_contend_and_money_that_is_spent_refuses",
    ),
    "counts a contended call at each ask": (
        "if entry.ask == 'first' then",
        "if true then",
        "test_contended_asks_count_once_and_refusals_at_the_end",
    ),
    "lets a window begin anew as a whole": (
        "return math.floor((now - span) / width(span))",
        "return math.floor(now / span) * BUCKETS",
        "test_a_rolling_window_forgets_by_its_age",
    ),
    "tells a fraction again and again": (
        "put(r.account, field, int(r.limit.amount) .. ',' .. int(at))",
        "",
        "test_fractions_of_a_limit_are_told_once_a_period",
    ),
    "books an old hold after a reset": (
        "current[place] = epochs[place] == epoch(account)",
        "current[place] = true",
        "test_a_reset_starts_anew_and_keeps_what_is_reserved",
    ),
    "leaves a breaker open": (
        "      close_fuse(account)\n    else",
        "    else",
        "test_after_the_cooldown_one_call_at_a_time_tries",
    ),
    "believes a clock that runs backwards": (
        "now = math.max(now, tonumber(meta[4] or 0))",
        "now = now + 0",
        "test_a_clock_that_runs_backwards_stands_still",
    ),
}


class Suite(StoreContract):
    """The promises, asked by hand."""

    def open_store(self, clock: ManualClock) -> RedisStore:
        """An empty tree of keys."""
        return open_redis(shared_url(), clock)


@pytest.mark.parametrize(("sound", "broken", "promise"), BROKEN.values(), ids=BROKEN)
def test_a_script_that_breaks_a_promise_fails_its_test(
    sound: str, broken: str, promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same test passes with the script as it is, and not with one line of it changed."""
    whole = script.source()
    assert whole.count(sound) == 1

    def keeps(source: str) -> bool:
        monkeypatch.setattr(script, "source", lambda: source)
        monkeypatch.setattr(script, "sha", lambda: script.digest(source))
        suite = Suite()
        suite.setup_method()
        try:
            getattr(suite, promise)()
        except (AssertionError, BursarError):
            return False
        return True

    assert (keeps(whole), keeps(whole.replace(sound, broken))) == (True, False)
