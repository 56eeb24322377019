"""What could not be delivered: told to the owner, kept on disk, and delivered by the next process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bursar import Alert, Budget, StoreUnavailable

from ...servers import Server, binary_with, store_url
from . import late_settler
from .proxy import Proxy
from .test_refusals import SECRET, store_of, until


def test_an_outage_is_an_alert_when_it_begins_and_when_it_is_over(server: Server) -> None:
    """Of the kind store_trouble, to those of this budget; the soft limit that was reached meanwhile is told late."""
    server.kill()
    server.start(appendonly="yes")
    alerts: list[Alert] = []
    budget = Budget(
        "$1/total", store=server.url(timeout="0.2s"), soft_limit=0.5, on_alert=alerts.append, alerts="inline"
    )
    hold = budget.session("$1").reserve(cost="$0.60")
    server.kill()
    hold.settle(cost="$0.60")
    until(lambda: alerts)
    assert budget._ledger.store.undelivered == 1  # type: ignore[attr-defined]
    server.start()
    until(lambda: len(alerts) == 4)
    wait, *reached, landed = alerts
    assert wait.message.startswith("bookings that wait for the store: 1;") and "landed" in landed.message
    assert {alert.kind.value for alert in (wait, landed)} == {"store_trouble"}
    assert {alert.level.value for alert in (wait, landed)} == {"warning"} and wait.report.keys() == {"alert"}
    assert [(alert.kind.value, alert.limit) for alert in reached] == [
        ("soft_limit", "$1/session"),
        ("soft_limit", "$1/total"),
    ]
    assert float(budget.spent) == 0.6


@pytest.mark.parametrize("spooled", [True, False], ids=["spool", "no spool"])
def test_a_killed_process_leaves_its_bookings_to_the_next(
    server: Server, tmp_path: Path, spooled: bool
) -> None:
    """With a spool the next process that opens the store books the true cost; without one the hold stays."""
    server.kill()
    server.start(appendonly="yes")
    spool = tmp_path / "spool.jsonl"
    query = {"prefix": "s", "timeout": "1s", **({"spool": spool} if spooled else {})}
    url = server.url(**query)
    command = [sys.executable, late_settler.__file__, url, "$0.07"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == "held\n"
        server.kill()
        child.stdin.write("go\n")
        child.stdin.flush()
        assert child.stdout.readline() == "settled\n"
    server.start()
    if spooled:
        assert spool.stat().st_mode & 0o777 == 0o600 and "settle" in spool.read_text()
    budget = Budget("$1/total", store=url)
    if spooled:
        until(lambda: store_of(budget).undelivered == 0)
        until(lambda: spool.read_text() == "")
        assert (float(budget.spent), budget.reserved) == (0.07, 0)
    else:
        time.sleep(0.3)
        assert (budget.spent, float(budget.reserved)) == (0, 0.3)
    assert budget.audit() == ()


def test_a_spool_holds_no_secret(server: Server, tmp_path: Path) -> None:
    """Neither the password of the store nor a prompt; a delivery twice books once."""
    with server.client() as client:
        client.config_set("requirepass", SECRET)
    spool = tmp_path / "spool.jsonl"
    with Proxy(server.port) as proxy:
        url = store_url(f"redis://:{SECRET}@127.0.0.1:{proxy.port}", timeout="0.3s", spool=spool)
        budget = Budget("$1/total", store=url, child_limits=("$1/day",))
        messages = [{"role": "user", "content": "a prompt that is nobody's business"}]
        session = budget.child("alice").session("$1")
        hold = session.reserve("gpt-4o", messages=messages, max_output_tokens=10)
        proxy.deaf = True
        hold.settle(cost="$0.01")
        with pytest.raises(StoreUnavailable):
            session.reserve("gpt-4o", messages=messages, max_output_tokens=10)
        kept = spool.read_text()
        assert "alice" in kept and SECRET not in kept and "business" not in kept
        proxy.deaf = False
        until(lambda: store_of(budget).undelivered == 0)
        spool.write_text(kept)
        until(lambda: store_of(Budget("$1/total", store=url)).undelivered == 0)
        assert float(budget.spent) == 0.01 and budget.audit() == ()


def test_doctor_says_what_to_change(server: Server) -> None:
    """Each flaw of a server in words, and none of a good one."""
    budget = Budget("$1/total", store=server.url())
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    found = budget.doctor()
    assert found["store"] in ("redis", "valkey") and found["version"][0].isdigit()
    assert found["ledger"] == store_of(budget).ledger_id("default") != ""
    assert "appendonly yes" in " ".join(found["warnings"]) and found["durability"] == "redis-none"
    with server.client() as client:
        client.config_set("appendonly", "yes")
        client.config_set("maxmemory-policy", "allkeys-lru")
        said = " ".join(budget.doctor()["warnings"])
        assert "appendfsync always" in said and "allkeys-lru throws balances away" in said
        client.config_set("appendfsync", "always")
        client.config_set("maxmemory-policy", "noeviction")
        good = budget.doctor()
        assert good["warnings"] == [] and good["unknown"] == [] and good["durability"] == "redis-always"
        client.flushall()
        assert "has lost data" in budget.doctor()["warnings"][0]


def test_doctor_says_what_it_may_not_see() -> None:
    """A user without the rights to ask is told so, and the worst is assumed."""
    server = Server(binary_with("users"))
    server.ask("ACL", "SETUSER", "agent", "on", "nopass", "~*", "+@all", "-info", "-config")
    blind = Budget("$1/total", store=store_url(f"redis://agent:x@127.0.0.1:{server.port}"))
    found = blind.doctor()
    server.close()
    assert "neither INFO nor CONFIG" in found["warnings"][0] and found["durability"] == "redis-none"
    assert found["unknown"] == ["version", "eviction"]
