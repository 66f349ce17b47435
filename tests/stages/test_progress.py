"""What the UI and the log show of the shards that are finished."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from schemas.records import ForecastRecord, TableRef
from schemas.run import ShardSpec
from tasks.forecasting.progress import remaining_seconds
from tasks.stages import progress as module
from tasks.stages.forecast import last_time
from tasks.stages.progress import ForecastProgress, WeeksProgress
from tasks.storage.lake import open_lake
from tests.publication import fake_run


def test_the_remaining_time_follows_the_finished_shards_of_each_model() -> None:
    assert remaining_seconds(["arima"], [], 10.0) is None
    # Two at a time: 60 s of work in 30 s. Left are 2 x 10 s of one model and 50 s of the other.
    finished = [("arima", 10.0), ("xgboost", 50.0)]
    assert remaining_seconds(["arima", "arima", "xgboost"], finished, 30.0) == 35.0
    # Of a model without a finished shard the mean of all others is expected: 30 s.
    assert remaining_seconds(["prophet"], finished, 30.0) == 15.0
    assert remaining_seconds([], finished, 30.0) == 0.0


def test_progress_in_the_ui_and_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    said: list[str] = []
    monkeypatch.setattr(module, "create_progress_artifact", lambda percent, key, **_: shown.append((percent, key)))
    monkeypatch.setattr(
        module, "update_progress_artifact", lambda _, percent, description: shown.append((percent, description))
    )
    monkeypatch.setattr(module, "say", said.append)
    now = [0.0]
    progress = ForecastProgress(fake_run.context(), ["xgboost", "xgboost", "arima", "arima"], lambda: now[0])
    table = TableRef(key="t", rows=1, sha256="f00")
    for model, seconds, reused in (("arima", 700.0, True), ("xgboost", 200.0, False), ("xgboost", 200.0, False)):
        now[0] += 100.0
        progress.add(ForecastRecord(model=model, table=table, series=1, seconds=seconds), reused)
    progress.add(ForecastRecord(model="arima", table=table, series=1, seconds=9.0), reused=False)
    assert shown == [
        (0.0, "forecast-progress-shoes"),
        (25.0, "1 of 4 shards finished"),
        (50.0, "2 of 4 shards finished, about 7 min remaining"),
        (75.0, "3 of 4 shards finished, about 2 min remaining"),
        (100.0, "4 of 4 shards finished"),
    ]
    assert said == [text for _, text in shown[2:4]]


def test_the_time_of_the_last_shards_is_known_before_the_first_one_ends(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    planned = [ShardSpec(model=name) for name in ("xgboost", "xgboost", "arima")]
    for number, (model, seconds) in enumerate([("xgboost", 9_000.0), ("xgboost", 50.0), ("xgboost", 70.0)]):
        lake.store_record(f"forecast-{model}", f"{number:064x}", {"seconds": seconds})
        os.utime(tmp_path / "records" / f"forecast-{model}" / f"{number:064x}.json", (number, number))
    assert last_time(lake, planned) == ""
    lake.store_record("forecast-arima", "0" * 64, {"seconds": 30.0})
    assert last_time(lake, planned) == "; the last ones took 2 min, one after the other"


def test_the_remaining_time_of_a_backfill_follows_the_weeks_that_were_computed() -> None:
    now = [0.0]
    progress = WeeksProgress(5, lambda: now[0])
    said = []
    for seconds, computed in ((2.0, False), (300.0, True), (1.0, False), (420.0, True), (360.0, True)):
        now[0] += seconds
        said.append(progress.add(computed))
    assert said == [
        "1 of 5 weeks",
        "2 of 5 weeks, about 15 min remaining",
        "3 of 5 weeks, about 10 min remaining",
        "4 of 5 weeks, about 6 min remaining",
        "5 of 5 weeks",
    ]
