"""Runs pytest as on a system without `fcntl`, `os.fork` and `os.geteuid`; its arguments are those of pytest."""

from __future__ import annotations

import asyncio  # before the parts of the system are gone that it looks for
import os
import sys

import pytest

sys.modules["fcntl"] = None  # type: ignore[assignment]
for name in ("fork", "forkpty", "geteuid", "register_at_fork"):
    delattr(os, name)

if __name__ == "__main__":
    assert asyncio.run(asyncio.sleep(0, True)) and "bursar" not in sys.modules
    sys.exit(pytest.main(sys.argv[1:]))
