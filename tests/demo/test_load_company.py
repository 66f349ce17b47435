"""The load company: any size, the same bytes for the same options, and tables that the settings can read."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.settings.slices import IngestSlice, PanelSlice
from tasks.configuration.settings_file import read_settings
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.ingest.table_checks import with_arrays
from tasks.demand.ingest.validation import validate_tables
from tasks.demand.panel import build_panel
from tasks.demo import load
from tasks.demo.load import LoadSize, block_lines, load_company
from tasks.demo.load_files import write_load_company
from tasks.storage.source_files import expand_sources, read_tables

SIZE = LoadSize(stores=3, categories=70, skus=3, days=120, lines=0.3)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_load_company(tmp_path_factory.mktemp("load"), SIZE)[0]


def checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lines_of(settings_file: Path) -> pd.DataFrame:
    settings = read_settings(settings_file, ()).settings
    raw = read_tables(expand_sources(settings.sources), settings.sources)
    sales = validate_tables(raw, IngestSlice.of(settings), with_arrays).tables["sales"]
    return sales.sort_values(list(sales.columns), ignore_index=True)


def test_the_same_options_give_the_same_bytes_and_another_seed_others(company: Path, tmp_path: Path) -> None:
    again = write_load_company(tmp_path / "again", SIZE)[0].parent
    assert checksums(again) == checksums(company.parent)
    other = checksums(write_load_company(tmp_path / "other", SIZE, seed=8)[0].parent)
    assert other["data/sales/T00002.parquet"] != checksums(again)["data/sales/T00002.parquet"]


def test_all_layouts_hold_the_same_lines(company: Path, tmp_path: Path) -> None:
    expected = lines_of(company)
    for layout in ("months", "csv"):
        size = LoadSize(**{**vars(SIZE), "layout": layout})
        settings_file, lines = write_load_company(tmp_path / layout, size)
        assert lines == len(expected)
        pd.testing.assert_frame_equal(lines_of(settings_file), expected)


def test_a_store_and_block_have_their_own_random_stream(company: Path) -> None:
    drawn = load_company(SIZE, 7)
    late = block_lines(drawn, 2, range(load.BLOCK, 70))
    stored = pq.read_table(company.parent / "data/sales/T00003.parquet").to_pandas().tail(len(late.day))
    assert np.array_equal(stored[c.UNITS].to_numpy(), late.units)


def test_the_tables_make_a_panel_of_the_stated_number_of_series(company: Path) -> None:
    settings = read_settings(company, ()).settings
    raw = read_tables(expand_sources(settings.sources), settings.sources)
    valid = validate_tables(raw, IngestSlice.of(settings), with_arrays)
    panel = build_panel(prepare(valid.tables, PanelSlice.of(settings), date(2025, 2, 21))).panel
    assert len(valid.quarantine) == 0
    per_store = panel.series.groupby(c.STORE_ID).size()
    assert per_store.iloc[0] == 1
    # A seasonal category may have no sale in 120 days.
    assert 0.9 * SIZE.series < panel.n <= SIZE.series
    assert panel.history == SIZE.days
    lines = len(valid.tables["sales"])
    assert 0.5 < lines / (SIZE.series * SIZE.days * SIZE.lines) < 2


@pytest.mark.parametrize(("name", "value"), [("stores", 0), ("days", -1), ("lines", 0.0)])
def test_a_size_that_is_not_positive_is_an_error(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is {value:g}"):
        LoadSize(**{name: value})


def test_files_of_another_size_are_not_mixed(company: Path) -> None:
    with pytest.raises(ConfigError, match="data exists"):
        write_load_company(company.parent, LoadSize(stores=1, categories=1))
