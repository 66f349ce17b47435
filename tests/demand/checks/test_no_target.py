"""Stores that are permanently closed or no longer listed keep their history and get no target."""

from pathlib import Path

import pandas as pd

from schemas import columns as c
from schemas.settings.slices import PanelSlice
from tasks.demand.assemble import PanelInputs, assemble_panel
from tasks.inventory.inputs import _champion_rows
from tasks.storage.lake import open_lake
from tests.demand.checks.conftest import AS_OF, Tables, settings


def test_ended_stores_have_series_and_no_sku_facts(tables: Tables, tmp_path: Path) -> None:
    sales = tables["sales"]
    kept = ~(sales[c.STORE_ID].eq("s1") & sales[c.DATE].ge("2024-04-01"))
    given = {**tables, "sales": sales[kept].reset_index(drop=True), "stores": tables["stores"].iloc[:2]}
    lake = open_lake(str(tmp_path))
    refs = {name: lake.write_table(f"validated/{name}", frame) for name, frame in given.items()}
    record = assemble_panel(lake, PanelInputs(tables=refs, as_of=AS_OF), PanelSlice.of(settings()))
    assert lake.read_table(record.sku_facts)[c.STORE_ID].unique().tolist() == ["s0"]
    assert record.series == 18
    assert [alarm.name for alarm in record.alarms] == ["store_closed", "unlisted_store_sells"]


def test_the_plan_leaves_out_the_forecasts_of_stores_without_sku_facts(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    stores = {c.STORE_ID: ["s0", "s1", "s0", "s0"]}
    champions = {c.MODEL: "xgboost", c.CHAMPION: [True, True, True, False]}
    forecast = lake.write_table("forecast", pd.DataFrame({**stores, **champions, c.MEAN: [1.0, 2.0, 3.0, 4.0]}))
    assert _champion_rows(lake, forecast, pd.DataFrame({c.STORE_ID: ["s0"]}))[c.MEAN].tolist() == [1.0, 3.0]
