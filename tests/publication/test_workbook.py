"""Excel workbooks: types of cells, formulas, limits and bytes."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from tasks.publication import workbook
from tasks.publication.workbook import Sheet, write_workbook

DAY = date(2025, 1, 2)


def written(folder: Path, *sheets: Sheet, **options: Any) -> Any:
    path = folder / "t.xlsx"
    write_workbook(path, sheets, DAY, **options)
    return openpyxl.load_workbook(path)


def xml(folder: Path, name: str = "xl/worksheets/sheet1.xml") -> str:
    with zipfile.ZipFile(folder / "t.xlsx") as archive:
        return archive.read(name).decode()


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sku": ["0012", "7"],
            "units": [3, 1200],
            "share": [0.25, np.nan],
            "money": [10.4, 1e6],
            "factor": [1.25, 12.0],
            "stock": [2.5, 3.0],
            "date": [pd.Timestamp("2025-01-31"), pd.NaT],
            "chosen": [True, False],
        }
    )


def test_ids_are_text_and_numbers_and_dates_are_native(tmp_path: Path) -> None:
    sheet = Sheet("One", frame(), money=("money",), percent=("share",), general=("factor",))
    page = written(tmp_path, sheet, currency="CLP")["One"]
    assert [cell.value for cell in page[1]] == ["sku", "units", "share", "money", "factor", "stock", "date", "chosen"]
    assert [(cell.value, cell.data_type, cell.number_format) for cell in page[2]] == [
        ("0012", "s", "@"),
        (3, "n", "#,##0"),
        (0.25, "n", "0.0%"),
        (10.4, "n", '#,##0 "CLP"'),
        (1.25, "n", "General"),
        (2.5, "n", "#,##0.0"),
        (datetime(2025, 1, 31), "d", "yyyy-mm-dd"),
        (True, "b", "General"),
    ]
    assert [cell.value for cell in page[3]] == ["7", 1200, None, 1_000_000, 12, 3, None, False]


def test_header_is_frozen_and_filtered_and_columns_fit(tmp_path: Path) -> None:
    names = pd.DataFrame({"sku": ["1"], "name": ["x" * 30], "reason": ["y" * 300]})
    page = written(tmp_path, Sheet("One", names), header={"sku": "Artículo"})["One"]
    assert page.freeze_panes == "A2"
    assert page.auto_filter.ref == "A1:C2"
    assert page["A1"].value == "Artículo"
    assert page["A1"].font.bold
    assert [page.column_dimensions[letter].width for letter in "ABC"] == [12, 32, 60]


def test_a_column_of_money_fits_the_name_of_the_currency(tmp_path: Path) -> None:
    page = written(tmp_path, Sheet("One", frame()[["money"]], money=("money",)), currency="pesos")["One"]
    assert page.column_dimensions["A"].width >= len("1,000,000 pesos")


def test_a_printed_page_has_all_columns_and_the_header(tmp_path: Path) -> None:
    page = written(tmp_path, Sheet("One", frame()))["One"]
    assert page.sheet_properties.pageSetUpPr.fitToPage
    assert (page.page_setup.orientation, page.page_setup.fitToHeight, page.print_title_rows) == (
        "landscape",
        0,
        "$1:$1",
    )


@pytest.mark.parametrize("text", ["=1+1", '=HYPERLINK("http://x")', "+A1", "-A1", "@A1", "#N/A", "\t=1", "=-5"])
def test_no_text_is_a_formula(tmp_path: Path, text: str) -> None:
    book = written(tmp_path, Sheet("One", pd.DataFrame({text: [text], "n": [-5]})))
    cells = [book["One"]["A1"], book["One"]["A2"]]
    assert [(cell.value, cell.data_type) for cell in cells] == [(text, "s")] * 2
    assert [cell.quotePrefix for cell in cells] == [not text.startswith("#")] * 2
    assert book["One"]["B2"].value == -5
    assert "<f" not in xml(tmp_path)


def test_characters_that_xml_does_not_allow_are_left_out(tmp_path: Path) -> None:
    page = written(tmp_path, Sheet("One", pd.DataFrame({"a": ["x\x00\x0b\ud800\ufffey\n<&", "z" * 40_000]})))["One"]
    assert page["A2"].value == "xy\n<&"
    assert len(page["A3"].value) == 32_767


def test_equal_content_gives_equal_bytes_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, Sheet("One", frame()))
    first = (tmp_path / "t.xlsx").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    written(tmp_path, Sheet("One", frame()))
    assert (tmp_path / "t.xlsx").read_bytes() == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    stamps = re.findall(r"<dcterms:\w+[^>]*>([^<]*)<", xml(tmp_path, "docProps/core.xml"))
    assert stamps == ["2025-01-02T00:00:00Z"] * 2


def test_sheet_above_the_limit_keeps_the_largest_rows_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 2)
    rows = pd.DataFrame({"sku": ["a", "b", "c"], "units": [5, 1, 7]})
    book = written(tmp_path, Sheet("Most", rows, "rows.csv", largest="units"), Sheet("First", rows))
    assert [[cell.value for cell in row] for row in book["Most"]] == [
        ["sku", "units"],
        ["a", 5],
        ["c", 7],
        ["2 of 3 rows: the rows with the largest units. All rows: rows.csv.", None],
    ]
    assert book["Most"].auto_filter.ref == "A1:B3"
    assert [row[0].value for row in book["First"]] == ["sku", "a", "b", "2 of 3 rows: the first rows."]


def test_empty_table_has_a_header(tmp_path: Path) -> None:
    page = written(tmp_path, Sheet("One", frame().iloc[:0]))["One"]
    assert page.max_row == 1
    assert page.auto_filter.ref == "A1:H1"
