"""Real data raise no false alarm: at most one alarm for each data set, and it is true."""

from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from schemas.settings.slices import IngestSlice, PanelSlice
from tasks.configuration.settings_file import load_settings
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.ingest.validation import validate_tables
from tasks.demand.panel import build_panel
from tasks.storage.source_files import expand_sources, read_tables
from tests.breadth import sample

DATA = Path(__file__).parents[4] / "shared" / "data"

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.exists(), reason="needs the shared data sets"),
]

# 9 departments have no sales in some stores for weeks, and one sells 278 units in one week and at most 20 in others;
# 180 stores have no rows in half of 2014; one line has 1,000,000 units.
FOUND = {
    "departments_weekly": ["outliers", "sku_gaps"],
    "drugstores_daily": ["missing_sales"],
    "grocery_weekly": [],
    "sports_weekly": ["huge_lines"],
    "sportswear_sizes": [],
    "supermarkets_daily": [],
}


@pytest.mark.parametrize("name", sample(FOUND, ["grocery_weekly", "sportswear_sizes"]))
def test_alarms_of_real_data(name: str) -> None:
    settings = load_settings(DATA / name / "settings.yaml")
    valid = validate_tables(read_tables(expand_sources(settings.sources), settings.sources), IngestSlice.of(settings))
    use = PanelSlice.of(settings)
    last = use.period.label(pd.Series([valid.tables["sales"][c.DATE].max()]))[0]
    build = build_panel(prepare(valid.tables, use, use.period.shift(last, 1).date()))
    assert [alarm.name for alarm in [*valid.alarms, *build.alarms]] == FOUND[name]
