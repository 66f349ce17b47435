"""The report in a browser: the script runs under the page's security policy, and the page fits small screens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from tasks.report.page import ReportData, render_report
from tests.browser import chromium
from tests.publication import fake_run

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        chromium.program() is None, reason="Chromium is not installed (Debian: apt-get install chromium)"
    ),
]
# The visible cells of a column of the table of what to send by store and SKU.
CELLS = """
[...document.querySelectorAll('#week table.grid')[1].tBodies[0].rows].filter(row => !row.hidden)
    .map(row => row.cells[%d].textContent)
"""
STORE, SKU, PRODUCT, TARGET, TO_SEND = range(5)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = replace(fake_run.outputs(3, 4), history=None, stock_by_day=None)
    skus = sorted(outputs.replenishment[c.SKU].unique())
    names = [f"Zapato niño {sku} <img src=x onerror=alert(1)>" for sku in skus]
    products = pd.DataFrame({c.SKU: skus, c.PRODUCT_NAME: names, c.UNIT_PRICE: 10.0})
    run = fake_run.context(language="es", currency="CLP")
    data = ReportData(run, replace(outputs, products=products), fake_run.facts(), None, "v")
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(data), encoding="utf-8")
    return path


@pytest.fixture
def page(report: Path, tmp_path: Path) -> Iterator[chromium.Page]:
    with chromium.browser(tmp_path) as opened:
        opened.open(report.as_uri())
        yield opened


def shown(page: chromium.Page, column: int) -> list[str]:
    return list(page.evaluate(CELLS % column))


def type_into(page: chromium.Page, selector: str, text: str) -> None:
    page.evaluate(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(text)};"
        " e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); })()"
    )


def test_rows_are_searched_filtered_and_sorted(page: chromium.Page) -> None:
    assert len(shown(page, STORE)) == 36
    type_into(page, "#week .tools input", "NINO 001-37")
    assert set(shown(page, SKU)) == {"001-37"}
    type_into(page, "#week .tools input", "")
    type_into(page, "#week .tools select", "102")
    assert set(shown(page, STORE)) == {"102"}
    type_into(page, "#week .tools select", "")
    type_into(page, "#find", "003-36")
    assert set(shown(page, SKU)) == {"003-36"}
    type_into(page, "#find", "")
    head = f"document.querySelectorAll('#week table.grid')[1].tHead.rows[0].cells[{TO_SEND}]"
    for order in (-1, 1):
        page.evaluate(f"{head}.click()")
        units = [int(text.replace(".", "")) for text in shown(page, TO_SEND)]
        assert units == sorted(units, key=lambda value, order=order: order * value)


def test_markup_in_the_data_is_text_and_other_scripts_do_not_run(page: chromium.Page) -> None:
    assert "<img src=x onerror=alert(1)>" in shown(page, PRODUCT)[0]
    assert page.evaluate("document.querySelectorAll('td img').length") == 0
    inline = "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
    page.evaluate(f"{inline} document.body.append(s); }})()")
    assert page.evaluate("window.ran === undefined")


@pytest.mark.parametrize("width", [420, 1280])
def test_the_page_is_not_wider_than_the_screen(page: chromium.Page, width: int) -> None:
    page.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('header')).backgroundColor") == "rgb(29, 41, 53)"


def test_without_scripts_every_row_is_visible(report: Path, tmp_path: Path) -> None:
    with chromium.browser(tmp_path) as opened:
        opened.command("Emulation.setScriptExecutionDisabled", value=True)
        opened.open(report.as_uri())
        opened.command("Emulation.setScriptExecutionDisabled", value=False)
        assert opened.evaluate("document.querySelectorAll('.tools, tr[hidden]').length") == 0
        assert len(shown(opened, STORE)) == 36
