"""The six real data sets next to the checkout, from file to validated table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import DataContractError
from schemas.raw import RawTable, as_text
from schemas.settings import Settings
from tasks.configuration.settings_file import load_settings
from tasks.demand.ingest.validation import validate_tables
from tasks.storage.source_files import expand_sources, read_tables
from tests.breadth import sample

DATA = Path(__file__).parents[3].parent / "shared" / "data"
ROWS = {
    "departments_weekly": {"stores": 45, "products": 81, "sales": 294_132, "calendar": 8_190},
    "drugstores_daily": {"stores": 1_115, "products": 1, "sales": 780_829, "calendar": 846_614},
    "grocery_weekly": {"stores": 67, "products": 297, "sales": 94_043, "stock": 599, "availability": 94_043},
    "sports_weekly": {"stores": 326, "products": 4, "sales": 244_923},
    "sportswear_sizes": {"stores": 1, "products": 12_666, "sales": 98_951},
    "supermarkets_daily": {"stores": 10, "products": 7, "sales": 133_910, "calendar": 1_969},
}

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not next to this checkout"),
]


def load(name: str) -> tuple[dict[str, RawTable], Settings]:
    settings = load_settings(DATA / name / "settings.yaml")
    return read_tables(expand_sources(settings.sources), settings.sources), settings


@pytest.mark.parametrize("name", sample(ROWS, ["grocery_weekly", "sportswear_sizes"]))
def test_all_rows_are_accepted(name: str) -> None:
    raw, settings = load(name)
    result = validate_tables(raw, settings)
    assert {table: len(frame) for table, frame in result.tables.items()} == ROWS[name]
    assert result.quarantine.empty
    sales = result.tables["sales"]
    assert sales[c.STORE_ID].map(type).eq(str).all()
    assert not sales[c.STORE_ID].str.endswith(".0").any()
    assert settings.period.fits(sales[c.DATE]).all()


def spoilt(raw: RawTable, rows: int) -> RawTable:
    """The table with a text, an unknown store, a date off the frequency and an infinity in ``rows`` rows each."""
    frame = raw.frame.apply(as_text).astype(object)
    column = {name: frame.columns.get_loc(name) for name in (c.UNITS, c.STORE_ID, c.DATE)}
    frame.iloc[:rows, column[c.UNITS]] = "many"
    frame.iloc[rows : 2 * rows, column[c.STORE_ID]] = [f"nowhere {row}" for row in range(rows)]
    frame.iloc[2 * rows : 3 * rows, column[c.DATE]] = "2021-05-05"
    frame.iloc[3 * rows : 4 * rows, column[c.UNITS]] = "inf"
    return RawTable(raw.name, frame.apply(as_text), raw.file, raw.row_number, raw.files)


def test_bad_rows_below_the_limit_are_set_aside_and_above_it_stop_the_run() -> None:
    raw, settings = load("grocery_weekly")
    result = validate_tables({**raw, "sales": spoilt(raw["sales"], 100)}, settings)
    assert {reason: count for _, reason, count in result.reasons} == {
        "units: not a number": 100,
        "store_id: not in table stores": 100,
        "date: no period of frequency W-MON begins there": 100,
        "units: infinite": 100,
    }
    assert len(result.quarantine) == 400
    assert len(result.tables["sales"]) == 94_043 - 400
    pd.testing.assert_series_equal(
        result.quarantine[c.ROW_NUMBER], pd.Series(np.arange(1, 401), name=c.ROW_NUMBER), check_dtype=False
    )
    with pytest.raises(DataContractError, match=r"sales: 1,200 of 94,043 rows are bad \(1.3%\)"):
        validate_tables({**raw, "sales": spoilt(raw["sales"], 300)}, settings)
