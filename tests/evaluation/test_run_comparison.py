"""The comparison of a run from references to a record, and what stops it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.deepar import ConfigurationRecord, DeepArTrial, TrainedModel
from schemas.errors import TrainingError
from schemas.facts import FailureKind
from schemas.panel import Panel
from schemas.records import Failure, FileRef, ForecastRecord, PanelRef, TableRef
from schemas.settings import DeepArConfiguration, Settings
from schemas.settings.slices import CompareSlice, QuantileSlice
from tasks.demand.panel import to_frames
from tasks.evaluation.configurations import ChoiceInputs, choose_configuration, choose_without_comparison
from tasks.evaluation.run_comparison import CompareInputs, refuse_many_fallbacks, run_comparison, without_failed
from tasks.forecasting.fold_forecasts import forecast_rows
from tasks.forecasting.registry import compared_models
from tasks.storage.lake import Lake, open_lake

TABLE = TableRef(key="t", rows=1, sha256="0")
QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]
FIRST = DeepArConfiguration(data="cleaned", likelihood="student-T")
SECOND = DeepArConfiguration(data="original", likelihood="student-T")


def failure(store: str, kind: FailureKind = FailureKind.ERROR, reason: str = "no convergence") -> Failure:
    return Failure(store_id=store, category="x", stage="ets", reason=reason, fallback="seasonal_naive", kind=kind)


def shard(*failures: Failure, model: str = "ets", series: int = 3, live: bool = True) -> ForecastRecord:
    return ForecastRecord(model=model, table=TABLE, series=series, live=live, failures=list(failures))


def test_a_model_of_which_a_shard_has_no_forecasts_takes_no_part_and_an_alarm_says_why() -> None:
    reason = "job x failed\nCloudWatch log: group g\nLast lines of the log:\n  one\n  two"
    broken = ForecastRecord(model="deepar", table=TABLE, series=0, live=False, failed=reason)
    kept, alarm = without_failed([shard(), broken, shard(model="deepar")], series=3)
    assert [record.model for record in kept] == ["ets"]
    assert alarm is not None
    assert (alarm.name, alarm.severity, alarm.count) == ("deepar_failed", "warning", 3)
    assert alarm.message == "The other models forecast 3 series. Reason: job x failed CloudWatch log: group g"
    assert without_failed([shard()], series=3) == ([shard()], None)


def test_a_model_stops_the_run_above_the_limit_not_at_it() -> None:
    half = [shard(failure("1"), failure("1")), shard(failure("2"), failure("3"))]
    refuse_many_fallbacks(half, 0.5)
    with pytest.raises(TrainingError) as caught:
        refuse_many_fallbacks([*half, shard(failure("4", reason="odd"), series=0)], 0.5)
    assert str(caught.value).startswith(
        "ets: 4 of 6 series fell back to seasonal naive; most often 'no convergence'; such as 1/x, 2/x, 3/x"
    )
    assert "At most a share of 0.5 of a model's series may fall back" in str(caught.value)


def test_shards_without_a_live_forecast_add_no_series() -> None:
    shards = [shard(failure("1"), failure("2")), shard(series=3, live=False)]
    refuse_many_fallbacks(shards, 2 / 3)
    with pytest.raises(TrainingError, match="2 of 3 series"):
        refuse_many_fallbacks(shards, 0.5)


def test_series_with_insufficient_history_do_not_stop_the_run() -> None:
    kinds = [kind for kind in FailureKind if kind.is_insufficient_history]
    assert kinds
    refuse_many_fallbacks([shard(*(failure(str(kind), kind) for kind in kinds))], 0.0)
    with pytest.raises(TrainingError, match=r"ets: 1 of 3.*\nAt most"):
        refuse_many_fallbacks([shard(failure("1")), shard(model="theta")], 0.0)


def stored(lake: Lake, panel: Panel) -> PanelRef:
    frames = {name: lake.write_table(name, frame) for name, frame in to_frames(panel).items()}
    return PanelRef(frames=frames, horizon=panel.horizon)


def settings() -> Settings:
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    return Settings.model_validate(
        {
            "name": "t",
            "horizon": 3,
            "inventory": {"review_period": 3},
            "sources": sources,
            "quantiles": QUANTILES,
            "backtest": {"windows": 2, "step": 3},
            "expert": {"reconciliation": {"method": "none"}},
        }
    )


def rows(panel: Panel, model: str, off: float) -> pd.DataFrame:
    """Forecasts of the folds and of the horizon, ``off`` units from the mean of the history."""
    tables = []
    for known in (panel.history - 6, panel.history - 3, panel.history):
        at = panel.until(known)
        mean = np.repeat(panel.demand.mean(axis=1)[:, None], panel.horizon, axis=1) + off
        forecast = type("Forecast", (), {"mean": mean, "quantiles": mean[..., None] * (0.5 + np.array(QUANTILES))})()
        tables.append(forecast_rows(model, at, forecast, QUANTILES))
    return pd.concat(tables, ignore_index=True)


def test_a_comparison_reads_and_writes_the_lake(tmp_path: Path, panel_of) -> None:
    lake, panel = open_lake(str(tmp_path)), panel_of(np.random.default_rng(0).poisson(8, (4, 60)))
    offs = {"seasonal_naive": 6.0, "moving_average": 0.0}
    again = [failure("s0001", reason="b"), failure("s0000"), failure("s0001", reason="c")]
    forecasts = [
        ForecastRecord(
            model=model,
            table=lake.write_table(model, rows(panel, model, off)),
            series=4,
            notes=["twice"],
            failures=again,
            paths=TABLE if off else None,
        )
        for model, off in offs.items()
    ]
    inputs = CompareInputs(
        panel=stored(lake, panel), forecasts=forecasts, covariate_free=["moving_average", "seasonal_naive"]
    )
    given = settings()
    found = run_comparison(lake, inputs, CompareSlice.of(given, models=compared_models(given)), 1)
    assert set(lake.read_table(found.champions)[c.MODEL]) == {"moving_average"}
    assert found.summary["champions"] == [{c.MODEL: "moving_average", "series": 4, "share": 1.0}]
    assert [row[c.MODEL] for row in found.summary["models"]] == ["moving_average", "seasonal_naive"]
    live = lake.read_table(found.forecast)
    assert len(live) == 2 * 4 * 3
    assert live.loc[live[c.CHAMPION], c.MODEL].astype(str).unique().tolist() == ["moving_average"]
    assert lake.read_table(found.backtest)[c.CUTOFF].nunique() == 2
    assert found.paths == [TABLE]
    assert [(one.store_id, one.reason) for one in found.failures] == [("s0000", "no convergence"), ("s0001", "c")]
    assert found.notes.count("twice") == 1


def trained(lake: Lake, configuration: DeepArConfiguration, panel: Panel, off: float) -> ConfigurationRecord:
    base = panel.until(57)
    forecast = rows(panel, configuration.label, off)
    forecast = forecast[forecast[c.CUTOFF] == base.periods[57]]
    archive = FileRef(key="a", bytes=1, sha256="0")
    model = TrainedModel(job=f"job {off:g}", archive=archive, metrics={"test:RMSE": 1.23456}, seconds=1.0)
    return ConfigurationRecord(
        configuration=configuration, model=model, forecast=lake.write_table(configuration.label, forecast)
    )


def test_the_configuration_with_the_lowest_rmse_is_chosen(tmp_path: Path, panel_of) -> None:
    lake = open_lake(str(tmp_path))
    panel = panel_of(np.random.default_rng(0).poisson(8, (4, 60)), horizon=3)
    broken = ConfigurationRecord(
        configuration=DeepArConfiguration(data="cleaned", likelihood="gaussian"), failed="too little memory"
    )
    records = [broken, trained(lake, FIRST, panel, 5.0), trained(lake, SECOND, panel, 0.0)]
    trial = DeepArTrial(history=60, known=57)
    inputs = ChoiceInputs(panel=stored(lake, panel), trial=trial, records=records)
    choice = choose_configuration(lake, inputs, QuantileSlice.of(settings()))
    assert choice.configuration == SECOND
    error = panel.demand[:, 57:] - panel.demand.mean(axis=1)[:, None]
    assert choice.why == f"RMSE {np.sqrt((error**2).mean()):.4g} over 3 periods, the best of 2"
    best, second, failed = choice.summary["configurations"]
    assert (best["configuration"], best["job"], best["test:RMSE"]) == (SECOND.label, "job 0", 1.2346)
    assert (best[c.N], second["configuration"], second["job"]) == (12, FIRST.label, "job 5")
    assert failed == {"configuration": broken.configuration.label, "failed": "too little memory"}


def test_without_a_forecast_the_first_configuration_is_used_if_only_history_is_missing() -> None:
    short = ConfigurationRecord(
        configuration=SECOND, failed="3 periods are known", kind=FailureKind.INSUFFICIENT_HISTORY
    )
    choice = choose_without_comparison([short, short], [FIRST, SECOND])
    assert choice is not None
    assert choice.configuration == FIRST
    assert choice.why == (
        "the first configuration of the settings: insufficient history for a comparison (3 periods are known)"
    )
    broken = ConfigurationRecord(configuration=FIRST, failed="out of memory")
    with pytest.raises(TrainingError, match=r"no configuration could be trained\. out of memory$"):
        choose_without_comparison([short, broken], [FIRST, SECOND])
    done = ConfigurationRecord(configuration=FIRST, forecast=TABLE)
    assert choose_without_comparison([broken, done], [FIRST, SECOND]) is None
