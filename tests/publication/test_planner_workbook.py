"""The planner's workbook of a run."""

from __future__ import annotations

import csv
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from schemas import columns as c
from schemas.outputs import RunOutputs
from tasks.publication.planner_workbook import write_planner_workbook
from tasks.publication.to_send import with_quantities_to_send
from tests.publication import fake_run
from tests.report.test_reasons import explanation

pytestmark = pytest.mark.slow

RUN = fake_run.context(
    currency="CLP",
    output={"columns": {"sku": "Cod", "quantity": "Cantidad"}},
    sources={
        **{name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")},
        "overrides": {"path": "o.csv", "columns": {"sku": "Codigo"}},
    },
)
OVERRIDE = {
    "number": 1, "store_id": "101", "sku": None, "category": None, "date_from": "2025-01-02",
    "date_to": "2262-04-11", "action": "cap", "value": 3.0, "reason": "=small", "author": "ana",
    "status": "applied", "pairs": 2, "changed_pairs": 1, "units": -4,
}  # fmt: skip


def outputs() -> RunOutputs:
    table = pd.DataFrame(
        [
            explanation(store_id="101", sku="000-36", category="boots", sku_forecast=50.0, limit="DC stock"),
            explanation(store_id="102", sku="000-36", category="boots", on_hand=90.0),
        ]
    )
    rejected = {
        c.TABLE: "overrides", c.FILE: "/secret/place/o.csv", c.ROW_NUMBER: 4, c.REASON: "value: no number",
        "Codigo": "000-37", "store_id": "101", "value": "many", "reason (in the file)": "typo", "author": "tom",
    }  # fmt: skip
    good = fake_run.outputs()
    given = replace(
        good,
        explanations=table,
        replenishment=table[[c.STORE_ID, c.SKU, c.TARGET_QUANTITY, c.CATEGORY]],
        quarantine=pd.concat([good.quarantine, pd.DataFrame([rejected])], ignore_index=True),
        products=pd.DataFrame(
            {c.SKU: ["000-36", "000-37"], c.PRODUCT_NAME: ["=Boot", "Boot 37"], c.UNIT_PRICE: [10.0, 1.0]}
        ),
    )
    return with_quantities_to_send(given, "BOD")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("book")
    write_planner_workbook(folder, outputs(), fake_run.facts(overrides=[OVERRIDE]), RUN)
    return openpyxl.load_workbook(folder / "replenishment.xlsx")


def rows(page: Any) -> list[dict[str, Any]]:
    names = [cell.value for cell in page[1]]
    return [dict(zip(names, (cell.value for cell in row), strict=True)) for row in page.iter_rows(min_row=2)]


def test_sheets_are_in_the_order_of_the_week(book: Any) -> None:
    assert book.sheetnames == ["Send", "Targets", "Exceptions", "Forecast", "Costs", "Overrides", "Rejected rows"]


def test_send_lists_the_transfers_with_names_and_value(book: Any) -> None:
    (row,) = rows(book["Send"])
    day = pd.Timestamp("2025-01-02").to_pydatetime()
    assert row == {
        "from": "BOD", "store_id": "101", "Cod": "000-36", "product_name": "=Boot", "category": "boots", "Cantidad": 4,
        "delivery_date": day, "on_hand": 2, "in_transit": 1, "target_quantity": 7, "money": 40,
    }  # fmt: skip
    assert book["Send"]["D2"].data_type == "s"
    assert book["Send"]["K2"].number_format == '#,##0 "CLP"'


def test_targets_have_stock_forecast_and_constraint(book: Any) -> None:
    first, second = rows(book["Targets"])
    assert (first["Cod"], first["target_quantity"], first["to_send"], first["limit"]) == ("000-36", 7, 4, "DC stock")
    assert (second["to_send"], second["on_hand"], second["sku_forecast"]) == (0, 90, 5.7)


def test_exceptions_start_with_the_largest_amount(book: Any) -> None:
    found = rows(book["Exceptions"])
    assert [row["kind"] for row in found][:2] == ["overstock", "cut by a constraint"]
    assert found[1]["money"] == 430


def test_forecast_adds_up_the_champion_by_week(book: Any) -> None:
    given = fake_run.outputs().forecast
    champion = given[given[c.CHAMPION]]
    found = pd.DataFrame(rows(book["Forecast"]))
    assert len(found) == 6 * 2
    assert found[c.UNITS].sum() == pytest.approx(champion[c.MEAN].sum())
    first = found.iloc[0]
    days = champion[(champion[c.STORE_ID] == first[c.STORE_ID]) & (champion[c.CATEGORY] == first[c.CATEGORY])]
    days = days[days[c.DATE].between(first[c.DATE_FROM], first[c.DATE_TO])]
    assert len(days) == 7
    assert first[c.UNITS] == pytest.approx(days[c.MEAN].sum())


def test_overrides_are_applied_or_rejected_with_their_problem(book: Any) -> None:
    applied, rejected = rows(book["Overrides"])
    assert (applied["number"], applied["reason"], applied["status"], applied["units"]) == (1, "=small", "applied", -4)
    assert applied["date_from"] == pd.Timestamp("2025-01-02").to_pydatetime()
    assert (rejected["Cod"], rejected["product_name"], rejected["reason"]) == ("000-37", "Boot 37", "typo")
    assert (rejected["status"], rejected["problem"]) == ("rejected", "row 4: value: no number")


def test_the_words_of_overrides_follow_the_language(tmp_path: Path) -> None:
    spanish = RUN.model_copy(update={"settings": RUN.settings.model_copy(update={"language": "es"})})
    write_planner_workbook(tmp_path, outputs(), fake_run.facts(overrides=[OVERRIDE]), spanish)
    found = rows(openpyxl.load_workbook(tmp_path / "replenishment.xlsx")["Overrides"])
    assert [row["status"] for row in found] == ["aplicada", "rechazada"]


def test_rejected_rows_are_shown_as_in_their_file(book: Any) -> None:
    override, sale = rows(book["Rejected rows"])
    assert sale == {
        "table": "sales",
        "file": "sales.csv",
        "row_number": 17,
        "reason": "units: no number",
        "row": "Uns=x",
    }
    assert override["file"] == "o.csv"
    assert "Codigo=000-37; store_id=101; value=many" in override["row"]


@pytest.mark.parametrize(("frequency", "as_of", "blocks"), [("W-MON", "2025-01-06", 4), ("MS", "2025-01-01", 4)])
def test_weeks_and_months_have_one_row_per_period(tmp_path: Path, frequency: str, as_of: str, blocks: int) -> None:
    labels = pd.date_range(as_of, periods=4, freq=frequency)
    forecast = pd.DataFrame({c.STORE_ID: "1", c.CATEGORY: "x", c.DATE: labels, c.MODEL: "m", c.MEAN: 2.0})
    run = fake_run.context(frequency=frequency, horizon=4, as_of=pd.Timestamp(as_of).date(), backtest={})
    given = replace(fake_run.outputs(), forecast=forecast.assign(**{c.CHAMPION: True}))
    write_planner_workbook(tmp_path, given, fake_run.facts(), run)
    found = rows(openpyxl.load_workbook(tmp_path / "replenishment.xlsx")["Forecast"])
    assert [row["date_from"] for row in found] == list(labels.to_pydatetime())
    assert [row["units"] for row in found] == [2] * blocks
    assert found[0]["date_to"] == (labels[1] - pd.Timedelta(days=1)).to_pydatetime()


def test_words_of_the_plan_are_in_the_language_of_the_settings(tmp_path: Path) -> None:
    write_planner_workbook(tmp_path, outputs(), fake_run.facts(), fake_run.context(language="es"))
    found = openpyxl.load_workbook(tmp_path / "replenishment.xlsx")
    assert [row["limit"] for row in rows(found["Targets"])] == ["stock del CD", "stock del CD"]
    kinds = [row["kind"] for row in rows(found["Exceptions"])]
    assert kinds[:2] == ["exceso de stock", "recortado por una restricción"]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed: the workbook is not opened")
def test_a_spanish_libreoffice_reads_ids_as_text_and_numbers_and_dates_as_such(book: Any, tmp_path: Path) -> None:
    book.save(tmp_path / "replenishment.xlsx")
    sheets = "csv:Text - txt - csv (StarCalc):59,34,76,1,,0,false,true,false,false,false,-1"
    program = ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless"]
    subprocess.run(
        [*program, "--convert-to", sheets, "--outdir", tmp_path, tmp_path / "replenishment.xlsx"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "es_ES.UTF-8"},
        check=True,
        capture_output=True,
        timeout=300,
    )

    def read(sheet: str) -> list[dict[str, str]]:
        text = (tmp_path / f"replenishment-{sheet}.csv").read_text(encoding="utf-8")
        return list(csv.DictReader(text.splitlines(), delimiter=";"))

    (row,) = read("Send")
    found = [row[name] for name in ("Cod", "product_name", "Cantidad", "delivery_date")]
    assert found == ["000-36", "=Boot", "4", "2025-01-02"]
    assert read("Targets")[1]["sku_forecast"] == "5,7"
    assert float(read("Forecast")[0]["units"].replace(",", ".")) == pytest.approx(rows(book["Forecast"])[0]["units"])
