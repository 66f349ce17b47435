"""The Prefect UI as an operator uses it: the form of a run, its artifacts, an approval, a cancellation."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser import chromium
from tests.flows import mini_company
from tests.ports import HTTP
from tests.serving import Served

pytestmark = [
    pytest.mark.flow,
    pytest.mark.system,
    pytest.mark.skipif(
        chromium.program() is None, reason="Chromium is not installed (Debian: apt-get install chromium)"
    ),
]

SECONDS_TO_WAIT = 240
SECONDS_BETWEEN_LOOKS = 0.7  # each takes the server some hundredths of a second of processor time
# Far more than a test waits for, so that a cancellation meets the run at work.
ENDLESS = [
    *("expert.inventory.genetic.population=5000", "expert.inventory.genetic.generations=100000"),
    "expert.inventory.genetic.patience=100000",
]
TIMES_TO_ASK = 5
BUSY = "Unknown error while creating flow run"


def form(served: Served, **given: object) -> str:
    """Address of the form of the weekly run, with these fields filled in."""
    deployment = served.ask(f"deployments/name/weekly_replenishment/{served.deployment('weekly')}")["id"]
    parameters = quote(json.dumps({"settings_file": str(served.settings), "as_of": mini_company.AS_OF, **given}))
    return f"{served.address}/v2/deployments/deployment/{deployment}/run?parameters={parameters}"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    """An empty tab."""
    with chromium.browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


def submit(page: chromium.Page) -> str:
    """Send the form, go to the run and return its id."""
    page.wait_for("Additional Options")
    page.click("Submit", "button")
    if page.wait_for_any("View run", BUSY) == BUSY:
        # SQLite was locked for a moment; nothing was created.
        page.click("Submit", "button")
    page.click("View run")
    page.wait_for("Task Runs", "Artifacts")
    return page.address().split("/flow-run/")[1].split("?")[0]


def artifacts(served: Served, run: str) -> list[dict[str, Any]]:
    """What a run left as artifacts, the progress of its forecasts apart."""
    wanted = {"flow_runs": {"id": {"any_": [run]}}}
    found = HTTP.post(f"{served.address}/api/artifacts/filter", json=wanted)
    return [one for one in found.raise_for_status().json() if one["type"] not in ("progress", "result")]


def answer(page: chromium.Page) -> None:
    """Send the filled form of a waiting run; where SQLite was locked for a moment it stays open, to be sent again."""
    for _ in range(TIMES_TO_ASK):
        page.click("Resume", "[role=dialog] button")
        if page.is_gone("Provide input to resume"):
            return
    pytest.fail(f"the answer was not taken:\n{page.text()}")


def wait_for_state(page: chromium.Page, served: Served, run: str, name: str) -> None:
    """Wait for a state of a run; then its page, the one that is open, shows it."""
    wait_elsewhere(page, served, lambda: served.ask(f"flow_runs/{run}")["state"]["name"] == name, f"state {name}")
    page.wait_for(f"\n{name}\n")


def wait_elsewhere(page: chromium.Page, served: Served, met: Callable[[], bool], what: str) -> None:
    """Wait on a page without scripts: the UI asks the server and draws all the time, which takes most of a core."""
    address = page.address()
    page.open(f"{served.api}/health")
    page.until(met, what, SECONDS_TO_WAIT, SECONDS_BETWEEN_LOOKS)
    page.open(address)


def lines(served: Served, run: str) -> list[str]:
    """What a run has logged."""
    wanted = {"logs": {"flow_run_id": {"any_": [run]}}}
    found = HTTP.post(f"{served.address}/api/logs/filter", json=wanted)
    return [line["message"] for line in found.raise_for_status().json()]


def processes_of(run: str) -> list[int]:
    """The processes that compute a run, found by their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"PREFECT__FLOW_RUN_ID={run}".encode() in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found


def send(processes: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may have ended."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def test_a_run_is_started_from_the_form_and_leaves_artifacts_and_a_report(page: chromium.Page, served: Served) -> None:
    page.open(form(served))
    page.wait_for("Run date (YYYY-MM-DD)", "Run everything except the publication")
    run = submit(page)
    wait_for_state(page, served, run, "Completed")
    assert f"{mini_company.AS_OF} · " in page.text()

    page.click("Artifacts", "[role=tab]")
    page.wait_for("data-quality-mini", "costs-mini", "publication-mini", "report-mini")
    page.click("costs-mini", "a")
    page.click("", "a[href*='/artifacts/artifact/']")
    page.wait_for("Expected cost of each policy", "genetic")
    assert not [artifact for artifact in artifacts(served, run) if mini_company.AS_OF not in artifact["description"]]

    page.open(f"{served.address}/v2/artifacts/key/report-mini")
    page.wait_for(f"Published · mini, {mini_company.AS_OF}")
    page.click("", "a[href*='/artifacts/artifact/']")
    page.click("report.html", "a")
    page.wait_for("Replenishment · mini", "To send this week", "Target stock")


def test_a_rejected_file_is_not_published_and_the_run_says_by_whom(page: chromium.Page, served: Served) -> None:
    as_of = "2024-07-02"  # its last day has no sales yet: the approver must know
    page.open(form(served, as_of=as_of))
    page.click("approve_before_publishing", "label")
    run = submit(page)
    wait_for_state(page, served, run, "Suspended")
    page.click("Open menu", "button")
    page.click("Resume", "[role=menuitem]")
    page.wait_for(f"{as_of}: publish the replenishment file?", "sales end at 2024-06-30", "Decision")
    page.click("Decision", "label")
    page.click("reject", "[role=option]")
    page.fill("Name", "Tom")
    page.fill("Note", "stock is wrong")
    answer(page)
    wait_for_state(page, served, run, "Failed")
    assert "Tom rejected it: stock is wrong" in served.ask(f"flow_runs/{run}")["state"]["message"]
    assert (served.lake / "previews" / as_of / "report.html").exists()
    assert not (served.lake / "runs" / as_of).exists()


def test_a_cancelled_run_stops_and_leaves_nothing_half_written(page: chromium.Page, served: Served) -> None:
    as_of = "2024-06-17"
    page.open(form(served, as_of=as_of, overrides=ENDLESS))
    run = submit(page)
    at_work = "12 series, 168 periods of history"
    wait_elsewhere(page, served, lambda: any(at_work in line for line in lines(served, run)), at_work)
    # It waits while the browser finds its way: its search would take a core all the time.
    processes = processes_of(run)
    assert processes
    send(processes, signal.SIGSTOP)
    page.wait_for("\nRunning\n")
    page.click("Open menu", "button")
    page.click("Cancel", "[role=menuitem]")
    send(processes, signal.SIGCONT)
    page.click("Cancel Flow Run", "button")
    wait_for_state(page, served, run, "Cancelled")
    assert served.ask(f"flow_runs/{run}")["state"]["type"] == "CANCELLED"
    assert not [line for line in lines(served, run) if "Traceback" in line]
    assert not any((served.lake / kind / as_of).exists() for kind in ("runs", "previews"))
    assert not list((served.lake / ".tmp").iterdir())
