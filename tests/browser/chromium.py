"""Headless Chromium, driven through its DevTools protocol: as much of it as the tests of the UI need."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SECONDS_TO_START = 60
SECONDS_TO_WAIT = 60
SECONDS_TO_REACT = 10
SECONDS_BETWEEN_LOOKS = 0.2
LOOKS_AT_REST = 3
WIDTH, HEIGHT = 1280, 900
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-gpu-compositing",
    "--disable-gpu-rasterization",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--force-prefers-reduced-motion",
    "--remote-debugging-port=0",
    f"--window-size={WIDTH},{HEIGHT}",
)
# Without a GPU, a page that draws sixty times per second takes a whole core.
SLOW_DRAWING = "window.requestAnimationFrame = draw => setTimeout(() => draw(performance.now()), 100)"
# The visible elements of a CSS selector whose text holds some words, the tightest one first.
FIND = """
(selector, words) => [...document.querySelectorAll(selector)]
    .filter(e => e.getClientRects().length
        && (e.innerText ?? '').includes(words))
    .sort((a, b) => (a.innerText ?? '').length - (b.innerText ?? '').length)[0]
"""

UNCOVERED_MIDDLE = """
e => {
    e?.scrollIntoView({block: 'nearest'})
    if (e?.disabled) return null
    const b = e?.getBoundingClientRect(), x = b && b.x + b.width / 2, y = b && b.y + b.height / 2
    return b && e.contains(document.elementFromPoint(x, y)) ? [x, y] : null
}
"""


def program() -> str | None:
    """Chromium's path; None where it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """One tab. Everything waits for what it needs, up to ``SECONDS_TO_WAIT``, and fails with the page's text."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0

    def open(self, url: str) -> None:
        """Go to an address."""
        self.command("Page.navigate", url=url)
        self.until(lambda: self.evaluate("document.readyState") == "complete", f"{url} to load")

    def text(self) -> str:
        """What the page shows."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def address(self) -> str:
        """The address of the page, after any redirects."""
        return str(self.evaluate("location.href"))

    def wait_for(self, *words: str, seconds: float = SECONDS_TO_WAIT) -> None:
        """Return once the page shows all of these."""
        self.until(lambda: all(word in self.text() for word in words), f"the words {words}", seconds)

    def wait_for_any(self, *words: str) -> str:
        """Return the first of these that the page shows."""
        self.until(lambda: any(word in self.text() for word in words), f"one of {words}")
        return next(word for word in words if word in self.text())

    def is_gone(self, words: str, seconds: float = SECONDS_TO_REACT) -> bool:
        """Whether the page shows these no longer, soon."""
        until = time.monotonic() + seconds
        while words in self.text():
            if time.monotonic() > until:
                return False
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return True

    def click(self, words: str, selector: str = "a, button, [role=menuitem], [role=option], [role=tab]") -> None:
        """Press the smallest visible element of the selector with these words."""
        x, y = self._at_rest(selector, words)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def fill(self, label: str, value: str) -> None:
        """Write a text into the empty field of that label."""
        self.click(label, "label")
        self.command("Input.insertText", text=value)

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        given = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in given:
            raise AssertionError(f"{expression}: {given['exceptionDetails']}")
        return given["result"].get("value")

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command of the protocol and return its result."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(SECONDS_TO_WAIT))
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return dict(answer["result"])

    def _at_rest(self, selector: str, words: str) -> tuple[float, float]:
        """The middle of an element, once it no longer moves and nothing covers it."""
        element = f"({FIND})({json.dumps(selector)}, {json.dumps(words)})"
        places: list[Any] = []

        def still() -> bool:
            places.append(self.evaluate(f"({UNCOVERED_MIDDLE})({element})"))
            return len(places) >= LOOKS_AT_REST and all(place == places[-1] for place in places[-LOOKS_AT_REST:])

        self.until(lambda: still() and places[-1] is not None, f"{words!r} to come to rest")
        x, y = places[-1]
        return float(x), float(y)

    def until(
        self,
        met: Callable[[], bool],
        what: str,
        seconds: float = SECONDS_TO_WAIT,
        pause: float = SECONDS_BETWEEN_LOOKS,
    ) -> None:
        """Return once a condition is met; look every ``pause`` seconds."""
        until = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < until, f"waited in vain for {what} at {self.address()}:\n{self.text()}"
            time.sleep(pause)


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A separate headless Chromium with one tab; ``folder`` takes its profile."""
    found = program()
    assert found is not None, "Chromium is not installed"
    command = [found, *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        port_file, until = folder / "DevToolsActivePort", time.monotonic() + SECONDS_TO_START
        while not port_file.exists() or not port_file.read_text().strip():
            assert process.poll() is None, (folder / "chromium.log").read_text()
            assert time.monotonic() < until, "Chromium did not start"
            time.sleep(SECONDS_BETWEEN_LOOKS)
        port = port_file.read_text().split()[0]
        tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS_TO_START).json()
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        with connect(address, max_size=None, compression=None, proxy=None) as connection:
            page = Page(connection)
            page.command("Page.addScriptToEvaluateOnNewDocument", source=SLOW_DRAWING)
            yield page
    finally:
        process.terminate()
        process.wait(SECONDS_TO_START)
