"""What a worker refuses, and what it leaves in the lake."""

from __future__ import annotations

import os
import pickle
import platform
import shutil
from pathlib import Path

import pytest

from schemas.errors import EngineError
from schemas.records import ForecastRecord, PanelRef, TableRef
from schemas.run import ShardSpec
from schemas.settings import Settings
from schemas.settings.slices import FoldsSlice
from tasks.engines.work import LocalEngine, Work
from tasks.engines.worker import run_work
from tasks.forecasting.shard import ShardInputs, forecast_shard
from tasks.stages.engine import worker_versions
from tasks.storage.code_version import code_version
from tasks.storage.lake import open_lake
from tasks.storage.machine import Cores
from tests.engines.small_work import work

VERSIONS = {"restock": code_version(), "python": platform.python_version()}


def here() -> str:
    return f"The worker on {platform.node()} (process {os.getpid()})"


def test_a_worker_stores_what_the_run_would_have_stored(tmp_path: Path) -> None:
    here, there = work(tmp_path / "here"), work(tmp_path / "there")
    assert run_work(VERSIONS, pickle.dumps(there)) == there.key
    record, reused = LocalEngine(Cores()).run(here, force=False)
    assert not reused
    stored = there.stored(open_lake(there.storage))
    assert stored is not None
    assert stored.table == record.table


def test_a_worker_with_other_versions_is_refused_with_both() -> None:
    with pytest.raises(EngineError) as caught:
        run_work({**VERSIONS, "restock": "0.1.0+other", "no-such-package": "1.2"}, b"is never unpickled")
    assert str(caught.value).startswith(
        f"{here()} has restock {code_version()}, no-such-package not installed (2 in all); this run has restock "
        "0.1.0+other, no-such-package 1.2 (2 in all). Results could differ. Install the same checkout"
    )


def test_a_worker_that_does_not_share_the_folder_is_refused(tmp_path: Path) -> None:
    given = work(tmp_path / "lake")
    shutil.rmtree(tmp_path / "lake" / "panel")
    unseen = f"{tmp_path}/lake/{given.inputs.panel.key}"
    with pytest.raises(EngineError, match=f"{tmp_path}/lake is another folder there") as caught:
        run_work(VERSIONS, pickle.dumps(given))
    assert str(caught.value).startswith(f"{here()} does not see {unseen}, which this run has stored")
    shutil.rmtree(tmp_path / "lake")
    with pytest.raises(EngineError, match=f"does not see the folder {tmp_path}/lake, the setting `storage`"):
        run_work(VERSIONS, pickle.dumps(given))
    assert not (tmp_path / "lake").exists()


def test_a_worker_needs_the_packages_of_the_models_of_the_run() -> None:
    tables = {table: {"path": "x"} for table in ("sales", "products", "stores")}
    given = {"name": "x", "sources": tables, "models": {"prophet": {}, "deepar": {}}}
    versions = worker_versions(Settings.model_validate(given))
    assert {"restock", "python", "numpy", "prophet"} <= versions.keys()
    assert not {"xgboost", "statsforecast", "torch"} & versions.keys()


def test_a_shard_travels_as_references() -> None:
    frames = {str(number): TableRef(key="panel/0123.parquet", rows=5, sha256="f00" * 20) for number in range(5)}
    shard = ShardSpec(model="arima", series=tuple(range(100)))
    inputs = ShardInputs(panel=PanelRef(frames=frames, horizon=28), shard=shard)
    tables = {table: {"path": "x"} for table in ("sales", "products", "stores")}
    settings = Settings.model_validate({"name": "x", "sources": tables})
    use = FoldsSlice.of(settings, model=settings.models.arima)
    given = Work("arima", "/lake", "forecast-arima", "a1", ForecastRecord, forecast_shard, inputs, use)
    assert len(pickle.dumps(given)) < 4_096
