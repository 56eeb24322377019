"""A real Jupyter kernel, one for each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

PATIENCE = 60  # seconds, one at a time


@dataclass
class Ran:
    """What a cell showed: all it printed, the value of its last line, and the error that it ended with.

    Attributes:
        table: the value of its last line as HTML, where it has some.
    """

    printed: str = ""
    value: str | None = None
    table: str = ""
    error: str | None = None
    traceback: list[str] = field(default_factory=list)


class Notebook:
    """Cells that are run one after another, as by hand."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def run(self, cell: str) -> Ran:
        """Run a cell to its end."""
        return self._follow(self.client.execute(cell), until=None)

    def interrupt(self, cell: str, *, when: str) -> Ran:
        """Run a cell, press the stop button as soon as it has printed this, and see how it ends."""
        message = self.client.execute(cell)
        assert when in self._follow(message, until=when).printed
        self.manager.interrupt_kernel()
        return self._follow(message, until=None)

    def _follow(self, message: str, until: str | None) -> Ran:
        ran = Ran()
        waited = 0
        while until is None or until not in ran.printed:
            try:
                told: dict[str, Any] = self.client.get_iopub_msg(timeout=1)
            except Empty:
                waited += 1
                assert waited < PATIENCE, f"the cell does not end; it printed {ran.printed!r}"
                # An interrupted task is cancelled at the next turn of the kernel's loop; a message gives it one.
                self.client.kernel_info()
                continue
            if told["parent_header"].get("msg_id") != message:
                continue
            content = told["content"]
            if told["msg_type"] == "stream":
                ran.printed += content["text"]
            elif told["msg_type"] == "execute_result":
                ran.value, ran.table = content["data"]["text/plain"], content["data"].get("text/html", "")
            elif told["msg_type"] == "error":
                ran.error, ran.traceback = content["ename"], content["traceback"]
            elif told["msg_type"] == "status" and content["execution_state"] == "idle":
                break
        return ran


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield Notebook(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
