"""Facts of the metrics, written out by hand, and the functions of arrays against independent implementations."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from utilsforecast import losses

from schemas import columns as c
from schemas.metrics import ACCEPTANCE_BANDS, HEADLINES, INVENTORY_COST, METRICS, Direction, Judged
from schemas.outputs import METRIC_COLUMNS, output_tables
from tasks.evaluation.metrics import definitions as d

ROOT = Path(__file__).parents[3]
LOWER, HIGHER, TARGET, NEITHER = Direction.LOWER, Direction.HIGHER, Direction.TARGET, Direction.NEITHER
MEDIAN, MEAN, QUANTILES = Judged.MEDIAN, Judged.MEAN, Judged.QUANTILES
# name: judged, direction, optimum, may rank, heading in the report
FACTS = {
    "mae": (MEDIAN, LOWER, 0, True, "MAE, units"),
    "rmse": (MEAN, LOWER, 0, True, "RMSE, units"),
    "mape": (MEDIAN, LOWER, 0, False, "MAPE"),
    "wape": (MEDIAN, LOWER, 0, True, "WAPE"),
    "mase": (MEDIAN, LOWER, 0, True, "MASE"),
    "rmsse": (MEAN, LOWER, 0, True, "RMSSE"),
    "r2": (MEAN, HIGHER, 1, True, "R²"),
    "bias": (MEAN, TARGET, 0, False, "Bias"),
    "wql": (QUANTILES, LOWER, 0, True, "wQL"),
    "coverage": (QUANTILES, TARGET, None, False, "Coverage of band"),
    "share_excellent": (MEDIAN, HIGHER, 1, True, "Excellent (Excelente)"),
    "share_good": (MEDIAN, NEITHER, None, False, "Good (Bueno)"),
    "share_acceptable": (MEDIAN, NEITHER, None, False, "Acceptable (Aceptable)"),
    "share_poor": (MEDIAN, LOWER, 0, True, "Poor (Necesita mejora)"),
    "inventory_cost": (QUANTILES, LOWER, 0, True, "Inventory cost a period"),
}
EVERY = METRICS | {INVENTORY_COST.name: INVENTORY_COST}


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    facts = EVERY[name]
    found = (facts.judged, facts.direction, facts.optimum, not facts.evaluate_only, facts.heading)
    assert found == FACTS[name]


def test_every_metric_is_listed_here_and_has_a_formula():
    assert list(EVERY) == list(FACTS)
    assert list(d.METRICS) == [*list(FACTS)[:-1]]
    assert d.COST_METRIC.name == "inventory_cost"
    assert all(d.METRICS[name].facts is METRICS[name] for name in METRICS)


def test_columns_of_the_published_table_are_those_of_the_metrics():
    table = next(table for table in output_tables([0.5]) if table.name == "metrics")
    assert (*list(FACTS)[:-1], "n") == METRIC_COLUMNS
    assert table.columns == ("model", "level", "store_id", "category", *list(FACTS)[:-1], "n")


def test_the_artifact_shows_the_headlines_first():
    assert HEADLINES == ("inventory_cost", "wape", "bias", "coverage", "share_excellent", "share_poor")
    assert ACCEPTANCE_BANDS == ("share_excellent", "share_good", "share_acceptable", "share_poor")


def test_the_reference_page_states_the_facts():
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    rows = {}
    for line in page.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0] in FACTS:
            rows[cells[0]] = cells[1:]
    assert list(rows) == list(FACTS)
    for name, (formula, judged, unit, direction, optimum, undefined, ranks) in rows.items():
        facts = EVERY[name]
        best = "" if facts.optimum is None else f"{facts.optimum:g}"
        stated = (facts.formula, facts.judged, facts.unit, facts.direction, best, facts.undefined)
        assert (formula, judged, unit, direction, optimum, undefined) == stated, name
        assert ranks == ("no" if facts.evaluate_only else "yes"), name


def test_functions_by_hand():
    """Errors of three rows with a known actual: 1, -2 and 0 units; the fourth actual is unknown."""
    actual, forecast = [4.0, 10.0, 6.0, np.nan], [5.0, 8.0, 6.0, 99.0]
    assert d.mae(actual, forecast) == pytest.approx(3 / 3)
    assert d.rmse(actual, forecast) == pytest.approx(np.sqrt(5 / 3))
    assert d.mape(actual, forecast) == pytest.approx((1 / 4 + 2 / 10) / 3)
    assert d.wape(actual, forecast) == pytest.approx(3 / 20)
    assert d.bias(actual, forecast) == pytest.approx(-1 / 20)
    assert d.r2(actual, forecast) == pytest.approx(1 - 5 / (56 / 3))  # deviations from 20/3: 64/9 + 100/9 + 4/9
    assert d.mase(actual, forecast, scale=2.0) == pytest.approx(0.5)
    assert d.rmsse(actual, forecast, squared_scale=15.0) == pytest.approx(1 / 3)
    assert d.acceptance_shares(actual, forecast) == pytest.approx((1 / 3, 0, 1 / 3, 1 / 3))  # 125, 80 and 100 %
    spread = [[2.0, 5.0, 6.0], [9.0, 8.0, 9.5], [6.0, 6.0, 9.0], [0.0, 0.0, 0.0]]
    # Pinball losses: level 0.1: 0.2, 0.1, 0; 0.5: 0.5, 1, 0; 0.9: 0.2, 0.45, 0.3.
    assert d.wql(actual, spread, [0.1, 0.5, 0.9]) == pytest.approx(2 * (0.3 + 1.5 + 0.95) / 3 / 20)
    assert d.coverage(actual, spread, [0.1, 0.5, 0.9]) == pytest.approx(2 / 3)


def test_undefined_figures_are_nan():
    assert np.isnan([d.mae([np.nan], [1.0]), d.wape([], []), d.r2([3, 3], [3, 4])]).all()
    assert np.isnan([d.mase([1.0], [2.0], scale=0.0), d.rmsse([1.0], [2.0], squared_scale=np.nan)]).all()
    assert np.isnan([d.wape([0, 0], [0, 1]), d.bias([0, 0], [1, 1]), d.wql([0], [[1.0]], [0.5])]).all()
    assert [d.wape([0, 0], [0, 0]), d.bias([0, 0], [1, -1]), d.wql([0], [[0.0]], [0.5])] == [0, 0, 0]
    assert np.isnan(d.coverage([1.0], [[0.0, 2.0]], [0.2, 0.9]))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"wape: actual has shape \(2,\), the forecast \(3,\); expected \(2,\)"):
        d.wape([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"wql: actual has shape \(1,\), the forecast \(1, 2\); expected \(1, 1\)"):
        d.wql([1], [[1, 2]], [0.5])


def test_functions_leave_their_arrays_alone():
    actual, forecast = np.array([1.0, np.nan, 3.0]), np.array([1.0, 2.0, 4.0])
    before = actual.copy(), forecast.copy()
    d.wape(actual, forecast)
    np.testing.assert_array_equal(actual, before[0])
    np.testing.assert_array_equal(forecast, before[1])


LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]


@pytest.fixture(scope="module")
def sample():
    """Forty periods of one series, its training history, and forecasts with quantiles."""
    random = np.random.default_rng(12)
    history, actual = random.poisson(9, 60).astype(float), random.poisson(9, 40).astype(float) + 1
    spread = np.sort(random.gamma(9, 1, (40, 5)), axis=1)
    frame = pd.DataFrame({"unique_id": "a", "ds": range(60, 100), "y": actual, "m": spread[:, 2]})
    for column, level in enumerate(LEVELS):
        frame[f"q{level}"] = spread[:, column]
    train = pd.DataFrame({"unique_id": "a", "ds": range(60), "y": history})
    return history, actual, spread, frame, train


@pytest.mark.parametrize(("ours", "theirs"), [(d.mae, losses.mae), (d.rmse, losses.rmse), (d.mape, losses.mape)])
def test_point_metrics_agree_with_utilsforecast(sample, ours, theirs):
    _, actual, spread, frame, _ = sample
    assert ours(actual, spread[:, 2]) == pytest.approx(theirs(frame, ["m"])["m"].iloc[0])


def test_wape_and_bias_agree_with_utilsforecast(sample):
    _, actual, spread, frame, _ = sample
    assert d.wape(actual, spread[:, 2]) == pytest.approx(losses.nd(frame, ["m"])["m"].iloc[0])
    # There bias is the mean error in units.
    mean_error = losses.bias(frame, ["m"])["m"].iloc[0]
    assert d.bias(actual, spread[:, 2]) == pytest.approx(mean_error * 40 / actual.sum())


def test_scaled_metrics_agree_with_utilsforecast(sample):
    history, actual, spread, frame, train = sample
    step = history[7:] - history[:-7]
    found = losses.mase(frame, ["m"], seasonality=7, train_df=train)["m"].iloc[0]
    assert d.mase(actual, spread[:, 2], np.abs(step).mean()) == pytest.approx(found)
    found = losses.rmsse(frame, ["m"], seasonality=7, train_df=train)["m"].iloc[0]
    assert d.rmsse(actual, spread[:, 2], np.square(step).mean()) == pytest.approx(found)


def test_quantile_metrics_agree_with_utilsforecast(sample):
    _, actual, spread, frame, _ = sample
    columns = {"m": [f"q{level}" for level in LEVELS]}
    found = losses.scaled_crps(frame, columns, np.array(LEVELS))["m"].iloc[0]
    assert d.wql(actual, spread, LEVELS) == pytest.approx(found)
    lowest_and_highest = frame.rename(columns={"q0.1": "m-lo-80", "q0.9": "m-hi-80"})
    found = losses.coverage(lowest_and_highest, ["m"], 80)["m"].iloc[0]
    assert d.coverage(actual, spread, LEVELS) == pytest.approx(found)


def test_r2_agrees_with_the_squared_correlation_of_a_least_squares_fit(sample):
    """For a least squares line, and only there, R2 is the squared correlation."""
    _, actual, spread, _, _ = sample
    slope, intercept = np.polyfit(spread[:, 2], actual, 1)
    correlation = np.corrcoef(spread[:, 2], actual)[0, 1]
    assert d.r2(actual, intercept + slope * spread[:, 2]) == pytest.approx(correlation**2)


def test_the_table_of_one_series_agrees_with_the_functions(sample, backtest_of, quantiles):
    from tasks.evaluation.metrics.table import metrics_table

    actual = sample[1][None, None, :]
    backtest = backtest_of(actual, {"m": sample[2][:, 2][None, None, :]}, spread=6.0)
    backtest[c.MEAN] += 0.5
    scales = pd.DataFrame(columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.ABSOLUTE_SCALE, c.SQUARED_SCALE])
    found = metrics_table(backtest, scales, quantiles).iloc[0]
    y, median, mean = (backtest[name].to_numpy() for name in (c.ACTUAL, c.MEDIAN, c.MEAN))
    spread = backtest[c.quantile_columns(quantiles)].to_numpy()
    assert found[c.WAPE] == d.wape(y, median)
    assert found[c.BIAS] == d.bias(y, mean)
    assert found[c.WQL] == d.wql(y, spread, quantiles)
    assert found[c.COVERAGE] == d.coverage(y, spread, quantiles)
