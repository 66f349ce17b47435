"""The accuracy benchmark: its figures by hand, the peers' history and rows, what is kept, and the summary."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import peers
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.launches import forecast_launches
from benchmarks.accuracy.launches import summary as launch_summary
from benchmarks.accuracy.measured import measured
from benchmarks.accuracy.runs import champions_at, run_cutoff
from benchmarks.accuracy.scores import rmsse, score
from benchmarks.accuracy.sets import DataSet
from benchmarks.accuracy.summary import summary
from schemas.frequency import Frequency
from schemas.panel import Panel

pytestmark = pytest.mark.slow

LEVELS = [0.1, 0.5, 0.9]
SETTINGS = """name: small
frequency: D
horizon: 7
category: [sku]
models: {}
"""


def _panel(demand: list[list[float]], horizon: int = 2, closed: list[tuple[int, int]] | None = None) -> Panel:
    n, history = len(demand), len(demand[0])
    shut = np.zeros((n, history + horizon), dtype=bool)
    for place in closed or []:
        shut[place] = True
    return Panel(
        frequency=Frequency("D"),
        series=pd.DataFrame({"store_id": ["1"] * n, "category": [f"c{i}" for i in range(n)]}),
        periods=pd.date_range("2024-01-01", periods=history + horizon, freq="D"),
        demand=np.array(demand, dtype=np.float64),
        closed=shut,
        horizon=horizon,
    )


def test_rmsse_by_hand() -> None:
    actual = np.array([[3.0, 5.0], [2.0, np.nan], [1.0, 1.0], [np.nan, np.nan], [4.0, 4.0]])
    mean = np.array([[1.0, 3.0], [5.0, 9.0], [9.0, 9.0], [1.0, 1.0], [1.0, 1.0]])
    # Errors 2, 2 over a scale of 4: 1. Error 3 alone over 1: 3. No scale, nothing known, scale unknown: left out.
    scale = np.array([4.0, 1.0, 0.0, 1.0, np.nan])
    assert rmsse(actual, mean, scale) == pytest.approx((1.0 + 3.0) / 2)
    assert np.isnan(rmsse(actual, mean, np.zeros(5)))


def test_score_by_hand() -> None:
    actual = np.array([[10.0, np.nan], [0.0, 10.0]])
    mean = np.array([[12.0, 1.0], [1.0, 10.0]])
    quantiles = np.array([[[8, 9, 12], [0, 0, 0]], [[0, 1, 2], [5, 6, 8]]], dtype=np.float64)
    found = score(actual, mean, quantiles, LEVELS, np.array([4.0, 1.0]))
    assert found["n"] == 3
    assert found["wape"] == pytest.approx((1 + 1 + 4) / 20)
    assert found["bias"] == pytest.approx((2 + 1 + 0) / 20)
    # Twice the pinball losses: (0.4 + 1 + 0.4), (0 + 1 + 0.4), (1 + 4 + 3.6), each over three levels.
    assert found["wql"] == pytest.approx((1.8 + 1.4 + 8.6) / 3 / 20)
    assert found["above"] == pytest.approx(1 / 3)
    assert found["below"] == 0
    # Only where q0.1 is above 0: the 10 in 8 to 12, the 10 not in 5 to 8.
    assert found["coverage"] == pytest.approx(0.5)
    # All rows: the 0 in 0 to 2 too. A row with a q0.1 of 0 has nothing below it.
    assert found["inside"] == pytest.approx(2 / 3)
    assert found["nominal"] == pytest.approx((0.8 + 0.8 + 0.9) / 3)
    assert found["rmsse"] == pytest.approx((2 / 2 + np.sqrt(0.5)) / 2)


def test_the_summary_names_the_best_peer_of_each_figure_and_the_margin() -> None:
    rows = pd.DataFrame(
        [
            ("a", "1", "champions", 0.2, 0.30),
            ("a", "2", "champions", 0.4, 0.30),
            ("a", "1", "arima", 0.1, 0.10),
            ("a", "1", "peer:x", 0.3, 0.10),
            ("a", "2", "peer:x", 0.5, 0.20),
            ("a", "1", "peer:y", 0.1, 0.90),
            ("a", "2", "peer:y", 0.9, 0.90),
            ("b", "1", "peer:x", 0.7, 0.70),
        ],
        columns=["set", "cutoff", "model", "wape", "wql"],
    )
    first, second = summary(rows).to_dict("records")
    assert (first["set"], first["cutoffs"]) == ("a", 2)
    assert (first["best peer by wape"], first["best peer by wql"]) == ("x", "x")
    assert first["champions wape"] == pytest.approx(0.3)
    assert first["peer wape"] == pytest.approx(0.4)
    assert first["margin wape"] == pytest.approx(0.25)
    assert first["margin wql"] == pytest.approx(-1.0)
    assert second["best peer by wape"] == "x"
    assert np.isnan(second["champions wape"])
    assert np.isnan(second["margin wape"])


def test_unknown_periods_take_the_last_known_value_and_series_begin_with_their_first_one() -> None:
    panel = _panel([[np.nan, 1.0, np.nan, 4.0], [5.0, 6.0, 7.0, np.nan]])
    assert peers.history_frame(panel)["y"].tolist() == [1.0, 1.0, 4.0, 5.0, 6.0, 7.0, 7.0]
    assert peers.history_frame(panel, longest=2)["y"].tolist() == [1.0, 4.0, 7.0, 7.0]


def test_a_seasonal_naive_peer_repeats_the_week_and_closed_days_are_zero() -> None:
    week = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    panel = _panel(
        [[np.nan] * 14, [*week, *(2 * value for value in week)], [np.nan] * 11 + [9.0] * 3], closed=[(1, 15)]
    )
    found = peers.peer_forecast(peers.SEASONAL_NAIVE, panel, LEVELS)
    assert found["mean"].tolist() == [0.0, 0.0, 2.0, 0.0, 9.0, 9.0]
    assert found["q0.5"].tolist() == found["mean"].tolist()
    low, high = found.loc[2, "q0.1"], found.loc[2, "q0.9"]
    assert 0.0 <= low < 2.0 < high
    assert found.loc[3, ["q0.1", "q0.9"]].tolist() == [0.0, 0.0]


def test_the_mean_of_peers_is_that_of_every_column() -> None:
    one = pd.DataFrame({"mean": [1.0, 2.0], "q0.5": [0.0, 4.0]})
    two = pd.DataFrame({"mean": [3.0, 2.0], "q0.5": [2.0, 0.0]})
    assert peers.mean_of([one, two]).to_dict("list") == {"mean": [2.0, 2.0], "q0.5": [1.0, 2.0]}


# In place of AutoGluon: forecasts the second series alone, one unit more than its last value.
OTHER_LIBRARY = """
import json, sys
import pandas as pd
folder = sys.argv[1]
task, ahead = json.load(open(folder + "/task.json")), pd.read_parquet(folder + "/ahead.parquet")
history = pd.read_parquet(folder + "/history.parquet")
last = history[history["unique_id"] == 1]["y"].iloc[-1]
days = pd.date_range(history["ds"].max(), periods=task["horizon"] + 1)[1:]
rows = pd.DataFrame({"unique_id": 1, "ds": days, "mean": last + 1.0, **{str(level): last for level in task["levels"]}})
rows.iloc[::-1].to_parquet(folder + "/forecast.parquet")
"""


def test_autogluon_forecasts_in_a_separate_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "utf-8")
    (tmp_path / "bin/python").chmod(0o755)
    script = tmp_path / "script.py"
    script.write_text(OTHER_LIBRARY, "utf-8")
    monkeypatch.setattr(peers, "AUTOGLUON_ENVIRONMENT", tmp_path)
    monkeypatch.setattr(peers, "AUTOGLUON_SCRIPT", script)
    assert peers.missing_packages([peers.AUTOGLUON]) == ["autogluon"]
    found = peers.peer_forecast(peers.AUTOGLUON, _panel([[1.0, 2.0], [3.0, 4.0]]), LEVELS)
    assert found["mean"].tolist() == [2.0, 2.0, 5.0, 5.0]  # the first series keeps its last value
    assert found["q0.9"].tolist() == [2.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("name", [peers.LIGHTGBM, peers.LIGHTGBM_DIRECT])
def test_a_boosted_peer_learns_the_week(name: str) -> None:
    for package in peers.packages(name):
        pytest.importorskip(package, reason=f"{package} comes with the extra bench")
    weeks = np.tile([5.0, 0.0, 5.0, 0.0, 5.0, 0.0, 20.0], 20)
    found = peers.peer_forecast(name, _panel([weeks.tolist(), (3 * weeks).tolist()], horizon=7), LEVELS)
    expected = np.concatenate([weeks[:7], 3 * weeks[:7]])
    assert np.abs(found["mean"] - expected).sum() < 0.2 * expected.sum()
    assert (found["q0.1"] <= found["q0.5"]).all()
    assert (found["q0.5"] <= found["q0.9"]).all()


def test_a_forecast_is_made_once_in_its_own_process_and_kept_with_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "new" / "kept.parquet"
    first = measured(path, pd.DataFrame, {"mean": [1.0]})
    assert first.frame["mean"].tolist() == [1.0]
    assert first.memory > 1
    assert measured(path, pd.DataFrame, {"mean": [2.0]}).frame["mean"].tolist() == [1.0]
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["memory"] == first.memory


def test_a_task_that_fails_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scalar"):
        measured(tmp_path / "kept.parquet", pd.DataFrame, {"mean": 1.0})
    assert not list(tmp_path.iterdir())


def _small_set(folder: Path) -> Path:
    days = pd.date_range("2024-01-01", periods=84, freq="D")
    rows = [
        {"date": day.date(), "store_id": store, "sku": "a", "units": 1 + day.dayofweek + store}
        for store in (1, 2)
        for day in days
    ]
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "sales.csv", index=False)
    pd.DataFrame({"sku": ["a"]}).to_csv(folder / "products.csv", index=False)
    pd.DataFrame({"store_id": [1, 2]}).to_csv(folder / "stores.csv", index=False)
    sources = "".join(f"  {name}:\n    path: {name}.csv\n" for name in ("sales", "products", "stores"))
    (folder / "settings.yaml").write_text(f"{SETTINGS}sources:\n{sources}", "utf-8")
    return folder


def test_own_models_champions_and_peers_stand_in_one_table_over_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process: each new one imports what is imported here.
    monkeypatch.setattr("benchmarks.accuracy.measured.ProcessPoolExecutor", lambda _, mp_context: ThreadPoolExecutor(1))
    data = DataSet.read(_small_set(tmp_path / "small"))
    known = data.cutoffs([1])[0]
    table = run_cutoff(data, known, tmp_path / "kept", ["seasonal_naive"], [peers.SEASONAL_NAIVE])
    assert table["model"].tolist() == ["seasonal_naive", "champions", "peer:seasonal_naive"]
    assert table["n"].tolist() == [14, 14, 14]
    assert table["wape"].tolist() == [0.0, 0.0, 0.0]
    assert (table["memory"] > 1).all()
    again = run_cutoff(data, known, tmp_path / "kept", ["seasonal_naive"], [peers.SEASONAL_NAIVE])
    pd.testing.assert_frame_equal(again, table)
    champions = champions_at(data, data.panel(known), tmp_path / "kept", ["seasonal_naive"])
    assert len(champions) == 14


def test_a_set_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _small_set(tmp_path / "small")
    monkeypatch.setattr(sys, "argv", ["accuracy", str(tmp_path), "--sets", "large", "--no-peers"])
    with pytest.raises(SystemExit, match=r"No large in .*There: small"):
        main()


def test_a_package_that_is_not_installed_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlforecast", None)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    monkeypatch.setattr(sys, "argv", ["accuracy", str(_small_set(tmp_path / "small").parent)])
    with pytest.raises(SystemExit, match=r"Not installed: mlforecast, lightgbm.*bench-accuracy"):
        main()
    assert peers.missing_packages([peers.SEASONAL_NAIVE, peers.AUTO_ETS]) == []


def test_launches_are_hidden_and_forecast_by_both_methods() -> None:
    """A small and a large region; the last store of each opens after 40 weeks. The rule gives both the mean store."""
    level = np.array([10.0, 10.0, 10.0, 40.0, 40.0, 40.0, 10.0, 40.0])
    demand = np.repeat(level[:, None], 80, axis=1)
    demand[6:, :40] = np.nan
    periods = pd.date_range("2023-01-02", periods=84, freq="W-MON")
    series = pd.DataFrame({"store_id": [f"s{at}" for at in range(8)], "category": "shoes"})
    series["region"] = ["small"] * 3 + ["large"] * 3 + ["small", "large"]
    panel = Panel(Frequency("W-MON"), series, periods, demand, np.zeros((8, 84), dtype=bool), 4)
    rows = forecast_launches(panel)
    assert rows[["store_id", "weeks", "sold"]].to_numpy().tolist() == [
        *(["s6", 4, 40.0], ["s6", 8, 80.0], ["s7", 4, 160.0], ["s7", 8, 320.0])
    ]
    assert rows["mean category share"].tolist() == pytest.approx([100.0, 200.0, 100.0, 200.0])
    found = launch_summary(rows)
    assert found["launch"].eq("new store").all()
    assert (found["WAPE comparables"] < 0.8 * found["WAPE category share"]).all()
    assert not len(forecast_launches(panel.take(np.arange(6))))
