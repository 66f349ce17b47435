"""The planner's app in a browser: pages, filters, statuses, and names that must stay text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tasks.app.ui import local_time
from tests.browser import chromium
from tests.browser.app_server import SINCE, FakeRuns, ServedApp, copy_with_names, served_app

pytestmark = [
    pytest.mark.flow,
    pytest.mark.system,
    pytest.mark.skipif(
        chromium.program() is None, reason="Chromium is not installed (Debian: apt-get install chromium)"
    ),
]
RUNS = FakeRuns()
# The texts of a column of a table, in the order of the screen.
CELLS = """
[...document.querySelectorAll('.ag-row')].sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))
    .map(row => row.querySelector('[col-id="%s"]')?.innerText)
"""


@pytest.fixture(scope="module")
def app(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    with served_app(copy_with_names(published, tmp_path_factory.mktemp("app")), RUNS) as served:
        yield served


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    with chromium.browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


def cells(page: chromium.Page, column: str) -> list[str]:
    return [text for text in page.evaluate(CELLS % column) if text]


def write(page: chromium.Page, selector: str, text: str) -> None:
    """Replace the text of a field by typing."""
    page.evaluate(f"(e => {{ e.focus(); e.select() }})(document.querySelector({selector!r}))")
    page.command("Input.insertText", text=text)
    for kind in ("keyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)


def test_this_week_shows_what_to_send_and_names_stay_text(page: chromium.Page, app: ServedApp) -> None:
    page.open(app.address)
    page.wait_for(
        "What to do this week", "To send this week", "To send by store and SKU", "<script>window.ran=1</script>"
    )
    assert page.evaluate("window.ran === undefined")
    assert page.evaluate("document.querySelectorAll('#page img').length") == 0
    assert len(cells(page, "sku")) == 12
    write(page, "#lines-search", "NINO")
    page.until(lambda: cells(page, "product_name") == ["👟 niño"] * 3, "the search to filter the rows")
    page.click("0013", "a")
    page.wait_for("Demand and forecast of 0013", "Why this target", "👟 niño", "Stock of store")


def test_an_exception_is_accepted_and_stays_so(page: chromium.Page, app: ServedApp) -> None:
    page.open(f"{app.address}/exceptions")
    page.wait_for("1 open, value", "large change", "now")
    page.click("Accept all that are shown", "button")
    page.wait_for("Enter your name at the top of the page first")
    write(page, "#planner", "Ana <i>")
    page.click("Accept all that are shown", "button")
    page.wait_for("0 open, value", "1 accepted, value")
    page.until(lambda: not cells(page, "kind"), "the accepted row to leave the list of open ones")
    page.open(f"{app.address}/exceptions")  # as after a lost connection: the server has kept it
    page.wait_for("0 open, value", "1 accepted, value")


@pytest.mark.parametrize("width", [820, 1280])
@pytest.mark.parametrize(
    "path", ["/", "/exceptions", "/series?store=north%2F1&sku=10", "/overrides", "/what-if", "/approve", "/operations"]
)
def test_pages_fit_the_screen(page: chromium.Page, app: ServedApp, path: str, width: int) -> None:
    page.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    page.open(f"{app.address}{path}")
    page.wait_for("This week", "Exceptions")
    page.until(lambda: len(page.evaluate("document.querySelector('#page')?.innerText ?? ''")) > 100, "the page")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_requests_for_another_host_or_from_another_page_are_refused(app: ServedApp) -> None:
    assert httpx.get(app.address, headers={"Host": "evil.example"}).status_code == 421
    update = f"{app.address}/_dash-update-component"
    assert httpx.post(update, json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    answer = httpx.get(app.address)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text), "nothing is loaded from elsewhere"


def type_in_cell(page: chromium.Page, column: str, text: str) -> None:
    """Replace the text of a cell of the first row by typing."""
    cell = f'document.querySelector(\'.ag-row[row-index="0"] [col-id="{column}"]\')'
    page.until(lambda: page.evaluate(f"{cell} !== null"), f"a cell of {column}")
    x, y = page.evaluate(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({cell}.getBoundingClientRect())")
    for count in (1, 2):
        for kind in ("mousePressed", "mouseReleased"):
            page.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)
    page.until(lambda: page.evaluate(f"{cell}.querySelector('input') !== null"), f"the editor of {column}")
    page.evaluate("document.activeElement.select()")
    page.command("Input.insertText", text=text)
    for kind in ("keyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)
    page.until(lambda: page.evaluate(f"{cell}.innerText") == text, f"{column} to be {text}")


def test_the_page_says_that_the_app_does_not_answer_until_it_does(page: chromium.Page, app: ServedApp) -> None:
    silence, offline = "The app does not answer.", {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.open(app.address)
    page.wait_for("What to do this week")
    assert silence not in page.text()
    page.command("Network.enable")
    page.command("Network.emulateNetworkConditions", offline=True, **offline)
    page.click("Exceptions")
    page.wait_for(silence, "What to do this week")
    page.command("Network.emulateNetworkConditions", offline=False, **offline)
    page.command("Network.disable")
    page.click("Overrides")
    page.wait_for("Author")
    assert page.is_gone(silence)


def test_an_override_is_checked_previewed_and_saved(page: chromium.Page, app: ServedApp) -> None:
    page.open(f"{app.address}/overrides?store=001&sku=10")
    page.wait_for("Effect on this run", "rejected", "reason: empty")
    write(page, "#planner", "Ana <i>")
    type_in_cell(page, "value", "1000")
    type_in_cell(page, "reason", "fair & co")
    page.wait_for("1 target changes", "Above a limit: store 001", "capacity 400")
    page.click("Save", "button")
    page.wait_for("1 override saved.")
    saved = (app.settings.parent / "overrides.csv").read_text("utf-8")
    assert saved.splitlines()[1].startswith("001,10,,2024-07-01,2024-07-14,set,1000,fair & co,")


def test_a_waiting_run_is_compared_and_approved(page: chromium.Page, app: ServedApp) -> None:
    page.open(f"{app.address}/approve")
    page.evaluate("localStorage.clear()")  # the browser keeps the name of the other tests
    page.open(f"{app.address}/approve")
    page.wait_for("weekly replenishment", f"waits since {local_time(SINCE)}", "Against the run of 24 Jun 2024")
    page.wait_for("A file of this run date is published already. Targets that differ from it: 1")
    page.click("Approve and publish", "button")
    page.wait_for("Enter your name at the top of the page first.")
    write(page, "#planner", "Ana")
    page.click("Approve and publish", "button")
    page.wait_for("Approved. The run resumes")
    assert "Enter your name" not in page.text()
    assert page.evaluate("[...document.querySelectorAll('.tools button')].every(button => button.disabled)")
    assert RUNS.answers == [("run-1", "approve", "Ana", "")]


def test_a_challenger_is_promoted_and_reverted(page: chromium.Page, app: ServedApp) -> None:
    page.open(f"{app.address}/performance")
    page.wait_for("Promote the challenger theta <b> ...")
    write(page, "#planner", "Ana")
    page.click("Promote the challenger theta <b> ...", "summary")
    page.wait_for("Runs from this date use these settings: models.theta={}.")
    page.click("Reason", "label")
    page.command("Input.insertText", text="better in May")
    page.click("Promote although the comparison", "label")
    page.click("Promote", "button")
    page.wait_for("Promoted. Runs from", "theta <b> is in force for runs from", "promoted by Ana", "better in May")
    page.click("Revert this promotion ...", "summary")
    page.click("Reason", "label")
    page.command("Input.insertText", text="too slow")
    page.click("Revert", "button")
    page.wait_for("Reverted. Runs from", "too slow", "Promote the challenger theta <b> ...")


def test_a_scenario_is_shown_next_to_the_published_plan(page: chromium.Page, app: ServedApp) -> None:
    page.open(f"{app.address}/what-if")
    page.wait_for("Storage capacity, %")
    write(page, "#what-if-capacity", "30")
    page.click("Compute", "button")
    page.wait_for("Published plan and scenario", "Gap to the lower bound", "targets change")
