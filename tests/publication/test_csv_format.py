"""CSV files in the format of the settings ``output``."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import columns as c
from schemas.errors import PublicationError
from schemas.outputs import OVERRIDDEN, REJECTED_ROWS, TRANSFERS, OutputTable, csv_columns
from schemas.settings import OutputSettings
from schemas.spreadsheets import FORMULA_STARTS, neutralized, restored
from tasks.publication.csv_format import csv_bytes, read_csv_bytes

TABLE = OutputTable("t", "t.csv", (c.STORE_ID, c.DATE), (c.STORE_ID,), dates=(c.DATE,))
SPANISH = OutputSettings(
    delimiter=";", encoding="utf-8-sig", decimal=",", columns={"store_id": "Tienda", "date": "Día", "reason": "Motivo"}
)


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            c.STORE_ID: ["007", "ñ"],
            c.DATE: [pd.Timestamp("2025-01-31"), pd.NaT],
            c.TOTAL: [-1234.5, np.nan],
            c.N: [-3, 4],
            c.CHOSEN: [True, False],
            c.REASON: ["=1+1", None],
        }
    )


def written(output: OutputSettings, **changed: Any) -> bytes:
    given = frame().assign(**changed)
    return csv_bytes(given, list(given.columns), TABLE, output)


def test_file_opens_in_a_spanish_spreadsheet() -> None:
    data = written(SPANISH)
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.decode("utf-8-sig").splitlines() == [
        "Tienda;Día;total;n;chosen;Motivo",
        "007;2025-01-31;-1234,5;-3;True;'=1+1",
        "ñ;;;4;False;",
    ]


@pytest.mark.parametrize("output", [OutputSettings(), SPANISH, OutputSettings(delimiter="\t", encoding="utf-16")])
def test_file_reads_back_in_its_own_format(output: OutputSettings) -> None:
    found = read_csv_bytes(written(output), TABLE, output)
    expected = frame().assign(**{c.REASON: ["=1+1", ""]})
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_damaged_or_foreign_files_raise_an_error() -> None:
    for data, words in (
        (b"", "not a readable CSV file"),
        (b"store_id,date\n1\n", "expected rows with 2 fields"),
        (b"store_id\n1\n", "missing columns date; it has store_id"),
        (b"\xff\n", "not a readable CSV file"),
    ):
        with pytest.raises(PublicationError, match=words):
            read_csv_bytes(data, TABLE, OutputSettings())


def test_free_text_outside_the_encoding_is_replaced() -> None:
    assert b",=?" not in written(OutputSettings(encoding="latin-1"), reason=["靴", "x"])
    assert b",?\n" in written(OutputSettings(encoding="latin-1"), reason=["靴", "x"])


FORMULAS = st.tuples(st.sampled_from([*FORMULA_STARTS, "'=", "''@"]), st.text(max_size=8)).map("".join)


@example(["\x1f@"], ",")
@given(st.lists(FORMULAS | st.text(max_size=8), min_size=1, max_size=6), st.sampled_from([",", ";", "\t"]))
def test_no_text_cell_is_a_formula_and_every_text_reads_back(texts: list[str], delimiter: str) -> None:
    texts = [text.replace("\x00", "").encode("utf-8", "ignore").decode() for text in texts]
    given = pd.DataFrame(
        {c.STORE_ID: "1", c.SKU: texts, c.CATEGORY: texts, "planned": 1, c.TARGET_QUANTITY: 2, "overrides": texts}
    )
    output = OutputSettings(delimiter=delimiter)
    data = csv_bytes(given, list(given.columns), OVERRIDDEN, output)
    rows = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))
    for cell in (cell for row in rows for cell in row):
        assert not cell.lstrip().startswith(FORMULA_STARTS) or re.fullmatch(r"[+-]\d[\d.,]*([eE][+-]?\d+)?", cell)
    assert read_csv_bytes(data, OVERRIDDEN, output)[c.SKU].tolist() == texts


@pytest.mark.parametrize("text", ["-5", "+1,5", "-1.234,50", "-1e-05"])
def test_numbers_stay_numbers(text: str) -> None:
    assert neutralized(text) == restored(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("=5", "-A", "+", "-", "@x", "\t1", "\r=", "\n=", "-1+cmd|' /C calc'!A0", "=-5"),
        *("\uff1d1", "\uff20x", " =1", "\u200b+a", "\ufeff=1", "\x00=1"),
    ],
)
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert neutralized(text) == f"'{text}"
    assert restored(neutralized(text)) == text


def test_rejected_rows_keep_the_column_names_of_their_file() -> None:
    output = OutputSettings(columns={"reason": "Motivo", "store_id": "Tienda"})
    bad = pd.DataFrame({c.TABLE: ["sales"], c.ROW_NUMBER: [3], c.REASON: ["-x"], c.STORE_ID: ["=A1"], "Uns": ["-5"]})
    data = csv_bytes(bad, list(bad.columns), REJECTED_ROWS, output)
    assert data == b"table,row_number,reason,store_id,Uns\nsales,3,'-x,'=A1,-5\n"


def test_transfers_contain_ids_unchanged_under_the_names_of_the_erp() -> None:
    output = OutputSettings(
        columns={"from": "FromWhsCod", "store_id": "WhsCode", "sku": "ItemCode", "delivery_date": "DocDueDate"}
    )
    rows = pd.DataFrame({c.FROM: ["DC"], c.STORE_ID: ["@1"], c.SKU: ["-A"], c.QUANTITY: [6]})
    rows[c.DELIVERY_DATE] = pd.Timestamp("2025-01-31")
    data = csv_bytes(rows, TRANSFERS.columns, TRANSFERS, output)
    assert data == b"FromWhsCod,WhsCode,ItemCode,quantity,DocDueDate\nDC,@1,-A,6,2025-01-31\n"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"encoding": "utf-9"}, "unknown text encoding"),
        ({"encoding": "base64"}, "unknown text encoding"),
        ({"delimiter": '"'}, "cannot separate fields"),
        ({"decimal": ","}, "delimiter and decimal are both ,"),
        ({"columns": {"sku": "store_id"}}, "two columns of replenishment.csv would be called store_id"),
        ({"columns": {"quantity": "sku"}}, "two columns of transfers.csv would be called sku"),
        ({"columns": {"skus": "x"}}, "no CSV file has the columns skus; expected "),
        ({"encoding": "ascii", "columns": {"sku": "Artículo"}}, "cannot be written in ascii"),
        ({"extra_columns": ["name"]}, "to_send"),
    ],
)
def test_settings_that_no_file_can_follow_are_errors(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OutputSettings(**given)
    assert words in str(caught.value)


def test_every_csv_file_with_fixed_columns_can_be_renamed() -> None:
    assert set(csv_columns()) == {
        *("replenishment.csv", "transfers.csv", "deliveries.csv", "visits.csv", "levels.csv", "costs.csv"),
        *("shortages.csv", "overrides.csv"),
    }


def test_the_examples_of_the_contract_are_valid_column_names() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "contract.md").read_text("utf-8")
    examples = [yaml.safe_load(found) for found in re.findall(r"`(\{from: [^`]*\})`", page)]
    assert len(examples) == 3
    for columns in examples:
        assert OutputSettings(columns=columns).columns == columns
