"""The demo company's files: same seed, same bytes; names in Spanish; readable by the settings model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest
import yaml

from schemas import columns as c
from schemas.settings import Settings
from schemas.settings.layout import arrange
from schemas.tables import TABLES
from tasks.demo.company import settings_text, write_demo_company
from tasks.demo.tables import DemoTables, demo_tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_company(tmp_path_factory.mktemp("demo"), "slice", 7).parent


@pytest.fixture(scope="module")
def tables() -> DemoTables:
    return demo_tables("slice", 7)


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".xlsx":
        return pd.read_excel(path, dtype=str)
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_the_same_seed_gives_the_same_bytes_and_replaces_the_files(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made" / "here"
    made.mkdir(parents=True)
    for name in ("settings.yaml", "data/calendario.csv"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text("old")
    assert _checksums(write_demo_company(made, "slice", 7).parent) == _checksums(folder)
    assert len(_checksums(folder)) == 9


def test_another_seed_gives_other_bytes(folder: Path, tmp_path: Path) -> None:
    other = _checksums(write_demo_company(tmp_path, "slice", 8).parent)
    same = {name for name, checksum in _checksums(folder).items() if other[name] == checksum}
    assert same == {"data/calendario.csv"}


@pytest.mark.parametrize("size", ["slice", "full"])
def test_the_settings_are_valid_and_comment_every_block(size: str) -> None:
    text = settings_text(size, 11)
    settings = Settings.model_validate(yaml.safe_load(text))
    assert arrange(Settings, yaml.safe_load(text)).moved == []
    assert settings.models.arima is not None
    assert settings.models.arima.max_series == (60 if size == "slice" else 300)
    assert (settings.name, settings.seed, settings.horizon, settings.frequency) == (f"demo-{size}", 11, 28, "D")
    assert settings.category == [c.BRAND, c.SUBFAMILY, c.CLUSTER]
    assert settings.cleaning.merge_prefixes == {c.SUBFAMILY: ["SANDALIA"]}
    assert {"arima", "prophet", "xgboost"} <= set(settings.models.named())
    assert settings.inventory.policies == ["eoq", "newsvendor", "marginal_value", "genetic"]
    assert settings.inventory.holding_cost_per_year == 0.25
    assert text.count("#") > 20


def test_every_file_has_the_columns_that_the_settings_name(folder: Path) -> None:
    sources = Settings.model_validate(yaml.safe_load((folder / "settings.yaml").read_text("utf-8"))).sources.named()
    # Planners write overrides, not the company's systems; the demo has no bundles, events or arrivals in its DC.
    assert set(sources) == set(TABLES) - {"overrides", "bundles", "dc_inbound", "events"}
    for name, source in sources.items():
        header = set(_read(folder / source.path).columns)
        assert set(source.columns.values()) == header, name
        required = {rule.name for rule in TABLES[name].columns if rule.required}
        assert required <= set(source.columns), name


def test_the_sales_file_holds_every_line_once_and_the_faults_between_them(folder: Path, tables: DemoTables) -> None:
    lines = _read(folder / "data" / "ventas.csv.gz")
    assert lines.columns.tolist() == ["Fecha", "Cliente", "Cod_Producto", "Uns", "Neto final"]
    assert len(lines) == len(tables.sales) + len(tables.faults)
    position = tables.faults.index.to_numpy() + range(len(tables.faults))
    assert lines["Uns"].iloc[position].tolist() == tables.faults[c.UNITS].tolist()
    good = lines.drop(index=position)
    assert good["Uns"].astype(int).tolist() == tables.sales[c.UNITS].tolist()
    assert good["Cod_Producto"].tolist() == tables.sales[c.SKU].astype(str).tolist()
    assert lines["Fecha"].is_monotonic_increasing


def test_the_workbook_holds_the_stores(folder: Path, tables: DemoTables) -> None:
    stores = pd.read_excel(folder / "data" / "tiendas.xlsx", sheet_name="Tiendas")
    expected = tables.stores
    assert stores["Cliente"].tolist() == expected[c.STORE_ID].tolist()
    assert stores["Capacidad"].tolist() == expected[c.STORAGE_CAPACITY].tolist()
