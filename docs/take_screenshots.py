"""Take the pictures of docs/screenshots on a server of `make serve` with the demo company.

``python -m docs.take_screenshots --address http://127.0.0.1:4200`` follows the steps of a new user: the form, a
run, its artifacts, a backfill that is killed and started again, an approval. It needs Chromium.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import httpx
from PIL import Image

from tests.browser import chromium

FOLDER = Path(__file__).parent / "screenshots"
SECONDS_AT_MOST = 1800
SECONDS_TO_SETTLE = 2
COLORS = 64
WEEK_TO_REJECT = "2025-01-24"


class Walk:
    """A browser on the server's pages, and where the pictures are saved."""

    def __init__(self, page: chromium.Page, address: str) -> None:
        self.page = page
        self.address = address

    def api(self, path: str) -> Any:
        """Return the answer of the server's API."""
        return httpx.get(f"{self.address}/api/{path}", timeout=60).raise_for_status().json()

    def picture(self, name: str, scroll: int = 0) -> None:
        """Take a picture when the page has settled, scrolled down by ``scroll`` pixels."""
        time.sleep(SECONDS_TO_SETTLE)
        self.page.evaluate(f"[...document.querySelectorAll('*')].forEach(e => e.scrollTop += {scroll})")
        time.sleep(SECONDS_TO_SETTLE)
        file = FOLDER / f"{name}.png"
        self.page.screenshot(file)
        with Image.open(file) as picture:
            picture.convert("RGB").quantize(COLORS).save(file, optimize=True)

    def form(self, deployment: str, **given: object) -> None:
        """Open the form of a deployment with changed fields."""
        found = self.api(f"deployments/name/{deployment}")
        parameters = quote(json.dumps({**found["parameters"], **given}))
        self.page.open(f"{self.address}/v2/deployments/deployment/{found['id']}/run?parameters={parameters}")
        self.page.wait_for("Additional Options")

    def submit(self) -> str:
        """Submit the form, open the run and return its id."""
        self.page.click("Submit", "button")
        self.page.click("View run")
        self.page.wait_for("Task Runs", "Artifacts")
        return self.page.address().split("/flow-run/")[1].split("?")[0]

    def state(self, *names: str) -> None:
        """Wait until the page of a run shows one of these states."""
        until = time.monotonic() + SECONDS_AT_MOST
        while not any(f"\n{name}\n" in self.page.text() for name in names):
            assert time.monotonic() < until, names
            time.sleep(1)

    def tab(self, name: str) -> None:
        """Open a tab of a run's page."""
        self.page.click(name, "[role=tab]")

    def artifact(self, key: str) -> None:
        """Open the newest artifact of a key."""
        self.page.open(f"{self.address}/v2/artifacts/key/{key}")
        self.page.click("", "a[href*='/artifacts/artifact/']")
        self.page.wait_for(key)


def process_of(run: str) -> int:
    """Return the process that computes a run, found by its environment."""
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PREFECT__FLOW_RUN_ID={run}".encode() in entry.read_bytes().split(b"\0"):
                return int(entry.parent.name)
        except OSError:
            continue
    raise click.ClickException(f"no process of run {run}")


def weekly(walk: Walk) -> None:
    """Take pictures of the form, the run, its artifacts and its report."""
    found = walk.api("deployments/name/weekly_replenishment/weekly-demo-slice")
    walk.page.open(f"{walk.address}/v2/deployments/deployment/{found['id']}")
    walk.page.wait_for("Schedules")
    walk.picture("1-weekly")
    walk.form("weekly_replenishment/weekly-demo-slice")
    walk.picture("2-form")
    walk.submit()
    walk.state("Running")
    walk.page.wait_for("rows read", seconds=SECONDS_AT_MOST)
    walk.picture("3-running")
    walk.state("Completed")
    walk.page.open(walk.page.address())
    walk.tab("Artifacts")
    walk.picture("4-artifacts", scroll=400)
    for number, name in enumerate(("costs", "publication"), start=6):
        walk.artifact(f"{name}-demo-slice")
        walk.picture(f"{number}-{name}")
    walk.page.click("report.html", "a")
    walk.page.wait_for("Target stock")
    walk.picture("8-report")


def backfill(walk: Walk) -> None:
    """Take pictures of a backfill of four weeks that is killed and started again."""
    walk.form("backfill/backfill-demo-slice")
    walk.picture("9-backfill-form")
    killed = walk.submit()
    walk.page.wait_for("published", seconds=SECONDS_AT_MOST)
    os.kill(process_of(killed), signal.SIGKILL)
    walk.state("Crashed")
    walk.page.open(walk.page.address())
    walk.picture("10-killed")
    walk.form("backfill/backfill-demo-slice")
    walk.submit()
    walk.state("Completed")
    walk.page.open(walk.page.address())
    walk.picture("11-backfill")
    walk.artifact("backfill-demo-slice")
    walk.picture("12-backfill-summary")


def approval(walk: Walk) -> None:
    """Take pictures of a run that waits for approval, its form, and a rejection."""
    walk.form("weekly_replenishment/weekly-demo-slice", as_of=WEEK_TO_REJECT, approve_before_publishing=True)
    walk.submit()
    walk.state("Suspended")
    walk.page.open(walk.page.address())
    walk.page.click("Open menu", "button")
    walk.page.click("Resume", "[role=menuitem]")
    walk.page.click("Decision", "label")
    walk.page.click("reject", "[role=option]")
    walk.page.fill("Name", "Ana")
    walk.picture("13-approval")
    walk.page.fill("Note", "stock of store 3 is wrong")
    walk.page.click("Resume", "[role=dialog] button")
    walk.state("Failed")
    walk.page.open(walk.page.address())
    walk.tab("Details")
    walk.picture("14-rejected", scroll=400)


@click.command()
@click.option("--address", default="http://127.0.0.1:4200", show_default=True, help="Address of the server.")
@click.option("--part", "parts", multiple=True, type=click.Choice(["weekly", "backfill", "approval"]))
def take(address: str, parts: tuple[str, ...]) -> None:
    """Take every picture, or those of the given parts."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, chromium.browser(Path(profile)) as page:
        walk = Walk(page, address)
        for name, part in {"weekly": weekly, "backfill": backfill, "approval": approval}.items():
            if not parts or name in parts:
                part(walk)


if __name__ == "__main__":
    take()
