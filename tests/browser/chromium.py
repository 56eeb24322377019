"""Chromium without a window, driven over its DevTools protocol by a pipe."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..servers import missing

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_NOISY = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
_LONGEST_S = 50.0
_AS_3_AND_4 = """
import os, sys
for place, end in enumerate(sys.argv[1:3], 3):
    os.dup2(int(end), place)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Chromium:
    """One browser. Commands and answers are JSON with a zero byte at the end, on its file descriptors 3 and 4."""

    def __init__(self) -> None:
        program = next(filter(None, map(shutil.which, _NAMES)), None)
        if program is None:
            missing("no chromium on the PATH: apt-get install chromium")
        self.folder = Path(tempfile.mkdtemp(prefix="bursar-chromium-"))
        (theirs, self._out), (self._in, answers) = os.pipe(), os.pipe()
        passed = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs, answers)]  # 3 and 4 are taken
        command = [
            *(sys.executable, "-ISc", _AS_3_AND_4, *map(str, passed), program),
            *("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"),
            *("--disable-component-update", "--hide-scrollbars", f"--user-data-dir={self.folder}"),
            "about:blank",
        ]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, pass_fds=passed, stdin=quiet, stdout=quiet, stderr=quiet)
        for end in (theirs, answers, *passed):
            os.close(end)
        os.set_blocking(self._in, False)
        self._read, self._number = b"", 0
        self.told: list[dict[str, Any]] = []  # events, in order

    def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        """The answer to a command."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        for answer in self._answers():
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.told.append(answer)
        raise AssertionError(f"{method} was not answered")

    def _answers(self) -> Iterator[dict[str, Any]]:
        until_s = time.monotonic() + _LONGEST_S
        while time.monotonic() < until_s:
            while b"\0" in self._read:
                line, _, self._read = self._read.partition(b"\0")
                yield json.loads(line)
            try:
                more = os.read(self._in, 1 << 20)
            except BlockingIOError:
                time.sleep(0.002)
                continue
            assert more, "chromium has ended"
            self._read += more

    @contextmanager
    def tab(self, *, window: bool = False) -> Iterator[Tab]:
        """A tab of its own, before all others of the window; or in a window of its own."""
        target = self.ask("Target.createTarget", url="about:blank", newWindow=window)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable", session)
        yield Tab(self, session)
        self.ask("Target.closeTarget", targetId=target)

    def close(self) -> None:
        """End it, and remove what it wrote."""
        self.process.kill()
        self.process.wait()
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self.folder, ignore_errors=True)


class Tab:
    """One tab: what it shows, and what happened in it."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to a command about this tab."""
        return self._browser.ask(method, self._session, **params)

    def open(self, url: str) -> None:
        """Go there, and wait until it is there."""
        self.ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """What a script evaluates to."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a script is true."""
        until_s = time.monotonic() + _LONGEST_S
        while not self.value(expression):
            assert time.monotonic() < until_s, f"never: {expression}"
            time.sleep(0.02)

    def look(self, width: int, scheme: str, media: str = "screen") -> None:
        """Show it so many pixels wide, light or dark, on a screen or for paper."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=features)

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def messages(self) -> list[dict[str, Any]]:
        """What was written to its console, and scripts that failed."""
        return [event["params"] for event in self._events() if event["method"] in _NOISY]

    def requests(self) -> list[str]:
        """What it has asked for, data in the page itself left out."""
        sent = [event for event in self._events() if event["method"] == "Network.requestWillBeSent"]
        urls = [str(event["params"]["request"]["url"]) for event in sent]
        return [url for url in urls if not url.startswith("data:")]

    def _events(self) -> list[dict[str, Any]]:
        return [event for event in self._browser.told if event.get("sessionId") == self._session]
