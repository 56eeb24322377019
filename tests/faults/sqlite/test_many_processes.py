"""Workers in several processes: the same scenes as on a server, on a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ...files import file_url
from ..redis import test_many_processes as scenes


class Folder:
    """Has files instead of a server."""

    def url(self, **query: object) -> str:
        """A file of its own."""
        return file_url(synchronous="normal", **query)


SCENES: dict[str, Callable[[Any], None]] = {
    "alerts": scenes.test_each_alert_is_told_once_among_64_workers,
    "tenants": scenes.test_a_tenant_who_is_met_by_all_at_once_has_his_limit,
    "kill switch": scenes.test_the_kill_switch_stops_every_process_within_a_second,
    "new limits": partial(scenes.test_a_new_limit_holds_at_the_next_reserve_of_every_process, processes=3),
}


@pytest.mark.parametrize("scene", SCENES)
def test_workers_in_several_processes(scene: str) -> None:
    """Each alert is told once, tenants are created once, the kill switch and new limits reach all at their next reserve."""
    SCENES[scene](Folder())
